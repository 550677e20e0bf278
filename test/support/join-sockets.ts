import type { Socket } from 'node:net'

/** Makes two sockets one wire: each is sent what the other hears, and ends with it. `open` has both until then. */
export function joinSockets(one: Socket, other: Socket, open: Set<Socket>): void {
  for (const [from, to] of [
    [one, other],
    [other, one],
  ] as const) {
    open.add(from)
    from.on('data', (bytes) => to.write(bytes))
    from.on('error', () => from.destroy())
    from.on('close', () => {
      open.delete(from)
      to.destroy()
    })
  }
}
