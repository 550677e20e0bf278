import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { atTestEnd } from './at-test-end.ts'
import { joinSockets } from './join-sockets.ts'

/** A wire between a client and a server of this machine, which can be cut. */
export interface TcpProxy {
  readonly port: number
  /** `http://127.0.0.1:…` */
  readonly endpoint: string
  /** Connections that clients hold now. */
  readonly openConnections: number
  /** Ends every connection and refuses new ones. */
  readonly cut: () => Promise<void>
  /** Keeps every connection, and takes new ones, but passes nothing on: a silent partition. */
  readonly freeze: () => void
  /** Passes on again, what was held back included; after `cut`, listens on the same port. */
  readonly mend: () => Promise<void>
}

/**
 * Cut at the test's end.
 * @param host where it listens; 127.0.0.1 by default
 */
export async function startTcpProxy(target: number, host = '127.0.0.1'): Promise<TcpProxy> {
  const clients = new Set<Socket>()
  const sockets = new Set<Socket>()
  let isFrozen = false
  let server: Server | undefined

  const listen = async (port: number): Promise<Server> => {
    const listening = createServer((client) => {
      const upstream = connect(target, '127.0.0.1')
      clients.add(client)
      client.on('close', () => clients.delete(client))
      joinSockets(client, upstream, sockets)
      if (isFrozen) for (const end of [client, upstream]) end.pause()
    })
    listening.listen(port, host)
    await once(listening, 'listening')
    return listening
  }

  const cut = async (): Promise<void> => {
    const closing = server
    server = undefined
    for (const socket of sockets) socket.destroy()
    if (closing === undefined) return
    closing.close()
    await once(closing, 'close')
  }

  server = await listen(0)
  const { port } = server.address() as { port: number }
  atTestEnd(cut)
  return {
    port,
    endpoint: `http://${host}:${port}`,
    get openConnections(): number {
      return clients.size
    },
    cut,
    freeze(): void {
      isFrozen = true
      for (const socket of sockets) socket.pause()
    },
    async mend(): Promise<void> {
      isFrozen = false
      for (const socket of sockets) socket.resume()
      server ??= await listen(port)
    },
  }
}
