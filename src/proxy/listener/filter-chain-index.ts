import type { SocketAddress } from '../network/network-filter.ts'
import { addressBytes, type Cidr, cidrContains, cidrText } from './cidr.ts'
import type { FilterChainMatch, SourceType } from './filter-chain-match.ts'

/** What is known of a connection when its filter chain is looked for. */
export interface ConnectionFacts {
  readonly localAddress: SocketAddress
  readonly remoteAddress: SocketAddress
  readonly directRemoteAddress: SocketAddress
  /** In lower case; empty where none was asked for, or nobody looked. */
  readonly serverName: string
  /** `tls` or `raw_buffer`. */
  readonly transportProtocol: string
  readonly applicationProtocols: readonly string[]
}

/**
 * Finds the filter chain of a connection. One thing is looked at after the other, and of each the most specific that fits
 * is taken, for good: where nothing fits below it no other is tried, as in Envoy.
 */
export class FilterChainIndex<Chain> {
  readonly #root = new PortLevel<Chain>()

  /** Whether it could be added: not where another chain has a rule that is the same. */
  add(match: FilterChainMatch, chain: Chain): boolean {
    return this.#root.add(match, chain)
  }

  find(facts: ConnectionFacts): Chain | undefined {
    return this.#root.find(facts)
  }
}

interface Level<Chain> {
  add(match: FilterChainMatch, chain: Chain): boolean
  find(facts: ConnectionFacts): Chain | undefined
}

/** Destination port; then destination address. */
class PortLevel<Chain> implements Level<Chain> {
  readonly #next = new Map<number, Level<Chain>>()

  add(match: FilterChainMatch, chain: Chain): boolean {
    return nextOf(this.#next, match.destinationPort ?? 0, () => destinationLevel<Chain>()).add(match, chain)
  }

  find(facts: ConnectionFacts): Chain | undefined {
    return (this.#next.get(facts.localAddress.port) ?? this.#next.get(0))?.find(facts)
  }
}

function destinationLevel<Chain>(): Level<Chain> {
  return new AddressLevel<Chain>(
    ({ destinationRanges }) => destinationRanges,
    ({ localAddress }) => localAddress.ip,
    () => new ServerNameLevel<Chain>(),
  )
}

/** The narrowest range that the address is in. */
class AddressLevel<Chain> implements Level<Chain> {
  readonly #rangesOf: (match: FilterChainMatch) => readonly Cidr[]
  readonly #addressOf: (facts: ConnectionFacts) => string
  readonly #createNext: () => Level<Chain>
  readonly #next = new Map<string, { readonly range: Cidr; readonly level: Level<Chain> }>()
  /** For chains that ask for no range. */
  #anywhere: Level<Chain> | undefined

  constructor(
    rangesOf: (match: FilterChainMatch) => readonly Cidr[],
    addressOf: (facts: ConnectionFacts) => string,
    createNext: () => Level<Chain>,
  ) {
    this.#rangesOf = rangesOf
    this.#addressOf = addressOf
    this.#createNext = createNext
  }

  add(match: FilterChainMatch, chain: Chain): boolean {
    const ranges = this.#rangesOf(match)
    if (ranges.length === 0) {
      this.#anywhere ??= this.#createNext()
      return this.#anywhere.add(match, chain)
    }
    return addToAll(ranges, (range) =>
      nextOf(this.#next, cidrText(range), () => ({ range, level: this.#createNext() })).level.add(match, chain),
    )
  }

  find(facts: ConnectionFacts): Chain | undefined {
    const bytes = addressBytes(this.#addressOf(facts))
    let best: { readonly range: Cidr; readonly level: Level<Chain> } | undefined
    for (const one of this.#next.values()) {
      if (cidrContains(one.range, bytes) && (best === undefined || one.range.length > best.range.length)) best = one
    }
    return (best?.level ?? this.#anywhere)?.find(facts)
  }
}

/** The whole name, then ever shorter wildcards, then chains that ask for none; then the transport protocol. */
class ServerNameLevel<Chain> implements Level<Chain> {
  readonly #next = new Map<string, Level<Chain>>()

  add(match: FilterChainMatch, chain: Chain): boolean {
    return addToAll(orNone(match.serverNames), (name) =>
      nextOf(this.#next, name, () => new TransportLevel<Chain>()).add(match, chain),
    )
  }

  find(facts: ConnectionFacts): Chain | undefined {
    const { serverName } = facts
    const exact = this.#next.get(serverName)
    if (exact !== undefined) return exact.find(facts)
    for (let dot = serverName.indexOf('.', 1); dot !== -1; dot = serverName.indexOf('.', dot + 1)) {
      const wildcard = dot < serverName.length - 1 ? this.#next.get(serverName.slice(dot)) : undefined
      if (wildcard !== undefined) return wildcard.find(facts)
    }
    return this.#next.get('')?.find(facts)
  }
}

/** `tls`, `raw_buffer`; then the application protocols. */
class TransportLevel<Chain> implements Level<Chain> {
  readonly #next = new Map<string, Level<Chain>>()

  add(match: FilterChainMatch, chain: Chain): boolean {
    return nextOf(this.#next, match.transportProtocol, () => new ApplicationLevel<Chain>()).add(match, chain)
  }

  find(facts: ConnectionFacts): Chain | undefined {
    return (this.#next.get(facts.transportProtocol) ?? this.#next.get(''))?.find(facts)
  }
}

/** The first that the client offers and a chain asks for; then who is connected, at first hand. */
class ApplicationLevel<Chain> implements Level<Chain> {
  readonly #next = new Map<string, Level<Chain>>()

  add(match: FilterChainMatch, chain: Chain): boolean {
    return addToAll(orNone(match.applicationProtocols), (protocol) =>
      nextOf(this.#next, protocol, () => directSourceLevel<Chain>()).add(match, chain),
    )
  }

  find(facts: ConnectionFacts): Chain | undefined {
    for (const protocol of facts.applicationProtocols) {
      const found = this.#next.get(protocol)
      if (found !== undefined) return found.find(facts)
    }
    return this.#next.get('')?.find(facts)
  }
}

function directSourceLevel<Chain>(): Level<Chain> {
  return new AddressLevel<Chain>(
    ({ directSourceRanges }) => directSourceRanges,
    ({ directRemoteAddress }) => directRemoteAddress.ip,
    () => new SourceTypeLevel<Chain>(),
  )
}

/** From this machine or from elsewhere; then the client's address and port. */
class SourceTypeLevel<Chain> implements Level<Chain> {
  readonly #next = new Map<SourceType, Level<Chain>>()

  add(match: FilterChainMatch, chain: Chain): boolean {
    return nextOf(this.#next, match.sourceType, () => sourceLevel<Chain>()).add(match, chain)
  }

  find(facts: ConnectionFacts): Chain | undefined {
    const type = isFromHere(facts) ? 'SAME_IP_OR_LOOPBACK' : 'EXTERNAL'
    return (this.#next.get(type) ?? this.#next.get('ANY'))?.find(facts)
  }
}

function sourceLevel<Chain>(): Level<Chain> {
  return new AddressLevel<Chain>(
    ({ sourceRanges }) => sourceRanges,
    ({ remoteAddress }) => remoteAddress.ip,
    () => new SourcePortLevel<Chain>(),
  )
}

class SourcePortLevel<Chain> implements Level<Chain> {
  readonly #chains = new Map<number, Chain>()

  add({ sourcePorts }: FilterChainMatch, chain: Chain): boolean {
    return addToAll(sourcePorts.length === 0 ? [0] : sourcePorts, (port) => {
      if (this.#chains.has(port)) return false
      this.#chains.set(port, chain)
      return true
    })
  }

  find({ remoteAddress }: ConnectionFacts): Chain | undefined {
    return this.#chains.get(remoteAddress.port) ?? this.#chains.get(0)
  }
}

/** Of 127.0.0.0/8 Envoy takes only 127.0.0.1 for loopback. */
const loopbacks: readonly string[] = [addressBytes('127.0.0.1').join('.'), addressBytes('::1').join('.')]

function isFromHere({ localAddress, remoteAddress }: ConnectionFacts): boolean {
  const remote = addressBytes(remoteAddress.ip).join('.')
  return loopbacks.includes(remote) || remote === addressBytes(localAddress.ip).join('.')
}

function nextOf<Key, Next>(levels: Map<Key, Next>, key: Key, create: () => Next): Next {
  const known = levels.get(key)
  if (known !== undefined) return known
  const created = create()
  levels.set(key, created)
  return created
}

/** Adds to each, also behind one that could not be. */
function addToAll<T>(all: readonly T[], add: (one: T) => boolean): boolean {
  return all.map(add).every((isAdded) => isAdded)
}

const orNone = (names: readonly string[]): readonly string[] => (names.length === 0 ? [''] : names)
