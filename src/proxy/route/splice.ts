import type { Duplex, Readable, Writable } from 'node:stream'
import { startPump } from '../http/pump.ts'
import type { StreamInfo } from '../http/stream-info.ts'

/** Joins a client and an upstream that speak to one another as they like, until either has ended. */
export function splice(
  client: Duplex,
  upstream: { readonly readable: Readable; readonly writable: Writable },
  info: StreamInfo,
  touch: () => void,
): void {
  const end = (): void => {
    client.destroy()
    upstream.readable.destroy()
    upstream.writable.destroy()
  }
  client.on('error', end)
  client.once('close', end)
  upstream.readable.on('error', end)
  upstream.writable.on('error', end)
  startPump(client, upstream.writable, {
    onChunk(chunk) {
      info.bytesReceived += chunk.length
      touch()
    },
    onEnd: () => upstream.writable.end(),
    onError: end,
  })
  startPump(upstream.readable, client, {
    onChunk(chunk) {
      info.bytesSent += chunk.length
      touch()
    },
    onEnd: () => client.end(),
    onError: end,
  })
}
