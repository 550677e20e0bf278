import { connect } from 'node:net'
import { get, goAway, preface } from './http2-frames.ts'

const asks = (from: number, to: number): readonly Buffer[] =>
  Array.from({ length: to - from }, (_, index) => get(2 * (from + index) + 1, 'http2', '/ok'))

/** Each in one packet: for all of it the server is in the midst of reading. */
const packets = [
  [preface, goAway(), ...asks(0, 8)],
  [preface, ...asks(0, 1), goAway(), ...asks(1, 8)],
  [preface, ...asks(0, 4), goAway(11), ...asks(4, 8)],
].map((parts) => Buffer.concat(parts))

/** Of a process whose C library is to notice at once that somebody wrote to what was freed, as glibc does without its cache. */
export const strictHeap = { GLIBC_TUNABLES: 'glibc.malloc.tcache_count=0' }

/**
 * Clients of HTTP/2 that go away and ask on in the same packet, 120 of them. They break the heap of a server on Node that is not
 * on its guard (src/http2-guard.ts), which aborts of it after some.
 * @throws Error when the server takes no connections any more
 */
export async function sendRudeClients(port: number): Promise<void> {
  for (let round = 0; round < 4; round++) {
    await Promise.all(
      Array.from({ length: 30 }, (_, index) => sendOne(port, packets[index % packets.length] as Buffer)),
    )
  }
}

function sendOne(port: number, packet: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.off('error', reject)
      socket.on('error', () => undefined)
      socket.write(packet)
      // A server that has nothing more to say leaves the closing to its client.
      socket.setTimeout(50, () => socket.destroy())
    })
    socket.once('error', reject)
    socket.once('close', () => resolve())
    socket.resume()
  })
}
