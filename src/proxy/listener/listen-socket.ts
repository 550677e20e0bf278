import * as net from 'node:net'
import { getSystemErrorName } from 'node:util'
import type { AddressConfig } from '../config/address.ts'
import { ConfigRejection } from '../config/config-rejection.ts'
import type { SocketAddress } from '../network/network-filter.ts'

/** What Node's own modules bind with, which tells at once whether it worked. */
type Bind = (address: string, port: number, family: 4 | 6, fd: undefined, flags: number) => Handle | number

interface Handle {
  close(): void
}

// oxlint-disable-next-line no-underscore-dangle -- Node's name
const bind = (net as unknown as { readonly _createServerHandle: Bind })._createServerHandle

/** The socket of a listener; its connections go to whoever it belongs to now, so that it can be handed over. */
export class ListenSocket {
  readonly address: SocketAddress
  readonly #backlog: number | undefined
  #server: net.Server | undefined
  /** While it rests. */
  #bound: Handle | undefined
  #accept: ((socket: net.Socket) => void) | undefined
  #holders = 0

  /** @throws ConfigRejection in Envoy's words, so that who asked for it is told at once. */
  constructor({ address, port }: AddressConfig, backlog: number | undefined) {
    this.#backlog = backlog
    this.#server = this.#listen(address, port)
    this.address = { ip: address, port: (this.#server.address() as net.AddressInfo).port }
  }

  /**
   * From now on connections are given to this one.
   * @throws ConfigRejection where it rested, and something else has the address by now.
   */
  giveTo(accept: (socket: net.Socket) => void): void {
    this.#accept = accept
    this.#server ??= this.#listen(this.address.ip, this.address.port)
  }

  /** Connections are refused while nobody takes them; the port stays its own, for the system gives away what is not bound. */
  rest(): void {
    if (this.#accept !== undefined || this.#server === undefined) return
    this.#close()
    const { ip, port } = this.address
    const bound = bind(ip, port, net.isIP(ip) as 4 | 6, undefined, 0)
    // It is told when it wants to listen.
    if (typeof bound !== 'number') this.#bound = bound
  }

  hold(): void {
    this.#holders++
  }

  /** The last who lets go closes it. */
  letGo(): void {
    if (--this.#holders > 0) return
    this.#accept = undefined
    this.#close()
  }

  #close(): void {
    this.#server?.close()
    this.#server = undefined
    this.#bound?.close()
    this.#bound = undefined
  }

  #listen(address: string, port: number): net.Server {
    const fail = (why: string): never => {
      throw new ConfigRejection(`cannot bind '${address}:${port}': ${why}`)
    }
    const family = net.isIP(address)
    if (family === 0) throw new ConfigRejection(`malformed IP address: ${address}`)
    const handle = this.#bound ?? bind(address, port, family as 4 | 6, undefined, 0)
    this.#bound = undefined
    if (typeof handle === 'number') return fail(errorText(getSystemErrorName(handle)))
    const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, (socket) => {
      if (this.#accept === undefined) socket.destroy()
      else this.#accept(socket)
    })
    // What is wrong with listening shows below.
    server.on('error', () => undefined)
    server.listen(handle, this.#backlog)
    return server.listening ? server : fail(errorText('EADDRINUSE'))
  }
}

function errorText(name: string): string {
  return errorTexts[name] ?? name
}

const errorTexts: Readonly<Record<string, string>> = {
  EADDRINUSE: 'Address already in use',
  EACCES: 'Permission denied',
  EADDRNOTAVAIL: 'Cannot assign requested address',
}
