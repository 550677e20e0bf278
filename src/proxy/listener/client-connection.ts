import type { Duplex } from 'node:stream'
import type { DownstreamConnection, DownstreamTls, SocketAddress } from '../network/network-filter.ts'
import type { SecuredConnection } from './downstream-tls.ts'
import type { InspectedConnection } from './listener-filter.ts'

let lastId = 0

export interface ClientConnectionOptions {
  readonly socket: Duplex
  readonly inspected: InspectedConnection
  /** What TLS has agreed on. */
  readonly secured: SecuredConnection | undefined
  readonly listener: string
  readonly filterChain: string
}

/** A connection of a client as the network filters see it. */
export class ClientConnection implements DownstreamConnection {
  readonly id: number
  readonly stream: Duplex
  readonly remoteAddress: SocketAddress
  readonly directRemoteAddress: SocketAddress
  readonly localAddress: SocketAddress
  readonly serverName: string
  readonly alpn: string | undefined
  readonly tls: DownstreamTls | undefined
  readonly listener: string
  readonly filterChain: string
  isDraining = false
  readonly #onDrain: (() => void)[] = []

  constructor({ socket, inspected, secured, listener, filterChain }: ClientConnectionOptions) {
    this.id = ++lastId
    this.stream = socket
    this.remoteAddress = inspected.remoteAddress
    this.directRemoteAddress = inspected.directRemoteAddress
    this.localAddress = inspected.localAddress
    this.serverName = inspected.serverName === '' ? (secured?.serverName ?? '') : inspected.serverName
    // In plain text what was seen of HTTP says as much.
    this.alpn = secured === undefined ? plainProtocol(inspected) : secured.alpn
    this.tls = secured?.info
    this.listener = listener
    this.filterChain = filterChain
  }

  onDrain(act: () => void): void {
    this.#onDrain.push(act)
    if (this.isDraining) act()
  }

  drain(): void {
    if (this.isDraining) return
    this.isDraining = true
    for (const act of this.#onDrain) act()
  }
}

function plainProtocol({ applicationProtocols, transportProtocol }: InspectedConnection): string | undefined {
  return transportProtocol === 'tls' ? undefined : applicationProtocols[0]
}
