import { once } from 'node:events'
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { Agent, request } from 'node:https'
import { atTestEnd } from '../../../support/at-test-end.ts'
import type { LoadTls } from '../../../support/load.ts'

/** One client, which shows the same certificate to whoever it asks, or none. */
export interface TlsClient {
  /** @throws Error when the connection is closed, be it for the certificate. */
  ask(path?: string, headers?: Readonly<Record<string, string>>): Promise<TlsAnswer>
  /** So many requests, by the app that answered, or the status. */
  send(count: number): Promise<Readonly<Record<string, number>>>
}

export interface TlsAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
}

const patienceMs = 20_000

/** Over kept-alive connections, 8 at most. */
export function tlsClient(port: number, { serverName = 'localhost', ca, certificate, key }: LoadTls): TlsClient {
  const agent = new Agent({
    keepAlive: true,
    maxSockets: 8,
    servername: serverName,
    ca,
    ...(certificate !== undefined && { cert: certificate }),
    ...(key !== undefined && { key }),
  })
  atTestEnd(() => agent.destroy())
  const ask: TlsClient['ask'] = async (path = '/', headers = {}) => {
    const sent = request({ host: '127.0.0.1', port, path, headers: { host: serverName, ...headers }, agent })
    sent.setTimeout(patienceMs, () => sent.destroy(new Error(`no answer in ${patienceMs} ms`)))
    sent.end()
    const [response] = (await once(sent, 'response')) as [IncomingMessage]
    response.resume()
    await once(response, 'end')
    return { status: response.statusCode ?? 0, headers: response.headers }
  }
  return {
    ask,
    async send(count) {
      const answers = await Promise.all(Array.from({ length: count }, () => ask()))
      const found: Record<string, number> = {}
      for (const { status, headers } of answers) {
        const by = status === 200 ? String(headers['x-app']) : String(status)
        found[by] = (found[by] ?? 0) + 1
      }
      return found
    },
  }
}
