import { Client, credentials, status } from '@grpc/grpc-js'
import { atTestEnd } from './at-test-end.ts'

/** A stream of bytes that this side neither encodes nor decodes. */
export interface RawStream {
  send(bytes: Uint8Array): void
  /** The next response that was not yet taken. @throws Error when the stream ends instead */
  next(): Promise<Buffer>
  /** The name of the status that ended it. */
  readonly closed: Promise<string>
  end(): void
}

/** Opens a stream at any path, also at one that no descriptor knows; closed at the test's end. */
export function openRawStream(port: number, path: string): RawStream {
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), {
    'grpc.use_local_subchannel_pool': 1,
    'grpc.enable_http_proxy': 0,
  })
  const same = (bytes: Buffer): Buffer => bytes
  const call = client.makeBidiStreamRequest(path, same, same)
  const untaken: Buffer[] = []
  const waiting: (() => void)[] = []
  let ended: string | undefined
  const wake = (): void => {
    for (const look of waiting.splice(0)) look()
  }
  const closed = new Promise<string>((resolve) => {
    call.once('status', ({ code }) => {
      ended = status[code]
      resolve(ended)
      wake()
    })
  })
  // The status says all; without a listener the error would end the process.
  call.on('error', () => {})
  call.on('data', (bytes: Buffer) => {
    untaken.push(bytes)
    wake()
  })
  atTestEnd(() => {
    call.cancel()
    client.close()
  })
  return {
    send: (bytes) => void call.write(Buffer.from(bytes)),
    async next() {
      for (;;) {
        const bytes = untaken.shift()
        if (bytes !== undefined) return bytes
        if (ended !== undefined) throw new Error(`instead of a response the stream ended: ${ended}`)
        await new Promise<void>((resolve) => waiting.push(resolve))
      }
    },
    closed,
    end: () => call.end(),
  }
}
