import { once } from 'node:events'
import type { ICompare, IKeyValue } from 'etcd3'
import { messageOf } from '../errors.ts'
import type { Log } from '../log.ts'
import {
  connectEtcd,
  defaultTiming,
  type EtcdClient,
  type EtcdOptions,
  etcdFailure,
  fleetPrefix,
  isForbidden,
} from '../source/etcd-client.ts'
import { renewLease } from '../source/etcd-lease.ts'
import { watchChanges } from '../source/etcd-watch.ts'
import { createHint } from '../source/hint.ts'
import { forbiddenRetryMs } from './fleet-problem.ts'

/** Which of several replicas on one etcd does what only one may do. */
export interface Election {
  /** What this replica is called. */
  readonly id: string
  /** Who leads, as far as is known here; undefined: nobody, or etcd has not answered for as long as a term lasts. */
  readonly leader: string | undefined
  /**
   * Never true in two replicas at once while their clocks run equally fast: a replica that cannot renew its term ends it by
   * its own clock, before etcd does. What must not happen twice even then is guarded.
   */
  readonly isLeader: boolean
  /**
   * To be compared by every transaction of the leader: it fails from the moment on that somebody else may lead, whatever
   * this replica believes. Another for each term. Undefined while this replica does not lead.
   */
  readonly guard: LeaderGuard | undefined
  /** Why this replica cannot lead, in words; undefined while nothing is wrong. */
  readonly trouble: string | undefined
  /** Called after `leader`, `isLeader` or `guard` became another. Returns what ends that. */
  onChange(listener: () => void): () => void
  /** Resigns at once, if it leads, and stands no more. */
  close(): Promise<void>
}

export type LeaderGuard = readonly ICompare[]

export interface ElectionOptions extends EtcdOptions {
  readonly id: string
  readonly log: Log
  /** Before, it does not stand. */
  readonly ready?: Promise<void>
  /** How long nobody leads after a leader was killed, in whole seconds; 6 by default. */
  readonly ttlS?: number
}

const maxBackoffMs = 1_000

/** The key is there as long as somebody leads. */
export function leaderKey(options: Pick<EtcdOptions, 'prefix'>): string {
  return `${fleetPrefix(options)}leader`
}

/**
 * Stands for leader over `<prefix>leader`, a key that the one who creates it holds under a lease. Fails no one: while etcd
 * cannot be reached nobody leads here, which is told once and tried again.
 */
export function createElection(options: ElectionOptions): Election {
  return new LeaseElection(options)
}

interface Term {
  readonly lease: string
  readonly createRevision: string
}

class LeaseElection implements Election {
  readonly id: string
  readonly #options: ElectionOptions
  readonly #log: Log
  readonly #ttlMs: number
  readonly #key: Buffer
  readonly #abort = new AbortController()
  readonly #wake = createHint()
  readonly #listeners = new Set<() => void>()
  readonly #done: Promise<void>
  /** Kept while connections come and go: etcd may have granted, or written, what it could not answer. */
  #lease: string | undefined
  #term: Term | undefined
  #leader: string | undefined
  /** Until then what is known of the leader holds, on the clock of `performance.now()`. */
  #until = 0
  #expiry: NodeJS.Timeout | undefined
  #told = ''
  #trouble: string | undefined
  #forbiddenAt: number | undefined

  constructor(options: ElectionOptions) {
    const { id, ttlS = 6, timing } = options
    this.id = id
    this.#ttlMs = ttlS * 1000
    // An endpoint that is silent must leave time to ask another within the term.
    const callMs = Math.min(timing?.callMs ?? defaultTiming.callMs, this.#ttlMs / 3)
    this.#options = { ...options, ttlS, timing: { ...timing, callMs } }
    this.#log = options.log
    this.#key = Buffer.from(leaderKey(options))
    this.#done = this.#run()
  }

  get #isKnown(): boolean {
    return performance.now() < this.#until
  }

  get leader(): string | undefined {
    return this.#isKnown ? this.#leader : undefined
  }

  get isLeader(): boolean {
    return this.guard !== undefined
  }

  get guard(): LeaderGuard | undefined {
    if (this.#term === undefined || !this.#isKnown) return undefined
    const { lease, createRevision } = this.#term
    return [
      { key: this.#key, target: 'Create', result: 'Equal', create_revision: createRevision },
      // An etcd that was restored, or emptied, counts its revisions again.
      { key: this.#key, target: 'Lease', result: 'Equal', lease },
    ]
  }

  get trouble(): string | undefined {
    return this.#trouble
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  async close(): Promise<void> {
    this.#abort.abort()
    // Before the key is deleted: somebody else leads in the same moment.
    this.#know(undefined, undefined, 0)
    await this.#done
  }

  async #run(): Promise<void> {
    const { endpoints, ready } = this.#options
    const { signal } = this.#abort
    await Promise.race([ready, once(signal, 'abort')])
    let tries = 0
    for (let turn = 0; !signal.aborted; turn++) {
      const endpoint = endpoints[turn % endpoints.length] as string
      const connection = new AbortController()
      let client: EtcdClient | undefined
      try {
        client = await connectEtcd(this.#options, endpoint)
        await this.#stand(client, connection.signal, () => {
          tries = 0
        })
        await this.#giveUpLease(client)
      } catch (error) {
        if (signal.aborted) break
        tries++
        // What another endpoint, or a new connection, mends at once is no news.
        if (isForbidden(error)) this.#tell(this.#forbidden('read'))
        else if (tries > endpoints.length) this.#tell(etcdFailure(error))
        // Another endpoint may do at once; when none did, half of the time is chance.
        const backoffMs = isForbidden(error)
          ? forbiddenRetryMs
          : Math.min(maxBackoffMs, 50 * 2 ** tries) * (0.5 + Math.random() / 2)
        if (isForbidden(error) || tries >= endpoints.length) await this.#wake.wait(backoffMs, signal)
      } finally {
        connection.abort()
        client?.close()
      }
    }
  }

  /** Looks who leads, takes the place where nobody does, and keeps it, until closed. @throws when etcd does not answer. */
  async #stand(client: EtcdClient, connection: AbortSignal, onAnswer: () => void): Promise<void> {
    const { signal } = this.#abort
    let isWatching = false
    while (!signal.aborted) {
      const revision = await this.#look(client)
      onAnswer()
      this.#tell(this.#forbiddenAt === undefined ? undefined : this.#forbidden('write'))
      if (!isWatching && !signal.aborted) {
        isWatching = true
        // Only a hint: whoever leads is read, every third of a term.
        void this.#watch(client, revision + 1n, connection).then(() => {
          isWatching = false
        })
      }
      await this.#wake.wait(this.#ttlMs / 3, signal)
    }
  }

  async #watch(client: EtcdClient, from: bigint, connection: AbortSignal): Promise<void> {
    const options = {
      prefix: this.#key.toString(),
      from,
      timeoutMs: this.#ttlMs,
      onChange: () => this.#wake.give(),
    }
    try {
      await watchChanges(client, options, connection)
    } catch (error) {
      this.#log.debug({ error: etcdFailure(error) }, 'the watch of the leader failed')
    }
  }

  /** @returns the revision at which it looked. */
  async #look(client: EtcdClient): Promise<bigint> {
    const sentAt = performance.now()
    if (this.#lease !== undefined && !(await renewLease(client, this.#lease, this.#options))) this.#lease = undefined
    const { header, kvs } = await client.kv.range({ key: this.#key })
    const [kv] = kvs
    if (kv !== undefined) await this.#take(client, kv, sentAt)
    else await this.#campaign(client)
    return BigInt(header.revision)
  }

  /** Somebody leads: perhaps this replica, of which an answer was lost. */
  async #take(client: EtcdClient, kv: IKeyValue, sentAt: number): Promise<void> {
    if (this.#lease !== undefined && kv.lease === this.#lease) {
      this.#know(this.id, { lease: this.#lease, createRevision: kv.create_revision }, sentAt + this.#ttlMs)
      return
    }
    this.#know(kv.value.toString(), undefined, sentAt + this.#ttlMs)
    await this.#giveUpLease(client)
  }

  /** Nobody leads. */
  async #campaign(client: EtcdClient): Promise<void> {
    this.#know(undefined, undefined, 0)
    const now = performance.now()
    if (this.#forbiddenAt !== undefined && now - this.#forbiddenAt < forbiddenRetryMs) return
    const key = this.#key
    try {
      // A lease that was renewed before is another's time: the term begins with one of its own.
      await this.#giveUpLease(client)
      if (this.#abort.signal.aborted) return
      const sentAt = performance.now()
      this.#lease = (await client.leaseClient.leaseGrant({ TTL: this.#ttlMs / 1000 })).ID
      const { succeeded, header, responses } = await client.kv.txn({
        compare: [{ key, target: 'Create', result: 'Equal', create_revision: '0' }],
        success: [{ request_put: { key, value: Buffer.from(this.id), lease: this.#lease } }],
        failure: [{ request_range: { key } }],
      })
      this.#forbiddenAt = undefined
      if (succeeded) {
        this.#know(this.id, { lease: this.#lease, createRevision: header.revision }, sentAt + this.#ttlMs)
        return
      }
      const [kv] = responses[0]?.response_range?.kvs ?? []
      if (kv !== undefined) await this.#take(client, kv, sentAt)
    } catch (error) {
      if (!isForbidden(error)) throw error
      this.#forbiddenAt = now
      await this.#giveUpLease(client)
      this.#tell(this.#forbidden('write'))
    }
  }

  /** Deletes what hangs on it, too. */
  async #giveUpLease(client: EtcdClient): Promise<void> {
    const lease = this.#lease
    if (lease === undefined) return
    this.#lease = undefined
    try {
      await client.leaseClient.leaseRevoke({ ID: lease })
    } catch (error) {
      // It ends by itself.
      this.#log.debug({ error: etcdFailure(error) }, 'a lease could not be given up')
    }
  }

  /** From now on, and until `until`, that is so. */
  #know(leader: string | undefined, term: Term | undefined, until: number): void {
    const isOver = this.#abort.signal.aborted
    this.#leader = isOver ? undefined : leader
    this.#term = isOver ? undefined : term
    this.#until = isOver ? 0 : until
    clearTimeout(this.#expiry)
    const leftMs = this.#until - performance.now()
    // etcd has not answered for a term by then: somebody else may lead. A timer that fires a moment early ends it early.
    if (leftMs > 0) this.#expiry = setTimeout(() => this.#know(undefined, undefined, 0), leftMs).unref()
    this.#notify()
  }

  #notify(): void {
    const state = JSON.stringify([this.leader, this.isLeader, this.#term?.createRevision, this.#term?.lease])
    if (state === this.#told) return
    this.#told = state
    this.#log.info({ leader: this.leader, isLeader: this.isLeader }, 'leader of the replicas')
    for (const listener of this.#listeners) {
      try {
        listener()
      } catch (error) {
        this.#log.error({ err: error }, `what follows from another leader failed: ${messageOf(error)}`)
      }
    }
  }

  #forbidden(what: 'read' | 'write'): string {
    return `the etcd user ${this.#options.auth?.user ?? '(none)'} may not ${what} ${this.#key.toString()}`
  }

  #tell(trouble: string | undefined): void {
    if (trouble === this.#trouble) return
    this.#trouble = trouble
    const key = this.#key.toString()
    if (trouble === undefined) this.#log.info({ key }, 'this replica can lead again')
    else
      this.#log.warn({ key, error: trouble }, 'this replica cannot lead the others, nor know who does; it tries again')
  }
}
