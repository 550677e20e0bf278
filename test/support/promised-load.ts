import { Agent as HttpAgent, request as httpRequest } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { atTestEnd } from './at-test-end.ts'
import { outcomeOf } from './outcome.ts'
import type { Random } from './random.ts'

/** A request that must be answered whatever changes meanwhile, for all worlds that may be in force agree on it. */
export interface Claim {
  readonly port: number
  readonly isTls: boolean
  readonly host: string
  /** Requests may follow one another on one connection. */
  readonly mayKeepAlive: boolean
}

export interface BrokenPromise {
  /** Milliseconds since the load began. */
  readonly atMs: number
  readonly claim: Claim
  readonly isKeptAlive: boolean
  /** How long it took to fail. */
  readonly ms: number
  /** `503 no healthy upstream`, `ECONNRESET`, `timeout`, `answered by plain-1, and only plain-0 may`. */
  readonly reason: string
}

/** With status 200. */
export interface Answer {
  readonly claim: Claim
  readonly backend: string
  /** Milliseconds since the load began. */
  readonly sentAtMs: number
  readonly isKeptAlive: boolean
}

export interface PromisedLoadOptions {
  readonly random: Random
  /** PEM of the authority that vouches for every listener. */
  readonly ca: string
  /** Requests a second, all together; 200 by default. */
  readonly rate?: number
  /** Why that backend may not have given this answer, from when the request was sent until now. */
  readonly objectionTo: (answer: Answer) => string | undefined
}

export interface PromisedLoad {
  /** What is asked from now on. Resolves when what was asked before and is no longer claimed has its answer. */
  claim(claims: readonly Claim[]): Promise<void>
  /** Milliseconds since the load began. */
  now(): number
  readonly sent: number
  readonly sentKeptAlive: number
  readonly broken: readonly BrokenPromise[]
  /** How long the slowest took of those that were answered as promised. */
  readonly slowestMs: number
  /** Sends no more, and waits for what is under way. */
  stop(): Promise<void>
}

interface Connection {
  readonly agent: HttpAgent
  isBusy: boolean
  /** When it is to ask next. */
  dueMs: number
}

/** Of each port, kept alive. */
const connectionsPerPort = 2
/**
 * Between two requests on one of them. While Envoy drains a connection it says so with a response, the sooner the later it
 * is; one that is told nothing is cut at the end, and with it whatever is just being asked.
 */
const paceMs = 50
const mostAtOnce = 20
/** Long: this process asks, answers and controls, and may have to wait for a busy machine itself. */
const timeoutMs = 15_000

/**
 * Asks by the clock what is claimed, at random, on kept-alive connections and the rest on a new one each, and holds every
 * answer against what was promised. Each kept-alive connection asks one thing at a time. Stopped at the test's end.
 */
export function startPromisedLoad({ random, ca, rate = 200, objectionTo }: PromisedLoadOptions): PromisedLoad {
  const began = performance.now()
  const now = (): number => Math.round(performance.now() - began)
  const broken: BrokenPromise[] = []
  const kept = new Map<string, Connection[]>()
  /** Requests under way, by what they ask. */
  const pending = new Map<string, number>()
  let claims: readonly Claim[] = []
  let waiting: (() => void)[] = []
  let [sent, sentKeptAlive, slowestMs] = [0, 0, 0]

  const addressOf = ({ port, isTls }: Claim): string => `${port} ${isTls}`
  const keyOf = (claim: Claim): string => `${addressOf(claim)} ${claim.host}`
  const newAgent = (isTls: boolean, keepAlive: boolean): HttpAgent =>
    isTls
      ? new HttpsAgent({ ca, servername: 'localhost', maxCachedSessions: 0, keepAlive, maxSockets: 1 })
      : new HttpAgent({ keepAlive, maxSockets: 1 })
  const isPending = (key: string): boolean => (pending.get(key) ?? 0) > 0
  const wake = (): void => {
    const looking = waiting
    waiting = []
    for (const look of looking) look()
  }

  const sendOne = (claim: Claim, connection?: Connection): void => {
    const sentAtMs = now()
    const isKeptAlive = connection !== undefined
    const agent = connection?.agent ?? newAgent(claim.isTls, false)
    sent += 1
    if (isKeptAlive) sentKeptAlive += 1
    const key = keyOf(claim)
    pending.set(key, (pending.get(key) ?? 0) + 1)
    const settle = (reason: string | undefined): void => {
      if (!isKeptAlive) agent.destroy()
      const ms = now() - sentAtMs
      if (reason === undefined) slowestMs = Math.max(slowestMs, ms)
      else broken.push({ atMs: sentAtMs, claim, isKeptAlive, ms, reason })
      pending.set(key, (pending.get(key) ?? 0) - 1)
      if (connection) connection.isBusy = false
      wake()
    }
    const options = { host: '127.0.0.1', port: claim.port, agent, headers: { host: claim.host } }
    const request = claim.isTls ? httpsRequest({ ...options, servername: 'localhost' }) : httpRequest(options)
    void outcomeOf(request, timeoutMs).then((outcome) => {
      if ('reason' in outcome) settle(outcome.reason)
      else if (outcome.status !== 200) settle(`${outcome.status} ${outcome.body.slice(0, 100)}`)
      else settle(objectionTo({ claim, backend: String(outcome.headers['x-backend'] ?? ''), sentAtMs, isKeptAlive }))
    })
  }

  const sendKeptAlive = (): void => {
    const atMs = now()
    for (const [address, connections] of kept) {
      for (const connection of connections) {
        if (connection.isBusy || connection.dueMs > atMs) continue
        connection.isBusy = true
        connection.dueMs = Math.max(connection.dueMs + paceMs, atMs)
        sendOne(random.pick(claims.filter((claim) => claim.mayKeepAlive && addressOf(claim) === address)), connection)
      }
    }
  }
  // By elapsed time, not by ticks, so that the rate holds on a busy machine. But after a stop of this process, which is the
  // backends too, what is overdue is not sent all at once: Envoy would rightly refuse such a crowd.
  let due = 0
  let lastTickMs = began
  const ticker = setInterval(() => {
    sendKeptAlive()
    const tickMs = performance.now()
    due = Math.min(due + ((tickMs - lastTickMs) / 1000) * rate, sent + mostAtOnce)
    lastTickMs = tickMs
    while (claims.length > 0 && sent < Math.floor(due)) sendOne(random.pick(claims))
  }, 5)
  const until = (isOver: () => boolean): Promise<void> =>
    new Promise((resolve) => {
      const look = (): void => {
        if (isOver()) resolve()
        else waiting.push(look)
      }
      look()
    })

  let stopped: Promise<void> | undefined
  const stop = async (): Promise<void> => {
    clearInterval(ticker)
    await until(() => ![...pending.keys()].some(isPending))
    for (const { agent } of [...kept.values()].flat()) agent.destroy()
  }
  atTestEnd(() => (stopped ??= stop()))
  return {
    now,
    broken,
    get sent() {
      return sent
    },
    get slowestMs() {
      return slowestMs
    },
    get sentKeptAlive() {
      return sentKeptAlive
    },
    async claim(next) {
      const dropped = claims.map(keyOf).filter((key) => !next.some((claim) => keyOf(claim) === key))
      claims = next
      const addresses = new Set(claims.filter(({ mayKeepAlive }) => mayKeepAlive).map(addressOf))
      const gone = [...kept].filter(([address]) => !addresses.has(address))
      for (const [address] of gone) kept.delete(address)
      for (const claim of claims) {
        if (!claim.mayKeepAlive || kept.has(addressOf(claim))) continue
        const connections = Array.from({ length: connectionsPerPort }, (_, index) => ({
          agent: newAgent(claim.isTls, true),
          isBusy: false,
          dueMs: now() + (index * paceMs) / connectionsPerPort,
        }))
        kept.set(addressOf(claim), connections)
      }
      await until(() => !dropped.some(isPending))
      for (const connection of gone.flatMap(([, connections]) => connections)) {
        await until(() => !connection.isBusy)
        connection.agent.destroy()
      }
    },
    stop: () => (stopped ??= stop()),
  }
}
