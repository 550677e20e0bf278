import { randomUUID } from 'node:crypto'
import type { IKeyValue } from 'etcd3'
import { messageOf, type Problem } from '../errors.ts'
import type { Log } from '../log.ts'
import { type EtcdClient, type EtcdOptions, fleetPrefix, isForbidden } from '../source/etcd-client.ts'
import { renewLease } from '../source/etcd-lease.ts'
import { readAll } from '../source/etcd-read.ts'
import { createEtcdSession, type EtcdSession, patienceMs } from '../source/etcd-session.ts'
import { createHint } from '../source/hint.ts'
import { fleetProblem, forbiddenRetryMs, writeRightFix } from './fleet-problem.ts'

/** What a replica says of itself to the others. */
export interface ReplicaFacts {
  readonly id: string
  readonly host: string
  /** Of fairlead. */
  readonly version: string
  /** RFC 3339. */
  readonly startedAt: string
  /** Which sources it reads: replicas that read the same should serve the same. */
  readonly sources: readonly string[]
  /** A digest of what it serves; null before it serves anything. */
  readonly config: string | null
  /** Its standing problems that are errors. */
  readonly errors: number
  readonly streams: number
}

export interface Replica extends ReplicaFacts {
  /** It is the one that was asked. */
  readonly isSelf: boolean
}

/** Who is there. */
export interface Replicas {
  /** In order of id; this one always, the others as of some seconds ago. */
  list(): readonly Replica[]
  /** What is wrong with them, or with saying that this one is there. */
  readonly problems: readonly Problem[]
  /** Whether etcd answered when it was last asked. */
  readonly isReachable: boolean
  /** Says at once that this one is gone. */
  close(): Promise<void>
}

export interface ReplicasOptions extends EtcdOptions {
  readonly id: string
  /** Of now; asked for every few seconds. */
  readonly facts: () => Promise<Omit<ReplicaFacts, 'id'>>
  /** It is told to nobody that this replica is there. */
  readonly isReadOnly: boolean
  readonly log: Log
  /** How long a replica that was killed is still listed, in whole seconds; 10 by default. */
  readonly ttlS?: number
  /** Replicas on the same sources that serve different things for so long are a problem; a minute by default. */
  readonly differenceMs?: number
}

/** Another of the same id is there under a lease of its own. */
interface Rival {
  readonly value: string
  readonly since: number
}

/** A config that another serves and this one does not. */
interface Difference {
  readonly config: string
  readonly since: number
}

export function replicasPrefix(options: Pick<EtcdOptions, 'prefix'>): string {
  return `${fleetPrefix(options)}replicas/`
}

/** Says that this replica is there, by the key `<prefix>replicas/<id>` under a lease, and looks who else is. */
export function createReplicas(options: ReplicasOptions): Replicas {
  return new ListedReplicas(options)
}

class ListedReplicas implements Replicas {
  readonly #options: ReplicasOptions
  readonly #session: EtcdSession
  readonly #key: Buffer
  readonly #ttlS: number
  readonly #instance = randomUUID()
  readonly #abort = new AbortController()
  readonly #wake = createHint()
  readonly #done: Promise<void>
  readonly #differences = new Map<string, Difference>()
  #own: ReplicaFacts | undefined
  #others: readonly ReplicaFacts[] = []
  #lease: string | undefined
  #written: string | undefined
  #writtenAt = 0
  #rival: Rival | undefined
  #forbiddenAt: number | undefined
  #said = new Set<string>()
  #isFull = false
  isReachable = false

  constructor(options: ReplicasOptions) {
    this.#options = options
    this.#ttlS = options.ttlS ?? 10
    this.#session = createEtcdSession(options)
    this.#key = Buffer.from(`${replicasPrefix(options)}${options.id}`)
    this.#done = this.#run()
  }

  list(): readonly Replica[] {
    const own = this.#own === undefined ? [] : [{ ...this.#own, isSelf: true }]
    return [...own, ...this.#others.map((one) => ({ ...one, isSelf: false }))].sort((a, b) => (a.id < b.id ? -1 : 1))
  }

  get problems(): readonly Problem[] {
    return [...this.#ownProblems(), ...this.#differenceProblems()]
  }

  async close(): Promise<void> {
    this.#abort.abort()
    this.#wake.give()
    // An etcd that is silent ends the lease by itself.
    await this.#session.closeAfter(this.#done, this.isReachable ? patienceMs : 0)
  }

  async #run(): Promise<void> {
    const { signal } = this.#abort
    while (!signal.aborted) {
      await this.#look()
      await this.#wake.wait((this.#ttlS * 1000) / 3, signal)
    }
    const lease = this.#lease
    if (lease === undefined || !this.isReachable) return
    await this.#try(async () => {
      await this.#session.run(async (client) => await client.leaseClient.leaseRevoke({ ID: lease }))
    })
  }

  async #look(): Promise<void> {
    const { facts, id, isReadOnly, log } = this.#options
    try {
      this.#own = { id, ...(await facts()) }
    } catch (error) {
      log.error({ err: error }, 'what this replica serves is not known')
    }
    this.isReachable = await this.#try(async () => {
      await this.#session.run(async (client) => {
        if (!isReadOnly) await this.#write(client)
        await this.#read(client)
      })
    })
    this.#sayProblems()
  }

  /** Whether etcd answered; why it did not is told by who reads the documents there. */
  async #try(task: () => Promise<void>): Promise<boolean> {
    try {
      await task()
      this.#isFull = false
      return true
    } catch (error) {
      const reason = messageOf(error)
      this.#options.log.debug({ error: reason }, 'the list of replicas cannot be read')
      // The one failure in which all others can still read.
      this.#isFull = reason.includes('database space exceeded')
      return isForbidden(error)
    }
  }

  async #read(client: EtcdClient): Promise<void> {
    const { entries } = await readAll(client, replicasPrefix(this.#options))
    const own = this.#key.toString()
    // Somebody deleted it.
    if (entries.every(({ key }) => key !== own)) this.#written = undefined
    this.#others = entries.filter(({ key }) => key !== own).flatMap(({ value }) => factsIn(value) ?? [])
    this.#compare()
  }

  async #write(client: EtcdClient): Promise<void> {
    const now = performance.now()
    if (this.#own === undefined) return
    if (this.#forbiddenAt !== undefined && now - this.#forbiddenAt < forbiddenRetryMs) return
    if (this.#lease !== undefined && !(await renewLease(client, this.#lease, this.#options))) {
      this.#lease = undefined
      this.#written = undefined
    }
    const value = JSON.stringify({ ...this.#own, instance: this.#instance })
    // Where there are many changes, each would be a write of etcd's.
    const isSoon = this.#written !== undefined && now - this.#writtenAt < this.#ttlS * 400
    if (value === this.#written || isSoon) return
    try {
      await this.#put(client, value)
      this.#forbiddenAt = undefined
    } catch (error) {
      if (!isForbidden(error)) throw error
      this.#forbiddenAt = now
    }
  }

  async #put(client: EtcdClient, value: string): Promise<void> {
    const key = this.#key
    this.#lease ??= (await client.leaseClient.leaseGrant({ TTL: this.#ttlS })).ID
    const lease = this.#lease
    const put = { request_put: { key, value: Buffer.from(value), lease } }
    const held = await client.kv.txn({
      compare: [{ key, target: 'Lease', result: 'Equal', lease }],
      success: [put],
      failure: [{ request_range: { key } }],
    })
    if (!held.succeeded) {
      const [kv] = held.responses[0]?.response_range?.kvs ?? []
      if (kv !== undefined) return this.#meet(kv)
      const compare = [{ key, target: 'Create' as const, result: 'Equal' as const, create_revision: '0' }]
      // Whoever was quicker is met at the next look.
      if (!(await client.kv.txn({ compare, success: [put] })).succeeded) return
    }
    this.#rival = undefined
    this.#written = value
    this.#writtenAt = performance.now()
  }

  /** This replica before it was killed, whose lease has not ended yet; or another, which renews it. */
  #meet({ value }: IKeyValue): void {
    this.#rival = { value: value.toString(), since: this.#rival?.since ?? performance.now() }
  }

  #compare(): void {
    const own = this.#own
    for (const id of this.#differences.keys()) {
      if (this.#others.every((one) => one.id !== id)) this.#differences.delete(id)
    }
    for (const other of this.#others) {
      const { id, config } = other
      if (
        own === undefined ||
        !shouldBeAlike(own, other) ||
        config === null ||
        own.config === null ||
        config === own.config
      ) {
        this.#differences.delete(id)
      } else if (this.#differences.get(id)?.config !== config) {
        // Under a stream of changes two replicas are hardly ever seen at the same one; each goes on to the next.
        this.#differences.set(id, { config, since: performance.now() })
      }
    }
  }

  #ownProblems(): readonly Problem[] {
    const key = this.#key.toString()
    if (this.#forbiddenAt !== undefined) {
      const user = this.#options.auth?.user ?? '(none)'
      const message = `the etcd user ${user} may not write ${key}: the other replicas do not hear of this one`
      return [fleetProblem(key, message, writeRightFix)]
    }
    if (this.#isFull) {
      const message = 'etcd has no space left: what the replicas know of each other is of before'
      return [fleetProblem(key, message, 'compact and defragment etcd, then disarm its alarm')]
    }
    const rival = this.#rival
    if (rival === undefined || performance.now() - rival.since < this.#ttlS * 2_000) return []
    const facts = factsIn(rival.value)
    const where = facts === undefined ? '' : ` on ${facts.host}, started at ${facts.startedAt},`
    const message = `another replica${where} is called ${this.#options.id}, too: this one is not listed`
    return [fleetProblem(key, message, 'give each replica a --replica-id of its own')]
  }

  #differenceProblems(): readonly Problem[] {
    const { differenceMs = 60_000 } = this.#options
    const now = performance.now()
    return [...this.#differences].flatMap(([id, { config, since }]) => {
      if (now - since < differenceMs) return []
      const here = this.#own?.config ?? ''
      const message = `${id} serves something else from the same sources: ${config.slice(0, 8)} there, ${here.slice(0, 8)} here`
      const fix =
        'restart the one that does not hear of changes (`fairlead snapshots list`), or see that both read the same files'
      return [fleetProblem(`${replicasPrefix(this.#options)}${id}`, message, fix)]
    })
  }

  #sayProblems(): void {
    const said = new Set<string>()
    for (const { code, origin, path, message, fix } of this.problems) {
      // Digests go on changing; who differs is said once.
      const text = message.replace(/: [0-9a-f]{8} there.*/, '')
      said.add(text)
      if (this.#said.has(text)) continue
      this.#options.log.warn({ code, place: origin.name, path, problem: message, fix }, 'problem of the replicas')
    }
    this.#said = said
  }
}

/** One that has errors which the other has not says so itself: it cannot read a source, or no Envoy told it a name that a document needs. */
function shouldBeAlike(one: ReplicaFacts, other: ReplicaFacts): boolean {
  const [a, b] = [one, other].map(({ version, sources, errors }) => JSON.stringify([version, sources, errors]))
  return a === b
}

/** Undefined for what no replica wrote, or one that says less of itself. */
function factsIn(value: Buffer | string): ReplicaFacts | undefined {
  let read: Partial<Record<keyof ReplicaFacts, unknown>> | null
  try {
    read = JSON.parse(value.toString())
  } catch {
    return undefined
  }
  const { id, host, version, startedAt, sources, config, errors, streams } = read ?? {}
  if (typeof id !== 'string' || typeof host !== 'string' || typeof version !== 'string') return undefined
  if (
    typeof startedAt !== 'string' ||
    typeof streams !== 'number' ||
    typeof errors !== 'number' ||
    !Array.isArray(sources)
  )
    return undefined
  if (config !== null && typeof config !== 'string') return undefined
  return { id, host, version, startedAt, sources: sources.map(String), config, errors, streams }
}
