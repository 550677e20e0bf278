import type { IRequestOp } from 'etcd3'
import { documentIdOf } from '../config/document-key.ts'
import { messageOf, type Origin, type Problem } from '../errors.ts'
import type { Log } from '../log.ts'
import type { Unit } from '../snapshot/unit.ts'
import { batchesOf } from '../source/etcd-batches.ts'
import { configPrefix, type EtcdClient, type EtcdOptions, etcdIdPrefix, fleetPrefix } from '../source/etcd-client.ts'
import { type EtcdEntry, rangeEnd, readAll } from '../source/etcd-read.ts'
import { createEtcdSession, type EtcdSession, patienceMs } from '../source/etcd-session.ts'
import { createHint } from '../source/hint.ts'
import type { Document } from '../source/source.ts'
import type { Election, LeaderGuard } from './election.ts'
import { fleetProblem } from './fleet-problem.ts'
import { LastGood, type ReadText } from './last-good.ts'

/** Shares with the other replicas what was last in force of each document in etcd. */
export interface GoodDocuments {
  /** How the ids of documents in `config/` begin. */
  readonly idPrefix: string
  /**
   * What the leader wrote: documents by the ids that they have in `config/`, with origins in `good/`. Undefined, which is logged,
   * when that cannot be read.
   */
  read(): Promise<readonly Document[] | undefined>
  /**
   * Whether a document that was in force here is newer than one that was read. What an etcd held that has gone back since, or
   * another one, is not.
   */
  isNewer(inForce: Origin, read: Origin): boolean
  /** A text of `config/` was read. Others are ignored. */
  note(read: ReadText): void
  /** What was noted is in force now, as far as it may be. */
  settle(inForce: ReadonlyMap<string, Unit>): void
  /** Writes them from now on, whenever this replica leads. */
  lead(election: Election): void
  /** What keeps the leader from writing them. */
  readonly problems: readonly Problem[]
  close(): Promise<void>
}

export interface GoodOptions extends EtcdOptions {
  readonly log: Log
  /** How long after a change they are written: what follows at once is written with it. */
  readonly delayMs?: number
  readonly retryMs?: number
  /** How often it is looked whether they are still there. */
  readonly checkMs?: number
}

const maxRetryMs = 60_000

/** They are below this, called as those below `config/`. */
export function goodPrefix(options: Pick<EtcdOptions, 'prefix'>): string {
  return `${fleetPrefix(options)}good/`
}

export function createGoodDocuments(options: GoodOptions): GoodDocuments {
  return new SharedGood(options)
}

/** While this replica leads: what is in etcd, by id. Undefined until that was read. */
interface Term {
  readonly over: AbortController
  stored?: Map<string, string>
}

class SharedGood implements GoodDocuments {
  readonly #options: GoodOptions
  readonly #session: EtcdSession
  readonly idPrefix: string
  readonly #good = new LastGood()
  readonly #wake = createHint()
  #election: Election | undefined
  #stopListening = (): void => {}
  #term: Term | undefined
  #writing: Promise<void> = Promise.resolve()
  #failure: string | undefined
  /** What another process wrote is known here, or was never there. */
  #wasRead = false
  /** Of etcd, when they were read. */
  #readAt = 0n
  #inForce: ReadonlyMap<string, Unit> = new Map()

  constructor(options: GoodOptions) {
    this.#options = options
    this.#session = createEtcdSession(options)
    this.idPrefix = etcdIdPrefix(options)
  }

  async read(): Promise<readonly Document[] | undefined> {
    const { log } = this.#options
    try {
      const { entries, revision } = await this.#session.run(
        async (client) => await readAll(client, goodPrefix(this.#options)),
      )
      this.#wasRead = true
      this.#readAt = revision
      return entries.flatMap((entry) => documentOf(entry, this.#options) ?? [])
    } catch (error) {
      log.warn({ error: messageOf(error) }, 'what other replicas served last cannot be read')
      return undefined
    }
  }

  isNewer({ revision: inForce }: Origin, { revision: read }: Origin): boolean {
    if (inForce === undefined || read === undefined || BigInt(inForce) > this.#readAt) return false
    return BigInt(inForce) > BigInt(read)
  }

  note(read: ReadText): void {
    if (read.id.startsWith(this.idPrefix)) this.#good.note(read)
  }

  settle(inForce: ReadonlyMap<string, Unit>): void {
    this.#inForce = inForce
    this.#good.settle(inForce)
    // Whoever leads next compares everything.
    if (this.#term === undefined) this.#good.takeChanged()
    else this.#wake.give()
  }

  lead(election: Election): void {
    this.#election = election
    this.#stopListening = election.onChange(() => this.#follow(election))
    this.#follow(election)
  }

  get problems(): readonly Problem[] {
    if (this.#failure === undefined) return []
    const message = `the last good documents cannot be written, which a new replica would serve: ${this.#failure}`
    const fix = 'see that etcd has room and lets this user write there; it is tried again'
    return [fleetProblem(goodPrefix(this.#options), message, fix)]
  }

  async close(): Promise<void> {
    this.#stopListening()
    this.#end()
    // What an etcd that is silent does not take, the next leader writes.
    await this.#session.closeAfter(this.#writing, patienceMs)
  }

  #follow({ isLeader }: Election): void {
    if (isLeader === (this.#term !== undefined)) return
    if (!isLeader) return this.#end()
    const term: Term = { over: new AbortController() }
    this.#term = term
    this.#writing = this.#writing.then(async () => await this.#write(term))
  }

  #end(): void {
    this.#term?.over.abort()
    this.#term = undefined
    this.#failure = undefined
  }

  async #write(term: Term): Promise<void> {
    const { log, delayMs = 1_000, retryMs = 2_000, checkMs = 60_000 } = this.#options
    const { signal } = term.over
    let tries = 0
    while (!signal.aborted) {
      let waitMs = delayMs
      try {
        await this.#session.run(async (client) => await this.#update(client, term))
        tries = 0
        if (this.#failure !== undefined) log.info('the last good documents can be written again')
        this.#failure = undefined
      } catch (error) {
        const failure = messageOf(error)
        if (!signal.aborted && failure !== this.#failure) {
          this.#failure = failure
          log.warn({ error: failure }, 'the last good documents cannot be written; it is tried again')
        }
        // Each begins with a reading of all that is there.
        waitMs = Math.min(retryMs * 2 ** tries, maxRetryMs)
        tries++
        this.#wake.give()
      }
      await this.#wake.wait(checkMs, signal)
      await createHint().wait(waitMs, signal)
    }
  }

  /** Somebody may have deleted them. */
  async #isAsWritten(client: EtcdClient, stored: ReadonlyMap<string, string>): Promise<boolean> {
    const prefix = goodPrefix(this.#options)
    const range = { key: Buffer.from(prefix), range_end: rangeEnd(prefix), count_only: true }
    return Number((await client.kv.range(range)).count) === stored.size
  }

  /** Writes what differs. @throws when etcd does not answer, or refuses. */
  async #update(client: EtcdClient, term: Term): Promise<void> {
    const { stored } = term
    const changed = this.#good.takeChanged()
    // What is not written below is compared with all the next time, be that at another endpoint.
    delete term.stored
    if (stored === undefined) return await this.#writeAll(client, term)
    if (changed.length > 0) return await this.#writeThese(client, term, changed, stored)
    if (await this.#isAsWritten(client, stored)) term.stored = stored
    else await this.#writeAll(client, term)
  }

  async #writeAll(client: EtcdClient, term: Term): Promise<void> {
    const { texts } = this.#good
    const { entries } = await readAll(client, goodPrefix(this.#options))
    const stored = new Map<string, string>()
    for (const { key, value } of entries) {
      const [id, text] = [this.#idOf(key), value.toString()]
      const own = texts.get(id)
      // Equal texts are in memory once.
      stored.set(id, own === text ? own : text)
    }
    await this.#writeThese(client, term, [...texts.keys(), ...this.#forgotten(stored.keys())], stored)
  }

  async #writeThese(
    client: EtcdClient,
    term: Term,
    ids: readonly string[],
    stored: Map<string, string>,
  ): Promise<void> {
    const { texts } = this.#good
    const differing = ids.filter((id) => stored.get(id) !== texts.get(id))
    for (const batch of batchesOf(differing.map((id) => this.#operation(id, texts.get(id))))) {
      const guard: LeaderGuard | undefined = term.over.signal.aborted ? undefined : this.#election?.guard
      if (guard === undefined) return
      const success = batch.map(({ request }) => request)
      // Somebody else leads, whose work it is now.
      if (!(await client.kv.txn({ compare: [...guard], success })).succeeded) return
      for (const { id, text } of batch) {
        if (text === undefined) stored.delete(id)
        else stored.set(id, text)
      }
    }
    term.stored = stored
  }

  /** Of those, what was deleted before this process could see it. */
  #forgotten(stored: Iterable<string>): readonly string[] {
    if (!this.#wasRead) return []
    const inForce = new Set(Array.from(this.#inForce.keys(), documentIdOf))
    return [...stored].filter((id) => !this.#good.knows(id) && !inForce.has(id))
  }

  #idOf(key: string): string {
    return this.idPrefix + key.slice(goodPrefix(this.#options).length)
  }

  #operation(id: string, text: string | undefined): Operation {
    const key = Buffer.from(goodPrefix(this.#options) + id.slice(this.idPrefix.length))
    if (text === undefined) return { id, text, bytes: key.length, request: { request_delete_range: { key } } }
    const value = Buffer.from(text)
    return { id, text, bytes: key.length + value.length, request: { request_put: { key, value } } }
  }
}

interface Operation {
  readonly id: string
  readonly text: string | undefined
  readonly bytes: number
  readonly request: IRequestOp
}

/** Undefined for what no leader wrote. */
function documentOf({ key, value, modRevision }: EtcdEntry, options: EtcdOptions): Document | undefined {
  const name = configPrefix(options) + key.slice(goodPrefix(options).length)
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(value)
    return { id: `etcd:${name}`, text, origin: { name: `etcd:${key}`, revision: modRevision } }
  } catch {
    return undefined
  }
}
