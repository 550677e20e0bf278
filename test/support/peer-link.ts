import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { joinSockets } from './join-sockets.ts'

/** The wire to one member of an etcd cluster, on which it is known who speaks. */
export interface PeerLink {
  /** Where its peers reach it. */
  readonly port: number
  /** Asks anew of every connection whether it is cut. */
  refresh(): void
  close(): Promise<void>
}

/** What etcd's members write at the head of every connection between them. */
const sender = /\r\nX-Server-From: ([0-9a-f]+)\r\n/i

/**
 * Passes on what comes, but holds it back, both ways and without a word, while the one who speaks is cut off.
 * @param isCut asked with the id that the peer states; a connection without one (a question after the version) is never held
 */
export async function startPeerLink(target: number, isCut: (from: string) => boolean): Promise<PeerLink> {
  const wires = new Set<{ readonly from: string; readonly ends: readonly Socket[] }>()
  const sockets = new Set<Socket>()
  const hold = ({ from, ends }: { readonly from: string; readonly ends: readonly Socket[] }): void => {
    for (const end of ends) {
      if (isCut(from)) end.pause()
      else end.resume()
    }
  }
  const server = createServer((client) => {
    client.once('data', (head) => {
      const upstream = connect(target, '127.0.0.1')
      upstream.write(head)
      joinSockets(client, upstream, sockets)
      const from = sender.exec(head.toString('latin1'))?.[1]
      if (from === undefined) return
      const wire = { from, ends: [client, upstream] }
      wires.add(wire)
      upstream.on('close', () => wires.delete(wire))
      hold(wire)
    })
    client.on('error', () => client.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as { port: number }).port,
    refresh(): void {
      for (const wire of wires) hold(wire)
    },
    async close(): Promise<void> {
      for (const socket of sockets) socket.destroy()
      if (!server.listening) return
      server.close()
      await once(server, 'close')
    },
  }
}
