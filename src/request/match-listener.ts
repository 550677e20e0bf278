import { hostPort } from '../resource/host-port.ts'
import type { ChainMatchForm, FilterChainForm, FilterForm, ListenerForm } from './envoy-form.ts'
import type { ListenerAnswer, RequestQuestion } from './request-question.ts'

/** A listener that could take what is asked about, and the chain of filters that it would give it to. */
export interface Taker {
  readonly listener: ListenerForm
  /** Undefined: it closes the connection. */
  readonly chain: FilterChainForm | undefined
}

/** Listeners that could take it, those that are most likely meant first; of a named one, that alone. */
export function takersOf(listeners: readonly ListenerForm[], question: RequestQuestion): readonly Taker[] {
  if (question.listener !== undefined) {
    return listeners.filter(({ name }) => name === question.listener).map((listener) => takerOf(listener, question))
  }
  const port = portOf(question)
  const bound = listeners.filter((listener) => boundPort(listener) === port && isBoundTo(listener, question))
  // What was redirected goes to the listener of its port, where there is one.
  const redirected = listeners.filter((listener) => takesRedirected(listener) && !bound.includes(listener))
  const takers = [...bound, ...redirected.sort(byDirection)].map((listener) => takerOf(listener, question))
  if (takers.length > 0 || question.port !== undefined) return takers
  // Nobody said which port: what stands before a gateway may send 443 to 8443.
  return listeners.map((listener) => takerOf(listener, question)).filter(isAlike(question))
}

/** The port that it is sent to, if it is sent to that of its scheme. */
export function portOf({ port, scheme }: RequestQuestion): number | undefined {
  return port ?? (scheme === 'https' ? 443 : scheme === 'http' ? 80 : undefined)
}

export function listenerAnswer({ name = '', address }: ListenerForm): ListenerAnswer {
  const { address: host, port_value: port } = address?.socket_address ?? {}
  if (host === undefined) return { name }
  return { name, address: hostPort(host, port ?? 0) }
}

export function findFilter(chain: FilterChainForm, message: string): FilterForm | undefined {
  return chain.filters?.find(({ typed_config }) => typed_config?.['@type'].endsWith(`.${message}`) === true)
}

const boundPort = ({ address }: ListenerForm): number | undefined => address?.socket_address?.port_value

/** Of a connection it is known which address it goes to; the host of a URL may be behind another. */
function isBoundTo({ address }: ListenerForm, { scheme, authority }: RequestQuestion): boolean {
  const bound = address?.socket_address?.address ?? ''
  const host = hostOf(authority)
  return scheme !== 'tcp' || !isAddress(host) || bound === '0.0.0.0' || bound === '::' || bound === host
}

const isAddress = (host: string): boolean => /^[\d.]+$|:/.test(host)

function takesRedirected({ use_original_dst, listener_filters = [] }: ListenerForm): boolean {
  return (
    use_original_dst === true || listener_filters.some(({ name }) => name === 'envoy.filters.listener.original_dst')
  )
}

/** Who asks what happens to a request thinks of one that the workload sends. */
function byDirection(a: ListenerForm, b: ListenerForm): number {
  return Number(a.traffic_direction === 'INBOUND') - Number(b.traffic_direction === 'INBOUND')
}

/** It speaks what is asked about: TLS or not, HTTP or not. */
const isAlike =
  ({ scheme }: RequestQuestion) =>
  ({ chain }: Taker): boolean => {
    if (chain === undefined) return false
    const isHttp = findFilter(chain, 'HttpConnectionManager') !== undefined
    if (scheme === 'tcp') return !isHttp
    return isHttp && (chain.transport_socket !== undefined) === (scheme === 'https')
  }

function takerOf(listener: ListenerForm, question: RequestQuestion): Taker {
  const found = matchChain(listener.filter_chains ?? [], connectionOf(question))
  return { listener, chain: found ?? listener.default_filter_chain }
}

/** What a listener sees of a connection before it gives it to a chain. */
interface Connection {
  readonly port: number | undefined
  /** The address that it goes to, where it is one and not a name. */
  readonly address: string | undefined
  readonly serverName: string
  readonly transport: 'tls' | 'raw_buffer'
  readonly protocols: readonly string[]
}

function connectionOf(question: RequestQuestion): Connection {
  const { scheme, sni } = question
  const host = hostOf(question.authority)
  const isTls = scheme === 'https' || sni !== undefined
  const isName = !isAddress(host)
  return {
    port: portOf(question),
    address: isName ? undefined : host,
    serverName: isTls ? (sni ?? (isName ? host : '')).toLowerCase() : '',
    transport: isTls ? 'tls' : 'raw_buffer',
    protocols: scheme === 'tcp' ? [] : isTls ? ['h2', 'http/1.1'] : ['http/1.1'],
  }
}

/** `cart` of `cart:8080`, `::1` of `[::1]:80`. */
export function hostOf(authority: string): string {
  const bracketed = /^\[([^\]]*)\]/.exec(authority)
  return bracketed?.[1] ?? authority.replace(/:\d*$/, '')
}

/**
 * Envoy narrows the chains down, criterion by criterion, to those that say most of it, and never goes back: a chain for
 * the connection's port hides all that name no port, also where it wants another server name.
 */
function matchChain(chains: readonly FilterChainForm[], connection: Connection): FilterChainForm | undefined {
  const { port, address, serverName, transport, protocols } = connection
  let left = narrow(chains, ({ destination_port: wanted }) => (wanted === undefined ? 0 : wanted === port ? 1 : -1))
  left = narrow(left, ({ prefix_ranges: ranges }) => {
    if (ranges === undefined) return 0
    const lengths = ranges.flatMap(({ address_prefix: prefix = '', prefix_len: length = 0 }) =>
      address !== undefined && isWithin(address, prefix, length) ? [length + 1] : [],
    )
    return Math.max(-1, ...lengths)
  })
  left = narrow(left, ({ server_names: names }) =>
    names === undefined ? 0 : Math.max(-1, ...names.map((name) => rankOfName(name, serverName))),
  )
  left = narrow(left, ({ transport_protocol: wanted = '' }) => (wanted === '' ? 0 : wanted === transport ? 1 : -1))
  left = narrow(left, ({ application_protocols: wanted }) => {
    if (wanted === undefined) return 0
    // The first that the client names.
    const at = protocols.findIndex((protocol) => wanted.includes(protocol))
    return at < 0 ? -1 : protocols.length - at
  })
  return left[0]
}

/** Those of the highest rank; a negative one is no match. */
function narrow(
  chains: readonly FilterChainForm[],
  rankOf: (match: ChainMatchForm) => number,
): readonly FilterChainForm[] {
  const ranked = chains.map((chain) => ({ chain, rank: rankOf(chain.filter_chain_match ?? {}) }))
  const best = Math.max(0, ...ranked.map(({ rank }) => rank))
  return ranked.filter(({ rank }) => rank === best).map(({ chain }) => chain)
}

/** An exact name comes before the longest pattern. */
function rankOfName(pattern: string, name: string): number {
  if (pattern === name && name !== '') return Number.MAX_SAFE_INTEGER
  return pattern.startsWith('*.') && name.length > pattern.length - 1 && name.endsWith(pattern.slice(1))
    ? pattern.length
    : -1
}

function isWithin(address: string, prefix: string, length: number): boolean {
  const [x, y] = [bitsOf(address), bitsOf(prefix)]
  return x !== undefined && y !== undefined && x.length === y.length && x.slice(0, length) === y.slice(0, length)
}

/** Of an IPv4 or IPv6 address, in text. */
function bitsOf(address: string): string | undefined {
  if (/^\d+(\.\d+){3}$/.test(address)) {
    return address.split('.').reduce((bits, part) => bits + Number(part).toString(2).padStart(8, '0'), '')
  }
  if (!address.includes(':')) return undefined
  const [head = '', tail] = address.split('::')
  const groups = (text: string): string[] => (text === '' ? [] : text.split(':'))
  const [first, last] = [groups(head), groups(tail ?? '')]
  const zeros = tail === undefined ? [] : Array.from({ length: 8 - first.length - last.length }, () => '0')
  return [...first, ...zeros, ...last].map((part) => Number.parseInt(part, 16).toString(2).padStart(16, '0')).join('')
}
