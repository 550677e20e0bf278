import { EventEmitter, once } from 'node:events'
import { setImmediate as nextTick } from 'node:timers/promises'
import type { SnapshotCache } from './cache/cache.ts'
import { documentIdOf } from './config/document-key.ts'
import { DocumentLedger, type Listing, type Parse, type Reading } from './document-ledger.ts'
import { formatOrigin, isError, messageOf, type Origin, type Problem } from './errors.ts'
import type { ReadText } from './fleet/last-good.ts'
import type { Log } from './log.ts'
import type { Metrics } from './metrics.ts'
import { isKindUnit, isSameForm } from './snapshot/unit.ts'
import type { GeneratedStep, Unit, UnitChange, WorldStep } from './snapshot/world.ts'
import { byPlace } from './snapshot/world-problem.ts'
import type { Document, Source, SourceUpdate } from './source/source.ts'

/** A source, and how the ids of all its documents begin: by that, restored units are known to be its. */
export interface PipelineSource {
  readonly source: Source
  readonly idPrefix: string
  /** That nothing is left in it is as likely as anything else: who registers goes away, too. */
  readonly mayBeEmpty?: boolean
  /** The `idPrefix` of another source of the same server: what both cannot do is told once. */
  readonly besides?: string
}

/** What the pipeline needs of the world of units in force (snapshot/world.ts). */
export interface PipelineWorld {
  readonly inForce: ReadonlyMap<string, Unit>
  readonly generated: ReadonlyMap<string, Unit>
  apply(changes: readonly UnitChange[], options: { readonly isFirst: boolean }): WorldStep
  addStaticNames(names: Readonly<Record<string, readonly string[]>>): WorldStep
}

/** What the pipeline needs of the history (snapshot/store.ts). */
export interface PipelineHistory {
  /** The newest revision, also when it is of an earlier process; 0 before the first. */
  readonly revision: number
  readonly problem: Problem | undefined
  append(step: {
    readonly upserted: readonly Unit[]
    readonly removed: readonly string[]
    readonly cause: { readonly documents: readonly string[] }
  }): number
  /** Takes note of units that hold what they held, and were written otherwise or elsewhere: no revision. */
  refresh(units: readonly Unit[]): void
}

/** What documents name by `file:`. */
export interface AttachedTo {
  /** Ids of documents that are to be read anew though their text is the same. */
  changes(signal: AbortSignal): AsyncIterable<readonly string[]>
  /** A document that is gone names nothing more. */
  forget(documentId: string): void
}

/** What the replicas on one etcd share of their documents (fleet/good-documents.ts). */
export interface SharedDocuments {
  /** How the ids of all of them begin. */
  readonly idPrefix: string
  /** What was last in force of documents, by their ids; undefined while that cannot be read. */
  read(): Promise<readonly Document[] | undefined>
  /** Whether what was in force is newer than one that was read. */
  isNewer(inForce: Origin, read: Origin): boolean
  note(read: ReadText): void
  settle(inForce: ReadonlyMap<string, Unit>): void
}

export interface PipelineDeps {
  readonly sources: readonly PipelineSource[]
  readonly parse: Parse
  readonly attached?: AttachedTo
  /** Holds what the history restored, until the sources were read. */
  readonly world: PipelineWorld
  readonly cache: SnapshotCache
  readonly history: PipelineHistory
  /** What the documents were translated to when the history ended. */
  readonly lastGenerated?: Iterable<Unit>
  readonly shared?: SharedDocuments | undefined
  /** Standing problems of others, who log them. */
  readonly besides?: () => readonly Problem[]
  readonly metrics: Metrics
  readonly log: Log
}

export interface PipelineOptions {
  /** How long the sources must be quiet before a build. */
  readonly debounceMs: number
  /** How long a build waits at most while they are not quiet. */
  readonly debounceMaxMs: number
  /** A source that became empty empties the world. */
  readonly allowEmpty: boolean
}

export interface SourceStatus {
  readonly name: string
  /** `waiting`: not yet read; `unreachable`: it was read, or the last good serves in its place. */
  readonly state: 'waiting' | 'read' | 'unreachable'
  readonly documents: number
}

/** From sources to the cache: keeps what they hold, and on a change re-parses what changed and applies what follows. */
export interface Pipeline {
  /** Once every source was read, or the last good serves in its place (rule 104). */
  readonly isReady: boolean
  /** Some source cannot be read and the history's last good serves in its place. */
  readonly isServingRestored: boolean
  readonly sources: readonly SourceStatus[]
  /** All standing problems, in order of place. */
  readonly problems: readonly Problem[]
  /** The newest revision of the history; 0 before the first. */
  readonly revision: number
  /** Resolves at the first build. */
  readonly ready: Promise<void>
  /** Names that a connected node's bootstrap holds. */
  addStaticNames(names: Readonly<Record<string, readonly string[]>>): void
  /** Resolves when every change that was seen so far has been built. */
  settled(): Promise<void>
  /**
   * Resolves once what is in force is of all that had been written to the sources when it was called (rule 87); a source that
   * cannot be read is waited for; where there never was a document, the first ones; what cannot be built, for a minute.
   * Undefined where no source can be behind another server's, and none be empty by mistake.
   * @throws the reason of `signal` when that aborts
   */
  readonly caughtUp: ((signal: AbortSignal) => Promise<void>) | undefined
  close(): Promise<void>
}

interface SourceState {
  readonly source: Source
  readonly idPrefix: string
  readonly mayBeEmpty: boolean
  readonly besides: string | undefined
  status: SourceStatus['state']
  wasRead: boolean
  /** What it lists now. */
  readonly listed: Map<string, Document>
  /** By id: where it is. */
  unreadable: ReadonlyMap<string, Origin>
  /** Ids whose listing differs from what was applied. */
  readonly dirty: Set<string>
  problems: readonly Problem[]
  unreachable: Problem | undefined
  isEmpty: boolean
  /** It told a document, be that gone by now. */
  hadDocument: boolean
}

/** Names in one line of the log. */
const namedAtMost = 20

/** After so long what other replicas served last is asked for again, where it could not be read. */
const lastGoodRetryMs = 2_000

/** After so long a build that failed is tried again, where no change comes. */
const buildRetryMs = 5_000

/** For so long what cannot be built keeps those waiting who may have something newer (rule 87). */
const failedBuildMs = 60_000

/** Where there was nothing, what comes first may be a part: it counts as all when nothing more came for so long. */
const filledMs = 2_000

/** But who has something waits for that no longer than so. */
const fillingMaxMs = 60_000

/** How long parsing may keep the event loop before it lets streams have it. */
const sliceMs = 10

export function createPipeline(deps: PipelineDeps, options: PipelineOptions): Pipeline {
  return new SnapshotPipeline(deps, options)
}

class SnapshotPipeline implements Pipeline {
  readonly #deps: PipelineDeps
  readonly #options: PipelineOptions
  readonly #states: readonly SourceState[]
  readonly #abort = new AbortController()
  readonly #watching: Promise<void>
  readonly #ledger: DocumentLedger
  /** Ids of restored documents whose source is no longer given. */
  readonly #orphans = new Set<string>()
  readonly #hasRestored: boolean
  readonly #staticNames = new Set<string>()
  readonly ready: Promise<void>
  readonly caughtUp: Pipeline['caughtUp']
  #resolveReady: () => void = () => {}
  #worldProblems: readonly Problem[] = []
  #withheldProblems: readonly Problem[] = []
  #problems: readonly Problem[] = []
  #said = new Set<string>()
  #timer: NodeJS.Timeout | undefined
  #firstChangeAt: number | undefined
  #building: Promise<void> = Promise.resolve()
  readonly #builds = new EventEmitter<{ build: [] }>()
  /** Since when builds end in an error of the server. */
  #failingSince: number | undefined
  #buildRetry: NodeJS.Timeout | undefined
  /** What the world did, and cache and history do not know yet, for the build failed: it goes with the next. */
  #unfinished: { readonly step: WorldStep; readonly documents: readonly string[] } | undefined
  /** Since when documents come in where there was none. */
  #fillingSince: number | undefined
  #filled: NodeJS.Timeout | undefined
  #hasTakenLastGood = false
  #lastGoodRetry: NodeJS.Timeout | undefined
  isReady = false

  constructor(deps: PipelineDeps, options: PipelineOptions) {
    this.#deps = deps
    this.#options = options
    this.ready = new Promise((resolve) => {
      this.#resolveReady = resolve
    })
    this.#states = deps.sources.map(({ source, idPrefix, mayBeEmpty = false, besides }) => ({
      source,
      idPrefix,
      mayBeEmpty,
      besides,
      status: 'waiting',
      wasRead: false,
      listed: new Map(),
      unreadable: new Map(),
      dirty: new Set(),
      problems: [],
      unreachable: undefined,
      isEmpty: false,
      hadDocument: false,
    }))
    deps.metrics.problems.from(() => {
      const { problems } = this
      const errors = problems.filter(isError).length
      return new Map([
        [{ severity: 'error' }, errors],
        [{ severity: 'warning' }, problems.length - errors],
      ])
    })
    deps.metrics.historyUp.from(() => new Map([[{}, deps.history.problem === undefined ? 1 : 0]]))
    const canLag = deps.sources.some(({ source }) => source.caughtUp !== undefined)
    // A source that is empty by mistake is as far behind as can be, whatever it is.
    const canBeAsked = canLag || !options.allowEmpty
    this.caughtUp = canBeAsked ? async (signal) => await this.#caughtUp(signal) : undefined
    const { inForce } = deps.world
    this.#ledger = new DocumentLedger({ parse: deps.parse, inForce, log: deps.log })
    this.#hasRestored = inForce.size > 0
    for (const key of inForce.keys()) {
      const id = documentIdOf(key)
      this.#ledger.remember(id, key)
      if (!this.#states.some((state) => this.#owns(state, id))) this.#orphans.add(id)
    }
    this.#watching = Promise.all([...this.#states.map((state) => this.#watch(state)), this.#watchAttached()]).then(
      () => undefined,
    )
  }

  get sources(): readonly SourceStatus[] {
    return this.#states.map((state) => ({
      name: state.source.name,
      state: state.status,
      documents: state.listed.size,
    }))
  }

  get isServingRestored(): boolean {
    return this.isReady && this.#states.some((state) => !state.wasRead)
  }

  get problems(): readonly Problem[] {
    const besides = this.#deps.besides?.() ?? []
    return besides.length === 0 ? this.#ownProblems : [...this.#ownProblems, ...besides].sort(byPlace)
  }

  get #ownProblems(): readonly Problem[] {
    // The history is written behind the builds: what keeps it from the disk is known when nothing else happens.
    const { problem } = this.#deps.history
    return problem === undefined ? this.#problems : [...this.#problems, problem].sort(byPlace)
  }

  get revision(): number {
    return this.#deps.history.revision
  }

  addStaticNames(names: Readonly<Record<string, readonly string[]>>): void {
    // Every stream tells them, so what is no news must cost nothing.
    const told = Object.entries(names).flatMap(([word, list]) => list.map((name) => `${word}\0${name}`))
    if (told.every((name) => this.#staticNames.has(name))) return
    for (const name of told) this.#staticNames.add(name)
    void this.#enqueue(() => {
      const step = this.#deps.world.addStaticNames(names)
      if (this.isReady) this.#bringIn(step, [], performance.now())
    })
  }

  async settled(): Promise<void> {
    while (this.#timer !== undefined) await this.#build()
    await this.#building
  }

  async #caughtUp(signal: AbortSignal): Promise<void> {
    await Promise.all(this.#states.map(async ({ source }) => await source.caughtUp?.(signal)))
    // With a prefix that is misspelt, or an etcd that was set up anew, whoever has something has what is newer. A build ends that, for what
    // others served last is taken in one, and every note is followed by one.
    // Before the first build nothing is known of a source that nobody has to ask.
    const isUnknown = (): boolean => !this.isReady && this.#failingSince === undefined
    while (isUnknown() || this.#hasNothing || this.#fillingSince !== undefined) await this.#nextBuild(signal)
    // What they told is noted. One build takes all of it, and who waits for more would wait as long as there are changes.
    await (this.#timer === undefined ? this.#building : this.#build())
    // What was not built is not in force. But it may never be, and who has something else is to hear of this server at last.
    while (this.#failingSince !== undefined && performance.now() - this.#failingSince < failedBuildMs) {
      await this.#nextBuild(signal)
    }
  }

  /** @throws the reason of `signal` when that aborts */
  async #nextBuild(signal: AbortSignal): Promise<void> {
    await once(this.#builds, 'build', { signal }).catch(() => signal.throwIfAborted())
  }

  async close(): Promise<void> {
    this.#abort.abort()
    clearTimeout(this.#timer)
    clearTimeout(this.#lastGoodRetry)
    clearTimeout(this.#buildRetry)
    clearTimeout(this.#filled)
    await this.#watching
    await this.#building
  }

  async #watch(state: SourceState): Promise<void> {
    const { log } = this.#deps
    try {
      for await (const update of state.source.watch(this.#abort.signal)) this.#note(state, update)
    } catch (error) {
      // A source must not throw; if one does, what it gave stays in force, and the operator hears of it.
      log.error({ source: state.source.name, err: error }, 'source failed')
      const origin = { name: state.source.name }
      const message = `the source ended: ${messageOf(error)}`
      const fix = 'restart the server; the last good configuration serves meanwhile'
      this.#note(state, {
        kind: 'unreachable',
        problem: { severity: 'error', code: 'source-unreachable', origin, path: '', message, fix },
      })
    }
  }

  async #watchAttached(): Promise<void> {
    const { attached, log } = this.#deps
    if (attached === undefined) return
    try {
      for await (const ids of attached.changes(this.#abort.signal)) {
        for (const id of ids) for (const { listed, dirty } of this.#states) if (listed.has(id)) dirty.add(id)
        this.#schedule()
      }
    } catch (error) {
      log.error({ err: error }, 'files that documents name are watched no more; restart the server')
    }
  }

  #note(state: SourceState, update: SourceUpdate): void {
    const { metrics, log } = this.#deps
    const hadNothing = this.#hasNothing
    metrics.sourceUp.set({ source: state.source.name }, update.kind === 'read' ? 1 : 0)
    if (update.kind === 'unreachable') {
      state.status = 'unreachable'
      state.unreachable = update.problem
    } else {
      if (!state.wasRead) {
        // What the history restored for this source and the source no longer lists is deleted.
        for (const id of this.#ledger.ids) if (this.#owns(state, id)) state.dirty.add(id)
      }
      if (state.status === 'unreachable') log.info({ source: state.source.name }, 'source can be read again')
      state.status = 'read'
      state.wasRead = true
      state.unreachable = undefined
      state.problems = update.problems
      state.isEmpty = update.isEmpty && !state.mayBeEmpty
      state.hadDocument ||= update.upserted.length > 0
      const unreadable = new Map(update.unreadable.map(({ id, origin }) => [id, origin]))
      for (const id of unreadable.keys()) if (!state.unreadable.has(id)) state.dirty.add(id)
      // What can be read again may have its old text, which no source tells again.
      for (const id of state.unreadable.keys()) if (!unreadable.has(id)) state.dirty.add(id)
      state.unreadable = unreadable
      for (const document of update.upserted) {
        state.listed.set(document.id, document)
        state.dirty.add(document.id)
      }
      for (const id of update.removed) {
        state.listed.delete(id)
        state.dirty.add(id)
      }
    }
    if (hadNothing && !this.#hasNothing) this.#fillingSince = performance.now()
    if (this.#fillingSince !== undefined && !state.mayBeEmpty) this.#awaitFilled(this.#fillingSince)
    this.#schedule()
  }

  #awaitFilled(since: number): void {
    clearTimeout(this.#filled)
    const waitMs = Math.max(0, Math.min(filledMs, since + fillingMaxMs - performance.now()))
    this.#filled = setTimeout(() => {
      this.#fillingSince = undefined
      this.#builds.emit('build')
    }, waitMs).unref()
  }

  #schedule(): void {
    if (this.#abort.signal.aborted) return
    const now = performance.now()
    this.#firstChangeAt ??= now
    clearTimeout(this.#timer)
    const { debounceMs, debounceMaxMs } = this.#options
    const waitMs = this.isReady ? Math.max(0, Math.min(debounceMs, this.#firstChangeAt + debounceMaxMs - now)) : 0
    this.#timer = setTimeout(() => void this.#build(), waitMs)
  }

  #build(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const since = this.#firstChangeAt ?? performance.now()
    this.#firstChangeAt = undefined
    return this.#enqueue(() => this.#tryToBuild(since))
  }

  async #tryToBuild(since: number): Promise<void> {
    clearTimeout(this.#buildRetry)
    try {
      await this.#buildNow(since)
      if (this.#failingSince === undefined) return
      this.#failingSince = undefined
      this.#tellProblems()
    } catch (error) {
      this.#failingSince ??= performance.now()
      this.#tellProblems()
      if (!this.#abort.signal.aborted) this.#buildRetry = setTimeout(() => this.#schedule(), buildRetryMs).unref()
      throw error
    } finally {
      this.#builds.emit('build')
    }
  }

  /** One after the other; never rejects. */
  #enqueue(task: () => void | Promise<void>): Promise<void> {
    this.#building = this.#building.then(task).catch((error: unknown) => {
      this.#deps.log.error({ err: error }, 'build failed; the last good configuration goes on')
    })
    return this.#building
  }

  async #buildNow(since: number): Promise<void> {
    const isFirst = !this.isReady
    if (isFirst && !this.#states.every((state) => this.#canServe(state))) return this.#tellProblems()
    const lastGood = await this.#takeLastGood()
    const jobs = this.#takeDirty()
    let step: WorldStep
    try {
      const hasLastGood = new Set(lastGood.map(({ id }) => id))
      const isSecond = ({ listing }: { readonly listing: Listing }): boolean => hasLastGood.has(listing.id)
      const first = await this.#readAll(jobs.filter((job) => !isSecond(job)))
      const changes = [...lastGood, ...first].flatMap((reading) => reading.changes)
      if (changes.length === 0 && !isFirst && this.#unfinished === undefined) {
        this.#commit(first, jobs)
        this.#deps.shared?.settle(this.#deps.world.inForce)
        return this.#tellProblems()
      }
      step = this.#deps.world.apply(changes, { isFirst: isFirst && lastGood.length === 0 })
      this.#commit(first, jobs)
      if (lastGood.length > 0) {
        // Only now, so that a text with an error finds in force what others serve in its place.
        const second = await this.#readAll(jobs.filter(isSecond))
        const next = this.#deps.world.apply(
          second.flatMap((reading) => reading.changes),
          { isFirst },
        )
        step = bothOf(step, next)
        this.#commit(second, jobs)
      }
    } catch (error) {
      // The next build tries again: without these changes the sources and what is in force would never agree.
      for (const { dirty, listing } of jobs) dirty.add(listing.id)
      throw error
    }
    const documents = jobs.map(({ listing: { document, origin } }) => (document?.origin ?? origin).name)
    this.#bringIn(step, documents, since)
    this.isReady = true
    this.#resolveReady()
  }

  #bringIn(step: WorldStep, documents: readonly string[], since: number): void {
    const before = this.#unfinished
    const all = {
      step: before === undefined ? step : bothOf(before.step, step),
      documents: [...new Set([...(before?.documents ?? []), ...documents])],
    }
    this.#unfinished = all
    // The cache has seen nothing yet of what the history restored.
    if (this.isReady) this.#take(all.step, all.documents, since)
    else this.#takeFirst(all.step, all.documents, since)
    this.#unfinished = undefined
  }

  async #readAll(jobs: readonly { readonly listing: Listing }[]): Promise<readonly Reading[]> {
    const readings: Reading[] = []
    let sliceStart = performance.now()
    for (const { listing } of jobs) {
      readings.push(this.#ledger.read(listing))
      if (performance.now() - sliceStart < sliceMs) continue
      await nextTick()
      sliceStart = performance.now()
    }
    return readings
  }

  #commit(readings: readonly Reading[], jobs: readonly { readonly listing: Listing }[]): void {
    const { attached, shared } = this.#deps
    const texts = shared && new Map(jobs.map(({ listing: { id, document } }) => [id, document?.text]))
    for (const reading of readings) {
      this.#ledger.commit(reading)
      const { id, keys } = reading
      if (keys === undefined) attached?.forget(id)
      if (shared !== undefined && id.startsWith(shared.idPrefix)) shared.note(readTextOf(reading, texts?.get(id)))
    }
  }

  /**
   * What other replicas served last of documents that have another text now, or none: a server that has seen nothing of them
   * serves the same in their place. Readings that are committed, but not in force. Once only, with the first look at their source.
   */
  async #takeLastGood(): Promise<readonly Reading[]> {
    const { shared, log, world } = this.#deps
    const state = this.#states.find(({ idPrefix }) => idPrefix === shared?.idPrefix)
    if (shared === undefined || this.#hasTakenLastGood || state?.wasRead !== true) return []
    const documents = await shared.read()
    if (documents === undefined) {
      clearTimeout(this.#lastGoodRetry)
      this.#lastGoodRetry = setTimeout(() => this.#schedule(), lastGoodRetryMs).unref()
      return []
    }
    this.#hasTakenLastGood = true
    const listings = documents.flatMap((document): { listing: Listing }[] => {
      const { id, origin, text } = document
      if (state.listed.get(id)?.text === text) return []
      const restored = this.#ledger.keysOf(id).map((key) => world.inForce.get(key)?.origin)
      // What this server served after that is newer.
      if (restored.some((one) => one !== undefined && shared.isNewer(one, origin))) return []
      return [{ listing: { id, document, isUnreadable: false, origin } }]
    })
    const readings = await this.#readAll(listings)
    const usable = readings.flatMap((reading, index) => {
      const isBroken = reading.changes.some(({ kind }) => kind === 'invalid') || reading.problems?.some(isError)
      if (!isBroken) return [{ ...reading, problems: [] }]
      const document = listings[index]?.listing.origin.name
      log.warn({ document }, 'this version cannot read what other replicas served last of a document')
      return []
    })
    for (const reading of usable) {
      this.#ledger.commit(reading)
      // As long as it is in force.
      shared.note({ ...readTextOf(reading, undefined), valid: [], gone: [...(reading.keys ?? [])] })
      state.dirty.add(reading.id)
    }
    if (usable.length > 0) {
      const names = usable.slice(0, namedAtMost).map(({ id }) => id)
      log.info({ documents: names, count: usable.length }, 'these serve as other replicas served them last')
    }
    return usable
  }

  /** All at once, so that changes that come while these are parsed are not taken in part. */
  #takeDirty(): readonly { readonly dirty: Set<string>; readonly listing: Listing }[] {
    const jobs: { readonly dirty: Set<string>; readonly listing: Listing }[] = []
    const isEveryRead = this.#states.every((state) => state.wasRead)
    const refused = this.#states.filter((state) => this.#isRefusedAsEmpty(state))
    for (const state of this.#states) {
      if (!state.wasRead || refused.includes(state)) continue
      for (const id of state.dirty) {
        const place = state.unreadable.get(id)
        const origin = place ?? { name: id.slice(state.idPrefix.length) }
        const isUnreadable = place !== undefined
        jobs.push({ dirty: state.dirty, listing: { id, document: state.listed.get(id), isUnreadable, origin } })
      }
      state.dirty.clear()
    }
    // Not before all that is given was read: what was in the one may be in the other now.
    if (isEveryRead && refused.length === 0 && this.#orphans.size > 0) {
      this.#deps.log.info({ documents: this.#orphans.size }, 'deleting what came from sources that are no longer given')
      for (const id of this.#orphans) {
        const listing = { id, document: undefined, isUnreadable: false, origin: { name: id } }
        jobs.push({ dirty: this.#orphans, listing })
      }
      this.#orphans.clear()
    }
    return jobs
  }

  /** The cache has seen nothing yet, and the history what an earlier process translated. */
  #takeFirst(step: WorldStep, documents: readonly string[], since: number): void {
    const { lastGenerated = [], log, world } = this.#deps
    const last = new Map(Array.from(lastGenerated, (unit) => [unit.key, unit]))
    const generated = differenceOf(last, world.generated)
    const isUpgrade = step.upserted.length === 0 && step.removed.length === 0 && last.size > 0
    if (isUpgrade && generated.upserted.length + generated.removed.length > 0) {
      const units = [...generated.upserted.map(({ key }) => key), ...generated.removed]
      log.info(
        { units: units.slice(0, namedAtMost), count: units.length },
        'documents are translated to something else than before',
      )
    }
    this.#take({ ...step, generated }, documents, since, [...world.inForce.values(), ...world.generated.values()])
  }

  #take(
    step: WorldStep,
    documents: readonly string[],
    since: number,
    inForce: readonly Unit[] = [...step.upserted, ...step.generated.upserted],
  ): void {
    const { cache, history, log, metrics, world } = this.#deps
    this.#worldProblems = step.problems
    this.#withheldProblems = step.withheld.map((withheld) => withheld.problem)
    const upserted = [...step.upserted, ...step.generated.upserted]
    const removed = [...step.removed, ...step.generated.removed]
    // Clients get what documents of kinds are translated to, and never the documents.
    cache.apply({ upserted: inForce.filter((unit) => !isKindUnit(unit)), removed, withheld: step.withheld })
    const ms = performance.now() - since
    if (step.refreshed.length > 0) history.refresh(step.refreshed)
    if (upserted.length > 0 || removed.length > 0) {
      history.append({ upserted, removed, cause: { documents } })
      metrics.builds.inc()
      metrics.buildSeconds.observe(ms / 1000)
      log.info(
        {
          revision: history.revision,
          upserted: step.upserted.length,
          removed: step.removed.length,
          documents: world.inForce.size,
          ms: Math.round(ms),
        },
        'configuration in force',
      )
    }
    this.#deps.shared?.settle(world.inForce)
    metrics.revision.set(history.revision)
    metrics.documents.set(world.inForce.size)
    metrics.withheldGroups.set(cache.withheld().length)
    this.#tellProblems()
  }

  #owns(state: SourceState, id: string): boolean {
    return id.startsWith(state.idPrefix)
  }

  #hasHeld(state: SourceState): boolean {
    for (const id of this.#ledger.ids) if (this.#owns(state, id)) return true
    return false
  }

  /** It was read, or what the history restored serves until it is (rule 104), be that none of its documents. */
  #canServe(state: SourceState): boolean {
    return state.wasRead || (state.status === 'unreachable' && this.#hasRestored)
  }

  /**
   * docs/errors.md, `source-empty`: a source that held documents and is empty is an accident until said otherwise. So is one
   * that took the place of another that held some.
   */
  #isRefusedAsEmpty(state: SourceState): boolean {
    return state.isEmpty && !this.#options.allowEmpty && (this.#orphans.size > 0 || this.#hasHeld(state))
  }

  /** It has no document, nor ever had one, so far as is known: that is as likely a mistake as a beginning. */
  #isNothing(state: SourceState): boolean {
    return state.isEmpty && !this.#options.allowEmpty && !this.#isRefusedAsEmpty(state)
  }

  /**
   * That is so of all of them. Of etcd alone it is no reason to hold anybody back: with the documents in files, and etcd for
   * what registers and what replicas share, it would stay so for ever.
   */
  get #hasNothing(): boolean {
    return !this.#options.allowEmpty && this.#states.every((state) => state.mayBeEmpty || this.#isNothing(state))
  }

  /** Beside others it may lack documents by mistake: a prefix that is misspelt. Where somebody registers, it is not. */
  #isDoubtful({ source, idPrefix }: SourceState): boolean {
    if (source.caughtUp === undefined) return false
    return !this.#states.some(({ besides, hadDocument }) => besides === idPrefix && hadDocument)
  }

  #sourceProblems(): Problem[] {
    return this.#states.flatMap((state) => {
      const other = this.#states.find(({ idPrefix }) => idPrefix === state.besides)
      const isSaid = ({ code }: Problem): boolean =>
        code === 'source-unreachable' &&
        (other?.unreachable !== undefined || other?.problems.some((one) => one.code === code) === true)
      const problems = state.problems.filter((problem) => !isSaid(problem))
      if (state.unreachable !== undefined && !isSaid(state.unreachable)) problems.push(state.unreachable)
      if (this.#isRefusedAsEmpty(state)) {
        problems.push({
          severity: 'error',
          code: 'source-empty',
          origin: { name: state.source.name },
          path: '',
          message: this.#hasHeld(state)
            ? 'the source has no document left; what it held stays in force'
            : 'the source has no document; what was in force of others, which are no longer given, stays',
          fix: 'put a document back, or start the server with --allow-empty if every resource should go',
        })
      } else if (this.#isNothing(state) && (this.#hasNothing || this.#isDoubtful(state))) {
        problems.push({
          severity: 'warning',
          code: 'source-empty',
          origin: { name: state.source.name },
          path: '',
          message: this.#hasNothing
            ? 'the source has no document: an Envoy that starts gets an empty configuration, one that has another keeps it'
            : 'the source has no document: every Envoy gets what the other sources hold, and nothing else',
          fix: this.#hasNothing
            ? 'put a document there, or give the right place (--config, --etcd-prefix); --allow-empty if it is meant so'
            : 'give the right place (--etcd-prefix), or put a document there: one with `resources: []` if it is meant so',
        })
      }
      return problems
    })
  }

  #tellProblems(): void {
    const { log } = this.#deps
    this.#problems = [
      ...this.#sourceProblems(),
      ...this.#ledger.problems,
      ...this.#worldProblems,
      ...this.#withheldProblems,
      ...(this.#failingSince === undefined ? [] : [failedBuild(this.#states.map(({ source }) => source.name))]),
    ].sort(byPlace)
    const said = new Set<string>()
    for (const problem of this.#ownProblems) {
      const place = formatOrigin(problem.origin)
      const text = `${place} ${problem.path} ${problem.code} ${problem.message}`
      said.add(text)
      if (this.#said.has(text)) continue
      const fields = { code: problem.code, place, path: problem.path, problem: problem.message, fix: problem.fix }
      if (isError(problem)) log.error(fields, 'configuration problem')
      else log.warn(fields, 'configuration problem')
    }
    this.#said = said
  }
}

function failedBuild(sources: readonly string[]): Problem {
  return {
    severity: 'error',
    code: 'unreadable',
    origin: { name: sources.join(', ') },
    path: '',
    message: 'the server failed on what it read, which is an error of the server: nothing new takes effect',
    fix: 'report it with the stack in the log; it is tried again every 5 s, and taking back what changed last may help',
  }
}

/** What the readings say, for who keeps what was right. */
function readTextOf({ id, changes, problems }: Reading, text: string | undefined): ReadText {
  return {
    id,
    text,
    valid: changes.flatMap((change) => (change.kind === 'valid' ? [change.unit] : [])),
    invalid: changes.flatMap((change) => (change.kind === 'invalid' ? [change.key] : [])),
    gone: changes.flatMap((change) => (change.kind === 'deleted' ? [change.key] : [])),
    hasError: problems === undefined || problems.some(isError),
  }
}

/** What two steps do, one after the other. */
function bothOf(first: WorldStep, second: WorldStep): WorldStep {
  const { upserted, removed } = sumOf(first, second)
  const generated = sumOf(first.generated, second.generated)
  const refreshed = new Map([...first.refreshed, ...second.refreshed].map((unit) => [unit.key, unit]))
  for (const unit of second.refreshed) {
    if (!upserted.has(unit.key)) continue
    upserted.set(unit.key, unit)
    refreshed.delete(unit.key)
  }
  return {
    ...second,
    upserted: [...upserted.values()],
    removed,
    refreshed: [...refreshed.values()],
    generated: { upserted: [...generated.upserted.values()], removed: generated.removed },
  }
}

function sumOf(
  first: GeneratedStep,
  second: GeneratedStep,
): { readonly upserted: Map<string, Unit>; readonly removed: readonly string[] } {
  const upserted = new Map([...first.upserted, ...second.upserted].map((unit) => [unit.key, unit]))
  for (const key of second.removed) upserted.delete(key)
  const removed = new Set([...first.removed, ...second.removed])
  for (const key of upserted.keys()) removed.delete(key)
  return { upserted, removed: [...removed] }
}

/** What leads from some units to others. */
function differenceOf(before: ReadonlyMap<string, Unit>, after: ReadonlyMap<string, Unit>): GeneratedStep {
  const upserted = [...after.values()].filter((unit) => {
    const last = before.get(unit.key)
    return last === undefined || !isSameForm(last, unit)
  })
  return { upserted, removed: [...before.keys()].filter((key) => !after.has(key)) }
}
