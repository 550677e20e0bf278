import { type ClientHttp2Session, connect, constants, type IncomingHttpHeaders } from 'node:http2'
import type { Duplex } from 'node:stream'
import { guardClientSession } from '../../http2-guard.ts'
import type { Headers } from '../http/headers.ts'
import { type Probe, type ProbeResult, unreachable } from './probe.ts'

export interface Http2Answer {
  readonly headers: IncomingHttpHeaders
  readonly trailers: IncomingHttpHeaders
  readonly body: Buffer
}

/** Sends requests to one host over HTTP/2, on a connection that stays while it is well. */
export interface Http2Requests {
  /** @throws Error when there is no connection, or no whole answer */
  send(headers: Headers, body: Buffer, signal: AbortSignal): Promise<Http2Answer>
  /** The next request has a connection of its own. */
  disconnect(): void
}

export function createHttp2Requests(open: () => Promise<Duplex>): Http2Requests {
  let session: ClientHttp2Session | undefined
  const disconnect = (): void => {
    session?.destroy()
    session = undefined
  }
  const connected = async (): Promise<ClientHttp2Session> => {
    if (session !== undefined && !session.closed && !session.destroyed) return session
    const socket = await open()
    const created = connect('http://check', { createConnection: () => socket })
    guardClientSession(created)
    created.on('error', () => undefined)
    created.unref()
    session = created
    return created
  }
  return {
    disconnect,
    async send(headers, body, signal) {
      const current = await connected()
      if (signal.aborted) throw new Error('it took too long')
      const stream = current.request(Object.fromEntries(headers), { endStream: body.length === 0 })
      return new Promise((resolve, reject) => {
        const chunks: Buffer[] = []
        let answer: IncomingHttpHeaders = {}
        let trailers: IncomingHttpHeaders = {}
        let isWhole = false
        const giveUp = (): void => {
          stream.close(constants.NGHTTP2_CANCEL)
          reject(new Error('it took too long'))
        }
        signal.addEventListener('abort', giveUp, { once: true })
        stream.once('response', (received) => {
          answer = received
        })
        stream.once('trailers', (received) => {
          trailers = received
        })
        stream.on('data', (chunk: Buffer) => chunks.push(chunk))
        stream.once('error', reject)
        stream.once('end', () => {
          isWhole = !stream.aborted
        })
        stream.once('close', () => {
          signal.removeEventListener('abort', giveUp)
          if (isWhole && answer[':status'] !== undefined) {
            resolve({ headers: answer, trailers, body: Buffer.concat(chunks) })
          } else reject(new Error('it was closed'))
        })
        if (body.length > 0) stream.end(body)
      })
    },
  }
}

/** A probe that asks so: who cannot be asked is asked on another connection the next time. */
export function probeBy(
  requests: Http2Requests,
  reusesConnection: boolean,
  ask: (signal: AbortSignal) => Promise<ProbeResult>,
): Probe {
  return {
    async check(signal) {
      try {
        return await ask(signal)
      } catch {
        requests.disconnect()
        return unreachable
      } finally {
        if (!reusesConnection) requests.disconnect()
      }
    },
    close: () => requests.disconnect(),
  }
}
