import type { Problem } from '../errors.ts'
import type { Log } from '../log.ts'
import type { EnvoyApi } from '../resource/envoy-api.ts'
import { type HistoryReader, readHistory } from '../snapshot/history/reader.ts'
import { historyFormat } from '../snapshot/history/record.ts'
import { isSameContent } from '../snapshot/history/step.ts'
import { createHistory, type History, type HistoryStep } from '../snapshot/store.ts'
import type { Unit } from '../snapshot/unit.ts'
import { type EtcdOptions, fleetPrefix } from '../source/etcd-client.ts'
import { createEtcdSession, type EtcdSession, patienceMs } from '../source/etcd-session.ts'
import { createHint } from '../source/hint.ts'
import type { Election } from './election.ts'
import { EtcdHistoryPlace } from './etcd-history-place.ts'

export interface FleetHistoryOptions {
  readonly etcd: EtcdOptions
  readonly election: Election
  /** The history of this server: what is in force, and what becomes of it. */
  readonly own: Pick<History, 'append' | 'refresh' | 'current'>
  readonly api: EnvoyApi
  readonly maxRevisions: number
  readonly maxBytes: number
  readonly log: Log
}

/** The history of all replicas on one etcd, with numbers of its own: its leader writes it, anybody reads it. */
export interface FleetHistory {
  /** What keeps the leader from writing it now. */
  readonly problem: Problem | undefined
  /** After `own` took the step. */
  append(step: HistoryStep): void
  refresh(units: readonly Unit[]): void
  /** Resolves when what was appended so far is in etcd, or cannot be. */
  flush(): Promise<void>
  close(): Promise<void>
}

/** Below it are the segments of the format that this version writes: another version's are left alone. */
export function historyPrefix(options: Pick<EtcdOptions, 'prefix'>): string {
  return `${fleetPrefix(options)}history/${historyFormat}/`
}

/**
 * What the leader wrote so far.
 * @throws ControlPlaneError `unreachable` when etcd does not answer.
 */
export async function readFleetHistory(options: EtcdOptions, api: EnvoyApi): Promise<HistoryReader> {
  const session = createEtcdSession(options)
  try {
    return await readHistory(new EtcdHistoryPlace({ session, prefix: historyPrefix(options) }), api)
  } finally {
    session.close()
  }
}

/**
 * Begins to write whenever this replica is elected, with what changed since the last leader wrote. It must not stand before what
 * `own` says is in force is so.
 */
export function createFleetHistory(options: FleetHistoryOptions): FleetHistory {
  return new LedHistory(options)
}

/** One term of this replica. */
interface Term {
  readonly over: AbortController
  /** Undefined until what the last leader wrote was read. */
  history?: History
  /** What keeps that from being read. */
  problem?: Problem | undefined
}

/** How long until what could not be read is tried again. */
const retryMs = 2_000

class LedHistory implements FleetHistory {
  readonly #options: FleetHistoryOptions
  readonly #session: EtcdSession
  readonly #stopListening: () => void
  #term: Term | undefined
  /** Terms begin and end one after the other. */
  #chain: Promise<void> = Promise.resolve()

  constructor(options: FleetHistoryOptions) {
    this.#options = options
    this.#session = createEtcdSession(options.etcd)
    this.#stopListening = options.election.onChange(() => this.#follow())
    this.#follow()
  }

  get problem(): Problem | undefined {
    return this.#term?.history === undefined ? this.#term?.problem : this.#term.history.problem
  }

  append(step: HistoryStep): void {
    this.#term?.history?.append(step)
  }

  refresh(units: readonly Unit[]): void {
    this.#term?.history?.refresh(units)
  }

  async flush(): Promise<void> {
    await this.#chain
    await this.#term?.history?.flush()
  }

  async close(): Promise<void> {
    this.#stopListening()
    const { history } = this.#term ?? {}
    const flushed = history?.flush().then(() => this.#finish())
    // What an etcd that is silent does not take, the next leader writes.
    await this.#session.closeAfter(flushed ?? this.#finish(), history === undefined ? 0 : patienceMs)
  }

  async #finish(): Promise<void> {
    this.#end()
    await this.#chain
  }

  #follow(): void {
    const { isLeader } = this.#options.election
    if (isLeader === (this.#term !== undefined)) return
    if (!isLeader) return this.#end()
    const term: Term = { over: new AbortController() }
    this.#term = term
    this.#chain = this.#chain.then(() => this.#begin(term))
  }

  #end(): void {
    const term = this.#term
    this.#term = undefined
    if (term === undefined) return
    term.over.abort()
    this.#chain = this.#chain.then(() => term.history?.abandon())
  }

  async #begin(term: Term): Promise<void> {
    const { etcd, election, log } = this.#options
    const { signal } = term.over
    const place = new EtcdHistoryPlace({
      session: this.#session,
      prefix: historyPrefix(etcd),
      guard: () => (signal.aborted ? undefined : election.guard),
    })
    const never = createHint()
    while (!signal.aborted) {
      try {
        if (await this.#take(term, place)) return
      } catch (error) {
        log.error({ err: error }, "the fleet's history cannot be taken over")
      }
      await never.wait(retryMs, signal)
    }
  }

  /** False where what the last leader wrote cannot be read: what is written then would not go on from there. */
  async #take(term: Term, place: EtcdHistoryPlace): Promise<boolean> {
    const { own, api, maxRevisions, maxBytes, log } = this.#options
    const history = await createHistory({ place, api, log, maxRevisions, maxBytes })
    term.problem = history.problem
    if (history.problem !== undefined || term.over.signal.aborted) {
      await history.abandon()
      return false
    }
    // From here on nothing may come in between: what is in force now, and every step after it.
    history.append(changeTo(own.current, history.current))
    term.history = history
    return true
  }
}

/** What leads from what the last leader wrote to what is in force here. */
function changeTo(current: ReadonlyMap<string, Unit>, written: ReadonlyMap<string, Unit>): HistoryStep {
  const upserted = [...current.values()]
  const removed = [...written.keys()].filter((key) => !current.has(key))
  const changed = upserted.filter((unit) => {
    const before = written.get(unit.key)
    return before === undefined || !isSameContent(before, unit)
  })
  const gone = removed.map((key) => written.get(key) as Unit)
  const documents = new Set([...changed, ...gone].map(({ origin }) => origin.name))
  return { upserted, removed, cause: { documents: [...documents].sort() } }
}
