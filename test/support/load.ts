import { type ClientRequest, Agent as HttpAgent, request as httpRequest } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { atTestEnd } from './at-test-end.ts'
import { type Answer, outcomeOf } from './outcome.ts'
import { startPace } from './pace.ts'

export interface LoadOptions {
  /** On 127.0.0.1. */
  readonly port: number
  /** Requests a second; 200 by default. */
  readonly rate?: number
  /** The Host header; `127.0.0.1:PORT` by default. */
  readonly host?: string
  /** `/` by default. */
  readonly path?: string
  readonly headers?: Readonly<Record<string, string>>
  /** Over how many kept-alive connections at least; 8 by default. 0: a new connection for each request. */
  readonly connections?: number
  /** After how long without an answer a request has failed; 10 s by default: this process, which asks and answers, may have to wait itself. */
  readonly timeoutMs?: number
  readonly tls?: LoadTls
}

export interface LoadTls {
  /** PEM of the authorities that may vouch for the server. */
  readonly ca: string
  /** SNI, and the name that the certificate must bear; `localhost` by default. */
  readonly serverName?: string
  /** The client's own certificate and key, as PEM. */
  readonly certificate?: string
  readonly key?: string
}

/** One request that was not answered with 2xx. */
export interface LoadFailure {
  /** Milliseconds since the load began. */
  readonly atMs: number
  /** `503 no healthy upstream`, `ECONNRESET: …`, `timeout`. */
  readonly reason: string
  /** Envoy's `x-envoy-…` headers of the answer, for who looks for the reason. */
  readonly headers: Readonly<Record<string, string>>
}

export interface LoadReport {
  readonly sent: number
  /** Answered with 2xx. */
  readonly ok: number
  readonly failed: number
  /** The first failures, at most 20. */
  readonly failures: readonly LoadFailure[]
  /** Of those that are ok, by the `backend` of their body. */
  readonly byBackend: Readonly<Record<string, number>>
}

export interface Load {
  /** How things stand now; requests under way count as `sent` only. */
  report(): LoadReport
  /** Resolves after so many more answers, ok or not. `from: NAME` counts only those of that backend. */
  next(answers: number, options?: { readonly from?: string; readonly timeoutMs?: number }): Promise<void>
  /** Sends no more, waits for what is under way, and reports. */
  stop(): Promise<LoadReport>
}

const maxSamples = 20

/**
 * An open-loop load for one test: it sends by the clock, never waiting for answers, so that an Envoy that stalls shows
 * as failures instead of as fewer requests. Stopped at the test's end.
 */
export function startLoad(options: LoadOptions): Load {
  const load = launchLoad(options)
  atTestEnd(async () => void (await load.stop()))
  return load
}

interface Waiter {
  readonly from: string | undefined
  left: number
  readonly resolve: () => void
}

/** `startLoad` without the lifetime of a test: whoever calls it stops it. */
export function launchLoad(options: LoadOptions): Load {
  const { rate = 200, timeoutMs = 10_000 } = options
  const client = createClient(options)
  const began = performance.now()
  const failures: LoadFailure[] = []
  const byBackend: Record<string, number> = {}
  const waiters = new Set<Waiter>()
  let sent = 0
  let ok = 0
  let failed = 0
  let onIdle: (() => void) | undefined

  const settle = (backend: string | undefined): void => {
    for (const waiter of waiters) {
      if (waiter.from !== undefined && waiter.from !== backend) continue
      waiter.left -= 1
      if (waiter.left <= 0) waiter.resolve()
    }
    if (ok + failed === sent) onIdle?.()
  }
  const succeed = (body: string): void => {
    ok += 1
    const backend = backendOf(body)
    if (backend !== undefined) byBackend[backend] = (byBackend[backend] ?? 0) + 1
    settle(backend)
  }
  const fail = (reason: string, headers: Readonly<Record<string, string>> = {}): void => {
    failed += 1
    if (failures.length < maxSamples) failures.push({ atMs: Math.round(performance.now() - began), reason, headers })
    settle(undefined)
  }
  const sendOne = (): void => {
    const request = client.send(sent)
    sent += 1
    void outcomeOf(request, timeoutMs).then((outcome) => {
      if ('reason' in outcome) fail(outcome.reason)
      else if (outcome.status >= 200 && outcome.status < 300) succeed(outcome.body)
      else fail(`${outcome.status} ${outcome.body.slice(0, 200)}`.trim(), envoyHeaders(outcome))
    })
  }

  const endPace = startPace(rate, sendOne)

  const report = (): LoadReport => ({ sent, ok, failed, failures: [...failures], byBackend: { ...byBackend } })
  let stopped: Promise<LoadReport> | undefined
  const stop = async (): Promise<LoadReport> => {
    endPace()
    if (ok + failed < sent) {
      await new Promise<void>((resolve) => {
        onIdle = resolve
      })
    }
    client.close()
    return report()
  }
  return {
    report,
    next: (answers, { from, timeoutMs: patienceMs = 20_000 } = {}) =>
      new Promise((resolve, reject) => {
        const waiter: Waiter = {
          from,
          left: answers,
          resolve: () => {
            clearTimeout(patience)
            waiters.delete(waiter)
            resolve()
          },
        }
        const patience = setTimeout(() => {
          waiters.delete(waiter)
          const whose = from === undefined ? '' : ` from ${from}`
          reject(new Error(`${waiter.left} of ${answers} answers${whose} missing: ${JSON.stringify(report())}`))
        }, patienceMs)
        waiters.add(waiter)
      }),
    stop: () => (stopped ??= stop()),
  }
}

interface Client {
  /** Makes, and does not yet end, the request of that number. */
  send(index: number): ClientRequest
  close(): void
}

function createClient({ port, host, path = '/', headers, connections = 8, tls }: LoadOptions): Client {
  const agentOptions = { keepAlive: connections > 0, maxSockets: Number.POSITIVE_INFINITY }
  const secure = tls && {
    ca: tls.ca,
    servername: tls.serverName ?? 'localhost',
    ...(tls.certificate !== undefined && { cert: tls.certificate }),
    ...(tls.key !== undefined && { key: tls.key }),
    // Each new connection is a whole handshake: a resumed one would not see the server's certificate.
    maxCachedSessions: 0,
  }
  const agents = Array.from({ length: Math.max(1, connections) }, () =>
    secure ? new HttpsAgent({ ...agentOptions, ...secure }) : new HttpAgent(agentOptions),
  )
  const requestOptions = {
    host: '127.0.0.1',
    port,
    path,
    headers: { ...headers, ...(host !== undefined && { host }) },
    // Given here, or the Host header would become the SNI.
    ...(secure && { servername: secure.servername }),
  }
  const send = secure ? httpsRequest : httpRequest
  return {
    send: (index) => {
      const agent = agents[index % agents.length]
      return send({ ...requestOptions, ...(agent && { agent }) })
    },
    close: () => {
      for (const agent of agents) agent.destroy()
    },
  }
}

function backendOf(body: string): string | undefined {
  try {
    const value = JSON.parse(body) as { readonly backend?: unknown } | null
    return typeof value?.backend === 'string' ? value.backend : undefined
  } catch {
    return undefined
  }
}

function envoyHeaders({ headers }: Answer): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers)
      .filter(([name]) => name.startsWith('x-envoy-'))
      .map(([name, value]) => [name, String(value)]),
  )
}
