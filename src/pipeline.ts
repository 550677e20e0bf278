import { setImmediate as nextTick } from 'node:timers/promises'
import type { SnapshotCache } from './cache/cache.ts'
import type { ParsedDocument } from './config/config-document.ts'
import { documentIdOf, firstKeyOf } from './config/document-key.ts'
import { formatOrigin, isError, messageOf, type Origin, type Problem } from './errors.ts'
import type { Log } from './log.ts'
import type { Metrics } from './metrics.ts'
import type { Unit, UnitChange, WorldStep } from './snapshot/world.ts'
import type { Document, Source, SourceUpdate } from './source/source.ts'

/** A source, and how the ids of all its documents begin: by that, restored units are known to be its. */
export interface PipelineSource {
  readonly source: Source
  readonly idPrefix: string
}

/** What the pipeline needs of the world of units in force (snapshot/world.ts). */
export interface PipelineWorld {
  readonly inForce: ReadonlyMap<string, Unit>
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
}

export interface PipelineDeps {
  readonly sources: readonly PipelineSource[]
  readonly parse: (document: Document) => ParsedDocument
  /** Holds what the history restored, until the sources were read. */
  readonly world: PipelineWorld
  readonly cache: SnapshotCache
  readonly history: PipelineHistory
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
  close(): Promise<void>
}

interface SourceState {
  readonly source: Source
  readonly idPrefix: string
  status: SourceStatus['state']
  wasRead: boolean
  /** What it lists now. */
  readonly listed: Map<string, Document>
  unreadable: ReadonlySet<string>
  /** Ids whose listing differs from what was applied. */
  readonly dirty: Set<string>
  problems: readonly Problem[]
  unreachable: Problem | undefined
  isEmpty: boolean
}

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
  /** Keys of the units, in force or in error, that each document gave. */
  readonly #keys = new Map<string, ReadonlySet<string>>()
  readonly #parseProblems = new Map<string, readonly Problem[]>()
  readonly ready: Promise<void>
  #resolveReady: () => void = () => {}
  #worldProblems: readonly Problem[] = []
  #withheldProblems: readonly Problem[] = []
  #problems: readonly Problem[] = []
  #said = new Set<string>()
  #timer: NodeJS.Timeout | undefined
  #firstChangeAt: number | undefined
  #building: Promise<void> = Promise.resolve()
  isReady = false

  constructor(deps: PipelineDeps, options: PipelineOptions) {
    this.#deps = deps
    this.#options = options
    this.ready = new Promise((resolve) => {
      this.#resolveReady = resolve
    })
    this.#states = deps.sources.map(({ source, idPrefix }) => ({
      source,
      idPrefix,
      status: 'waiting',
      wasRead: false,
      listed: new Map(),
      unreadable: new Set(),
      dirty: new Set(),
      problems: [],
      unreachable: undefined,
      isEmpty: false,
    }))
    for (const key of deps.world.inForce.keys()) this.#remember(documentIdOf(key), key)
    this.#watching = Promise.all(this.#states.map((state) => this.#watch(state))).then(() => undefined)
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
    return this.#problems
  }

  get revision(): number {
    return this.#deps.history.revision
  }

  addStaticNames(names: Readonly<Record<string, readonly string[]>>): void {
    this.#building = this.#building.then(() => {
      const step = this.#deps.world.addStaticNames(names)
      if (this.isReady) this.#take(step, [], performance.now())
    })
  }

  async settled(): Promise<void> {
    while (this.#timer !== undefined) await this.#build()
    await this.#building
  }

  async close(): Promise<void> {
    this.#abort.abort()
    clearTimeout(this.#timer)
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

  #note(state: SourceState, update: SourceUpdate): void {
    const { metrics, log } = this.#deps
    metrics.sourceUp.set({ source: state.source.name }, update.kind === 'read' ? 1 : 0)
    if (update.kind === 'unreachable') {
      state.status = 'unreachable'
      state.unreachable = update.problem
    } else {
      if (!state.wasRead) {
        // What the history restored for this source and the source no longer lists is deleted.
        for (const id of this.#keys.keys()) if (this.#owns(state, id)) state.dirty.add(id)
      }
      if (state.status === 'unreachable') log.info({ source: state.source.name }, 'source can be read again')
      state.status = 'read'
      state.wasRead = true
      state.unreachable = undefined
      state.problems = update.problems
      state.isEmpty = update.isEmpty
      const unreadable = new Set(update.unreadable)
      for (const id of unreadable) if (!state.unreadable.has(id)) state.dirty.add(id)
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
    this.#schedule()
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
    this.#building = this.#building
      .then(() => this.#buildNow(since))
      .catch((error: unknown) => {
        this.#deps.log.error({ err: error }, 'build failed; the last good configuration goes on')
      })
    return this.#building
  }

  async #buildNow(since: number): Promise<void> {
    const isFirst = !this.isReady
    if (isFirst && !this.#states.every((state) => this.#canServe(state))) return this.#tellProblems()
    const changes: UnitChange[] = []
    const documents: string[] = []
    let sliceStart = performance.now()
    for (const state of this.#states) {
      if (!state.wasRead || this.#isRefusedAsEmpty(state)) continue
      const dirty = [...state.dirty]
      state.dirty.clear()
      for (const id of dirty) {
        documents.push(state.listed.get(id)?.origin.name ?? id.slice(state.idPrefix.length))
        changes.push(...this.#changesOf(state, id))
        if (performance.now() - sliceStart > sliceMs) {
          await nextTick()
          sliceStart = performance.now()
        }
      }
    }
    if (changes.length === 0 && !isFirst) return this.#tellProblems()
    const { world } = this.#deps
    const step = world.apply(changes, { isFirst })
    this.isReady = true
    // The cache has seen nothing yet of what the history restored.
    this.#take(step, documents, since, isFirst ? [...world.inForce.values()] : step.upserted)
    this.#resolveReady()
  }

  #take(step: WorldStep, documents: readonly string[], since: number, upserted: readonly Unit[] = step.upserted): void {
    const { cache, history, log, metrics, world } = this.#deps
    this.#worldProblems = step.problems
    this.#withheldProblems = step.withheld.map((withheld) => withheld.problem)
    cache.apply({ upserted, removed: step.removed, withheld: step.withheld })
    const ms = performance.now() - since
    if (step.upserted.length > 0 || step.removed.length > 0) {
      history.append({ upserted: step.upserted, removed: step.removed, cause: { documents } })
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
    metrics.revision.set(history.revision)
    metrics.documents.set(world.inForce.size)
    metrics.withheldGroups.set(cache.withheld().length)
    this.#tellProblems()
  }

  /** What a document's new text, or its absence, means for the units that it gave before. */
  #changesOf(state: SourceState, id: string): UnitChange[] {
    const before = this.#keys.get(id) ?? new Set<string>()
    const document = state.listed.get(id)
    if (state.unreadable.has(id)) {
      const origin = document?.origin ?? state.problems.find((problem) => problem.code !== 'source-empty')?.origin
      return this.#keep(id, before, origin ?? { name: id })
    }
    if (document === undefined) {
      this.#keys.delete(id)
      this.#parseProblems.delete(id)
      return [...before].map((key) => ({ kind: 'deleted', key }))
    }
    const parsed = this.#deps.parse(document)
    if (parsed.problems.length > 0) this.#parseProblems.set(id, parsed.problems)
    else this.#parseProblems.delete(id)
    const changes: UnitChange[] = [
      ...parsed.documents.map((unit): UnitChange => ({ kind: 'valid', unit })),
      ...parsed.invalid.map((invalid): UnitChange => ({ kind: 'invalid', ...invalid })),
    ]
    const now = new Set([...parsed.documents, ...parsed.invalid].map(({ key }) => key))
    const gone = [...before].filter((key) => !now.has(key))
    if (parsed.isUnreadable) {
      changes.push(...this.#keep(id, new Set(gone), document.origin, now))
      return changes
    }
    this.#keys.set(id, now)
    changes.push(...gone.map((key): UnitChange => ({ kind: 'deleted', key })))
    return changes
  }

  /** Everything that a document held stays as it was; one that never held anything may touch every group. */
  #keep(id: string, held: ReadonlySet<string>, origin: Origin, others: ReadonlySet<string> = new Set()): UnitChange[] {
    const keys = held.size > 0 || others.size > 0 ? held : new Set([firstKeyOf(id)])
    this.#keys.set(id, new Set([...keys, ...others]))
    return [...keys].map((key) => ({ kind: 'invalid', key, origin, selectors: undefined }))
  }

  #remember(id: string, key: string): void {
    this.#keys.set(id, new Set([...(this.#keys.get(id) ?? []), key]))
  }

  #owns(state: SourceState, id: string): boolean {
    return id.startsWith(state.idPrefix)
  }

  #hasHeld(state: SourceState): boolean {
    for (const id of this.#keys.keys()) if (this.#owns(state, id)) return true
    return false
  }

  /** It was read, or what the history restored of it serves until it is (rule 104, MODEL.md). */
  #canServe(state: SourceState): boolean {
    return state.wasRead || (state.status === 'unreachable' && this.#hasHeld(state))
  }

  /** MODEL.md, `source-empty`: a source that held documents and is empty is an accident until said otherwise. */
  #isRefusedAsEmpty(state: SourceState): boolean {
    return state.isEmpty && !this.#options.allowEmpty && this.#hasHeld(state)
  }

  #sourceProblems(): Problem[] {
    return this.#states.flatMap((state) => {
      const problems = [...state.problems]
      if (state.unreachable !== undefined) problems.push(state.unreachable)
      if (this.#isRefusedAsEmpty(state)) {
        problems.push({
          severity: 'error',
          code: 'source-empty',
          origin: { name: state.source.name },
          path: '',
          message: 'the source has no document left; what it held stays in force',
          fix: 'put a document back, or start the server with --allow-empty if every resource should go',
        })
      }
      return problems
    })
  }

  #tellProblems(): void {
    const { history, log, metrics } = this.#deps
    const problems = [
      ...this.#sourceProblems(),
      ...[...this.#parseProblems.values()].flat(),
      ...this.#worldProblems,
      ...this.#withheldProblems,
      ...(history.problem === undefined ? [] : [history.problem]),
    ]
    this.#problems = problems.sort(byPlace)
    metrics.problems.set({ severity: 'error' }, problems.filter(isError).length)
    metrics.problems.set({ severity: 'warning' }, problems.length - problems.filter(isError).length)
    const said = new Set<string>()
    for (const problem of problems) {
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

function byPlace(a: Problem, b: Problem): number {
  if (a.origin.name !== b.origin.name) return a.origin.name < b.origin.name ? -1 : 1
  return (a.origin.line ?? 0) - (b.origin.line ?? 0) || (a.origin.column ?? 0) - (b.origin.column ?? 0)
}
