import type { Duplex } from 'node:stream'
import type { Clock, Timer } from '../../clock.ts'

export interface JoinedStreams {
  /** Calls back once nothing has passed for so long; returns what stops it. */
  onIdle(afterMs: number, act: () => void): () => void
}

/** What has passed, of the client's side. */
export interface PassedBytes {
  bytesReceived: number
  bytesSent: number
}

/**
 * Passes bytes both ways, each no faster than the other side takes them. When one side ends, the other is told, and may
 * still send; when one breaks, both are over.
 */
export function joinStreams(client: Duplex, host: Duplex, clock: Clock, passed: PassedBytes): JoinedStreams {
  let lastMs = clock.now()
  pass(client, host, (count) => {
    passed.bytesReceived += count
    lastMs = clock.now()
  })
  pass(host, client, (count) => {
    passed.bytesSent += count
    lastMs = clock.now()
  })
  return {
    onIdle(afterMs, act) {
      let timer: Timer
      const wait = (ms: number): void => {
        timer = clock.after(ms, () => {
          const leftMs = lastMs + afterMs - clock.now()
          if (leftMs > 0) wait(leftMs)
          else act()
        })
      }
      wait(afterMs)
      return () => timer.cancel()
    },
  }
}

function pass(from: Duplex, to: Duplex, count: (bytes: number) => void): void {
  from.on('data', (chunk: Buffer) => {
    count(chunk.length)
    if (to.destroyed || to.writableEnded || to.write(chunk)) return
    from.pause()
    to.once('drain', () => from.resume())
  })
  from.on('end', () => to.end())
  from.on('error', () => undefined)
  from.once('close', () => {
    // Broken off: what would follow is missing.
    if (!from.readableEnded || to.writableFinished) to.destroy()
    else to.once('finish', () => to.destroy())
  })
  from.resume()
}
