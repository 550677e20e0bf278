import { setImmediate as nextTick } from 'node:timers/promises'
import { ControlPlaneError, messageOf, type Problem } from '../errors.ts'
import type { Log } from '../log.ts'
import type { EnvoyApi } from '../resource/envoy-api.ts'
import type { Resource } from '../resource/resource.ts'
import { redactBytes } from '../resource/secrecy/redact-bytes.ts'
import { isOwnType } from '../resource/type-url.ts'
import { countChanges } from './history/diff.ts'
import { frameRecord } from './history/log.ts'
import type { HistoryPlace } from './history/place.ts'
import {
  encodeRecord,
  type HistoryRecord,
  historyFormat,
  type RevisionRecord,
  type RevisionSummary,
  summaryOf,
} from './history/record.ts'
import { replaySegment } from './history/replay.ts'
import { type RestoredState, restoreHistory } from './history/restore.ts'
import { MemorySegment, type Segment, type SegmentContent, sizeOf } from './history/segment.ts'
import { type BlobStore, baseRecords, isRewritten, isSameContent, stepRecords } from './history/step.ts'
import { type RevisionView, viewRevision } from './history/view.ts'
import type { Unit } from './unit.ts'

export interface HistoryOptions {
  readonly place: HistoryPlace
  /** More than that are forgotten, oldest first. */
  readonly maxRevisions?: number
  /** On disk; while it cannot be written to, a quarter of that in memory. The newest state is kept in any case. */
  readonly maxBytes?: number
  readonly api: EnvoyApi
  readonly log: Log
  /** Milliseconds since the epoch. */
  readonly now?: () => number
}

export interface HistoryStep {
  /** Units that are in force now in another form than before. */
  readonly upserted: readonly Unit[]
  /** Keys of units that are no longer in force. */
  readonly removed: readonly string[]
  readonly cause: {
    /** Names of the source documents whose change it is. */
    readonly documents: readonly string[]
  }
  /** Facts of the whole world (which sources had documents); absent: as before. */
  readonly meta?: Readonly<Record<string, string>>
}

/** What was in force when the last server that wrote there ended. */
export interface RestoredHistory {
  /** Sensitive resources among theirs are not ready (rule 53). */
  readonly units: readonly Unit[]
  readonly revision: number
  readonly meta: Readonly<Record<string, string>>
}

/** The revisions of this server, and the last good state on disk. Nothing that it does fails a caller. */
export interface History {
  readonly restored: RestoredHistory | undefined
  /** What is in force as of the newest `append`, by key. */
  readonly current: ReadonlyMap<string, Unit>
  /** The newest revision, 0 before the first. */
  readonly revision: number
  /** What keeps revisions from the disk now. */
  readonly problem: Problem | undefined
  /**
   * Notes a revision and returns its number at once; encoding and writing follow in later ticks. A step that changes
   * nothing is no revision: the newest is returned.
   */
  append(step: HistoryStep): number
  /**
   * Takes note of units that hold what they held, and were written otherwise or stand elsewhere now: that is no revision,
   * and is told with the next one.
   */
  refresh(units: readonly Unit[]): void
  /** The revisions that are kept, oldest first. */
  list(): readonly RevisionSummary[]
  /** Everything in force at a revision; undefined when it is not kept. */
  show(revision: number): Promise<RevisionView | undefined>
  /** Resolves when everything appended so far is on the disk, or cannot be (see `problem`). */
  flush(): Promise<void>
  /** Flushes and lets go of the place. */
  close(): Promise<void>
  /** Lets go of the place, which is somebody else's now: what is not written yet never will be. */
  abandon(): Promise<void>
}

/** A step that is not yet in a segment. */
interface PendingStep {
  /** Greater than that which `append` returned where another server wrote meanwhile. */
  revision: number
  readonly time: string
  readonly upserted: readonly Unit[]
  readonly removed: readonly string[]
  /** The former forms of the units that it changes and removes. */
  readonly before: readonly Unit[]
  readonly documents: readonly string[]
  readonly meta: Readonly<Record<string, string>>
  record?: RevisionRecord
}

/** How many names of documents a revision keeps. */
const documentNames = 10
const retryMs = 5000
const syncMs = 1000
/** The encoder lets the event loop have a turn after so much work: a resource weighs 1, and 4 KiB of bytes weigh 1. */
const sliceWeight = 64

/**
 * Opens the history in its place and restores what that holds. A place that cannot be used is a `problem`.
 * @throws ControlPlaneError `api` when the descriptors lack the history's own schema.
 */
export async function createHistory(options: HistoryOptions): Promise<History> {
  // Without the schema every file would look damaged.
  encodeRecord(options.api, { kind: 'header', format: historyFormat })
  const history = new SnapshotHistory(options)
  await history.open()
  return history
}

class SnapshotHistory implements History {
  readonly #api: EnvoyApi
  readonly #log: Log
  readonly #now: () => number
  readonly #maxRevisions: number
  readonly #maxBytes: number
  readonly #place: HistoryPlace
  readonly #blobs: Omit<BlobStore, 'keys'> = { contentOf: (resource) => this.#contentOf(resource) }
  /** As of the newest `append`. */
  readonly #current = new Map<string, Unit>()
  /** As of the newest revision in a segment. */
  readonly #written = new Map<string, Unit>()
  /** Of `#written`, those that the open segment has at former places of their documents. */
  readonly #moved = new Set<string>()
  /** Of those, what the next revision tells the text and place of. */
  readonly #rewritten = new Set<string>()
  #last: RevisionRecord = emptyRevision
  #meta: Readonly<Record<string, string>> = {}
  /** Redacted bytes of restored resources, whose content nobody has. */
  #redacted: ReadonlyMap<string, Uint8Array> = new Map()
  readonly #pending: PendingStep[] = []
  /** Oldest first. */
  #segments: Segment[] = []
  /** The last of `#segments`, while it can take more. */
  #open: Segment | undefined
  #disk: 'up' | 'down' | 'foreign' = 'up'
  /** The place was listed, so that its revisions are known. */
  #wasListed = false
  #triedAt = Number.NEGATIVE_INFINITY
  #syncTimer: NodeJS.Timeout | undefined
  /** While the place cannot be written to: no change may come for long. */
  #retryTimer: NodeJS.Timeout | undefined
  #saidTooLarge = false
  #isClosed = false
  /** Everything that touches segments runs in it, one after the other; never rejects. */
  #chain: Promise<void> = Promise.resolve()
  revision = 0
  restored: RestoredHistory | undefined
  problem: Problem | undefined

  constructor(options: HistoryOptions) {
    this.#api = options.api
    this.#log = options.log
    this.#now = options.now ?? Date.now
    this.#maxRevisions = options.maxRevisions ?? 100
    this.#maxBytes = options.maxBytes ?? 256 * 1024 * 1024
    this.#place = options.place
  }

  async open(): Promise<void> {
    try {
      const holder = await this.#place.open()
      if (holder !== undefined) this.#yieldTo(holder.pid)
    } catch (error) {
      this.#goDown(error)
    }
    // What cannot be written, as on a full disk, can be read all the same.
    try {
      const state = await restoreHistory(this.#place, this.#api, this.#log)
      this.#wasListed = true
      if (state !== undefined) this.#adopt(state)
    } catch (error) {
      this.#goDown(error)
    }
  }

  append(step: HistoryStep): number {
    const upserted: Unit[] = []
    const before: Unit[] = []
    const refreshed: Unit[] = []
    for (const unit of step.upserted) {
      const old = this.#current.get(unit.key)
      if (old !== undefined && isSameContent(old, unit)) refreshed.push(unit)
      else {
        upserted.push(unit)
        if (old !== undefined) before.push(old)
      }
      this.#current.set(unit.key, unit)
    }
    const removed: string[] = []
    for (const key of step.removed) {
      const old = this.#current.get(key)
      if (old === undefined) continue
      removed.push(key)
      before.push(old)
      this.#current.delete(key)
    }
    const isNewMeta = step.meta !== undefined && !isSameMeta(step.meta, this.#meta)
    if (step.meta !== undefined && isNewMeta) this.#meta = { ...step.meta }
    if (refreshed.length > 0) void this.#run(() => this.#refresh(refreshed))
    if (upserted.length > 0 || removed.length > 0 || isNewMeta) {
      this.revision++
      const time = new Date(this.#now()).toISOString()
      const documents = step.cause.documents
      const pending = { revision: this.revision, time, upserted, removed, before, documents, meta: this.#meta }
      this.#pending.push(pending)
      void this.#run(() => this.#write(pending))
    }
    return this.revision
  }

  refresh(units: readonly Unit[]): void {
    const known = units.filter(({ key }) => this.#current.has(key))
    for (const unit of known) this.#current.set(unit.key, unit)
    if (known.length > 0) void this.#run(() => this.#refresh(known))
  }

  list(): readonly RevisionSummary[] {
    const listed: RevisionSummary[] = []
    for (const { revisions } of this.#segments) {
      for (const record of revisions) {
        const isTold = record.isBase && (record.revision === 0 || listed.at(-1)?.revision === record.revision)
        if (!isTold) listed.push(summaryOf(record))
      }
    }
    for (const pending of this.#pending) listed.push(summaryOf(recordOf(pending)))
    return listed.slice(-this.#maxRevisions)
  }

  async show(revision: number): Promise<RevisionView | undefined> {
    await this.#run(() => Promise.resolve())
    if (!this.list().some((summary) => summary.revision === revision)) return undefined
    const segment = this.#segments.findLast(({ revisions }) => (revisions[0] as RevisionRecord).revision <= revision)
    if (segment === undefined) return undefined
    const file = await segment.read().catch((error: unknown) => {
      this.#log.warn({ err: error }, 'cannot read the history')
      return undefined
    })
    const replay = file && (await replaySegment(this.#api, file, { until: revision }))
    if (replay?.revisions.at(-1)?.revision !== revision) return undefined
    return viewRevision(this.#api, replay)
  }

  async flush(): Promise<void> {
    await this.#run(async () => {
      await this.#recover()
      await this.#sync()
    })
  }

  get current(): ReadonlyMap<string, Unit> {
    return this.#current
  }

  async close(): Promise<void> {
    await this.flush()
    await this.abandon()
  }

  async abandon(): Promise<void> {
    this.#isClosed = true
    clearTimeout(this.#syncTimer)
    clearTimeout(this.#retryTimer)
    await this.#run(async () => {
      try {
        await this.#open?.close()
        await this.#place.close()
      } catch (error) {
        this.#log.warn({ err: error }, 'cannot let go of the history')
      }
    })
  }

  #run(task: () => Promise<void>): Promise<void> {
    this.#chain = this.#chain.then(task).catch((error: unknown) => {
      this.#log.error({ err: error }, 'the history failed at a step')
    })
    return this.#chain
  }

  /** The same content at other places of its documents: worth no revision, told with the unit's next one. */
  #refresh(units: readonly Unit[]): Promise<void> {
    for (const unit of units) {
      if (isRewritten(unit, this.#written.get(unit.key))) this.#rewritten.add(unit.key)
      this.#written.set(unit.key, unit)
      this.#moved.add(unit.key)
    }
    return Promise.resolve()
  }

  async #write(step: PendingStep): Promise<void> {
    await nextTick()
    try {
      if (!this.#isClosed) await this.#writeStep(step, recordOf(step))
    } catch (error) {
      // The next revision begins a segment with everything in force, so what is lost is this one's place in the list.
      await this.#seal()
      throw error
    } finally {
      for (const unit of step.upserted) {
        this.#written.set(unit.key, unit)
        this.#moved.delete(unit.key)
      }
      for (const key of step.removed) this.#written.delete(key)
      this.#rewritten.clear()
      this.#last = recordOf(step)
      this.#pending.splice(this.#pending.indexOf(step), 1)
    }
    await this.#prune()
    const since = this.#now() - this.#triedAt
    // A clock that was set back says nothing of how long it is.
    if (since >= retryMs || since < 0) await this.#recover()
  }

  async #writeStep(step: PendingStep, record: RevisionRecord): Promise<void> {
    const segment = this.#open === undefined || this.#isFull(this.#open) ? await this.#begin() : this.#open
    const { upserted } = step
    const isUpserted = new Set(upserted.map(({ key }) => key))
    const rewritten = [...this.#rewritten].flatMap((key) => (isUpserted.has(key) ? [] : (this.#written.get(key) ?? [])))
    const encode = (keys: Set<string>): Promise<Uint8Array[]> =>
      this.#encode(stepRecords({ rewritten, upserted }, record, (key) => this.#toldOf(key), { ...this.#blobs, keys }))
    try {
      await segment.append(await encode(segment.blobKeys))
      segment.revisions.push(record)
      if (!segment.isInMemory) this.#syncSoon()
    } catch (error) {
      if (segment.isInMemory) throw error
      this.#goDown(error)
      const memory = await this.#begin()
      await memory.append(await encode(memory.blobKeys))
      memory.revisions.push(record)
    }
  }

  /** A unit as the open segment tells it; undefined where it must be told anew. */
  #toldOf(key: string): Unit | undefined {
    return this.#moved.has(key) ? undefined : this.#written.get(key)
  }

  /** Begins a segment with all that is written so far: on the disk, or while that is down in memory. */
  async #begin(): Promise<Segment> {
    await this.#seal()
    const blobKeys = new Set<string>()
    const chunks = await this.#encode(
      baseRecords(this.#written.values(), this.#last, { ...this.#blobs, keys: blobKeys }),
    )
    const base: RevisionRecord = { ...this.#last, removed: [], isBase: true }
    const content: SegmentContent = { chunks, baseSize: sizeOf(chunks), revisions: [base], blobKeys }
    const segment = (await this.#create(content)) ?? new MemorySegment(content)
    this.#segments.push(segment)
    this.#open = segment
    this.#moved.clear()
    return segment
  }

  async #create(content: SegmentContent): Promise<Segment | undefined> {
    if (this.#disk !== 'up') return undefined
    try {
      return await this.#place.create(content)
    } catch (error) {
      this.#goDown(error)
      return undefined
    }
  }

  /** Nothing more goes into the open segment. */
  async #seal(): Promise<void> {
    const segment = this.#open
    this.#open = undefined
    if (segment === undefined) return
    segment.blobKeys.clear()
    try {
      await segment.sync()
      await segment.close()
    } catch (error) {
      this.#goDown(error)
    }
  }

  /** Brings to the disk what had to stay in memory. */
  async #recover(): Promise<void> {
    if (this.#disk === 'up' || this.#isClosed) return
    this.#triedAt = this.#now()
    try {
      // Anew, because the trouble may be that somebody deleted the directory, lock and all.
      await this.#place.close()
      const holder = await this.#place.open()
      if (holder !== undefined) return this.#yieldTo(holder.pid)
      const step = this.#disk === 'foreign' ? await this.#takeOver() : undefined
      if (!this.#wasListed && (await this.#place.list()).length > 0) {
        throw new ControlPlaneError('io', 'a history was there that could not be read at start; a restart takes it up')
      }
      this.#wasListed = true
      for (const [index, segment] of this.#segments.entries()) {
        if (!(segment instanceof MemorySegment)) continue
        const file = await this.#place.create(segment)
        this.#segments[index] = file
        if (segment === this.#open) this.#open = file
        else await file.close()
      }
      this.#disk = 'up'
      this.problem = undefined
      this.#log.info({ directory: this.#place.name }, 'the history can be written again')
      if (step !== undefined) await this.#write(step)
    } catch (error) {
      this.#goDown(error)
    }
  }

  /**
   * The other server is gone: its revisions stay, and stand for those that this one had in memory. The step that leads from
   * its last one to what is in force here, if any, is yet to be written; numbers go on behind the greater of both.
   */
  async #takeOver(): Promise<PendingStep | undefined> {
    await this.#seal()
    const state = await restoreHistory(this.#place, this.#api, this.#log)
    this.#wasListed = true
    if (state === undefined) {
      this.#segments = this.#segments.filter((segment) => segment.isInMemory)
      return undefined
    }
    const own = { units: [...this.#written.values()], last: this.#last }
    const theirs = new Map(state.units.map((unit) => [unit.key, unit]))
    const isSame = (unit: Unit): boolean => {
      const their = theirs.get(unit.key)
      return their !== undefined && isSameContent(their, unit)
    }
    const upserted = own.units.filter((unit) => !isSame(unit))
    const removed = [...theirs.keys()].filter((key) => !this.#written.has(key))
    this.#segments = [...state.segments]
    this.#open = state.isWhole ? state.segments.at(-1) : undefined
    this.#redacted = new Map([...state.redacted, ...this.#redacted])
    this.#last = state.last
    this.#written.clear()
    for (const unit of state.units) this.#written.set(unit.key, unit)
    this.#moved.clear()
    this.#rewritten.clear()
    void this.#refresh(own.units.filter(isSame))

    const theirNumber = state.last.revision
    const isChanged = upserted.length > 0 || removed.length > 0 || !isSameMeta(own.last.meta, state.last.meta)
    const number = Math.max(own.last.revision, isChanged ? theirNumber + 1 : theirNumber)
    const ahead = number - own.last.revision
    this.revision += ahead
    for (const step of this.#pending) {
      step.revision += ahead
      if (step.record !== undefined) step.record = { ...step.record, revision: step.revision }
    }
    if (number === theirNumber) return undefined
    const before = [...upserted.map(({ key }) => key), ...removed].flatMap((key) => theirs.get(key) ?? [])
    const documents = [...new Set([...upserted, ...before].map(({ origin }) => origin.name))].sort()
    const time = new Date(this.#now()).toISOString()
    const step = { revision: number, time, upserted, removed, before, documents, meta: own.last.meta }
    this.#pending.unshift(step)
    return step
  }

  #goDown(error: unknown): void {
    if (this.#disk === 'foreign') return this.#retrySoon()
    if (this.#disk === 'up') {
      this.#log.warn(
        { directory: this.#place.name, error: messageOf(error) },
        'cannot write the history: it goes on in memory, and a restart would not have it',
      )
      this.#triedAt = Number.NEGATIVE_INFINITY
    }
    this.#disk = 'down'
    this.#retrySoon()
    this.problem = this.#problemOf(
      `the history cannot be written, and a restart would not have its newest revisions: ${messageOf(error)}`,
      this.#place.advice,
    )
  }

  #retrySoon(): void {
    if (this.#isClosed) return
    this.#retryTimer ??= setTimeout(() => {
      this.#retryTimer = undefined
      void this.#run(() => this.#recover())
    }, retryMs).unref()
  }

  #yieldTo(pid: number): void {
    if (this.#disk !== 'foreign') {
      this.#log.warn(
        { directory: this.#place.name, pid },
        'another server writes the history in this directory: this one keeps its own in memory',
      )
    }
    this.#disk = 'foreign'
    this.#retrySoon()
    this.problem = this.#problemOf(
      `another server (pid ${pid}) writes the history in this directory: this one keeps its own in memory only`,
      'give each server a directory of its own with --snapshots; where that one is about to end, this one takes its place by itself',
    )
  }

  #problemOf(message: string, fix: string): Problem {
    const origin = { name: this.#place.name }
    return { severity: 'warning', code: 'history', origin, path: '', message, fix }
  }

  #adopt(state: RestoredState): void {
    for (const unit of state.units) {
      this.#current.set(unit.key, unit)
      this.#written.set(unit.key, unit)
    }
    this.#redacted = state.redacted
    this.#last = state.last
    this.#meta = state.last.meta
    this.revision = state.last.revision
    this.#segments = [...state.segments]
    // What another server writes to is only read; what stands behind damage would not be read at the next start.
    this.#open = this.#disk === 'up' && state.isWhole ? state.segments.at(-1) : undefined
    this.restored = { units: state.units, revision: this.revision, meta: this.#meta }
  }

  #isFull(segment: Segment): boolean {
    const bytes = segment.isInMemory ? this.#maxBytes / 4 : this.#maxBytes
    return (
      segment.revisions.length - 1 >= Math.max(1, Math.floor(this.#maxRevisions / 4)) ||
      (segment.size >= bytes / 4 && segment.size > 2 * segment.baseSize)
    )
  }

  /** Deletes the oldest segments while there is too much; the newest stays, however large. */
  async #prune(): Promise<void> {
    const own = this.#disk === 'foreign' ? this.#segments.filter((segment) => segment.isInMemory) : this.#segments
    const revisionsOf = (segments: readonly Segment[]): number =>
      segments.reduce((sum, segment) => sum + segment.revisions.length - 1, 0)
    const bytesOf = (segments: readonly Segment[]): number => segments.reduce((sum, segment) => sum + segment.size, 0)
    const inMemory = own.filter((segment) => segment.isInMemory)
    while (inMemory.length > 1 && bytesOf(inMemory) > this.#maxBytes / 4) {
      const oldest = inMemory.shift() as Segment
      this.#segments = this.#segments.filter((segment) => segment !== oldest)
    }
    const kept = this.#segments.filter((segment) => own.includes(segment))
    while (kept.length > 1 && (revisionsOf(kept) > this.#maxRevisions || bytesOf(kept) > this.#maxBytes)) {
      const oldest = kept.shift() as Segment
      this.#segments = this.#segments.filter((segment) => segment !== oldest)
      try {
        await oldest.remove()
      } catch (error) {
        this.#log.warn({ err: error }, 'cannot delete an old part of the history')
      }
    }
    const newest = kept.at(-1)
    if (!this.#saidTooLarge && newest !== undefined && newest.baseSize > this.#maxBytes) {
      this.#saidTooLarge = true
      this.#log.warn(
        { directory: this.#place.name, bytes: newest.baseSize, limit: this.#maxBytes },
        'what is in force alone is more than the history may hold; it is kept nevertheless',
      )
    }
  }

  #syncSoon(): void {
    this.#syncTimer ??= setTimeout(() => void this.#run(() => this.#sync()), syncMs).unref()
  }

  async #sync(): Promise<void> {
    clearTimeout(this.#syncTimer)
    this.#syncTimer = undefined
    try {
      await this.#open?.sync()
    } catch (error) {
      this.#goDown(error)
      await this.#seal()
    }
  }

  async #encode(records: Iterable<HistoryRecord>): Promise<Uint8Array[]> {
    const chunks: Uint8Array[] = []
    let frames: Uint8Array[] = []
    let weight = 0
    for (const record of records) {
      frames.push(frameRecord(encodeRecord(this.#api, record)))
      weight += weightOf(record)
      if (weight < sliceWeight) continue
      chunks.push(Buffer.concat(frames))
      frames = []
      weight = 0
      await nextTick()
    }
    return [...chunks, Buffer.concat(frames)]
  }

  /** Never the bytes of a sensitive resource: where they cannot be redacted, nothing. */
  #contentOf(resource: Resource): Uint8Array | undefined {
    if (!resource.isReady) return this.#redacted.get(resource.version)
    if (!resource.isSensitive) return resource.bytes
    // What is sensitive in the free form of a Patch has no marks to go by.
    if (isOwnType(resource.typeUrl)) return undefined
    try {
      return redactBytes(this.#api, resource.typeUrl, resource.bytes)
    } catch {
      // The error could quote what it was about.
      this.#log.warn(
        { type: resource.typeUrl, name: resource.name },
        'cannot redact a resource: the history keeps nothing of its content',
      )
      return undefined
    }
  }
}

const emptyRevision: RevisionRecord = {
  kind: 'revision',
  revision: 0,
  time: '',
  documents: { count: 0, names: [] },
  counts: [],
  meta: {},
  removed: [],
  isBase: true,
}

function recordOf(step: PendingStep): RevisionRecord {
  step.record ??= {
    kind: 'revision',
    revision: step.revision,
    time: step.time,
    documents: { count: step.documents.length, names: step.documents.slice(0, documentNames) },
    counts: countChanges(step.before, step.upserted),
    meta: step.meta,
    removed: step.removed,
    isBase: false,
  }
  return step.record
}

function weightOf(record: HistoryRecord): number {
  if (record.kind === 'unit') return record.resources.length
  if (record.kind === 'blob') return 1 + record.content.length / 4096
  return 1
}

function isSameMeta(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const keys = Object.keys(a)
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key])
}
