import { formatOrigin } from '../errors.ts'
import type { Log } from '../log.ts'
import type { Node } from '../resource/node.ts'
import type { NodeSelector } from '../resource/node-selector.ts'
import { canName, type TypeUrl } from '../resource/type-url.ts'
import type { Snapshot } from '../snapshot/snapshot.ts'
import type { Unit, Withheld } from '../snapshot/world.ts'
import type { Group, SnapshotCache, Watch, WithheldGroup } from './cache.ts'
import { buildGroup, GroupSnapshot } from './group-snapshot.ts'
import { Layer, type Replacement } from './layer.ts'
import { NodeMatcher } from './node-matcher.ts'
import { type SelectorSet, selectorSetOf } from './selector-set.ts'
import { type UnitChange, undo } from './undo.ts'

/** What a watcher throws goes to `log` and stops no other; without one, `apply` throws it when all were called. */
export function createSnapshotCache(log?: Pick<Log, 'error'>): SnapshotCache {
  return new GroupedCache(log)
}

interface GroupState {
  readonly group: Group
  /** Of its selectors, sorted. */
  readonly keys: readonly string[]
  readonly watches: Set<NodeWatch>
  layers: readonly Layer[]
  content: GroupSnapshot
}

interface NodeWatch {
  readonly node: Node
  readonly onSnapshot: (snapshot: Snapshot, group: Group) => void
  state: GroupState
  /** What the watcher was given last, or could see when it began. */
  last: Snapshot | undefined
  isClosed: boolean
}

interface SelectedLayers {
  readonly selector: NodeSelector
  readonly layers: Set<Layer>
}

/** How many of the last changes are known: so many in any case, and more of small ones. */
const stepsAtLeast = 8
const stepsAtMost = 32
/** Of the changes beyond the least, so many units in all. */
const unitsAtMost = 2_000
/** After so long without another change nobody comes from before the last ones any more, in milliseconds. */
const stepsForMs = 10 * 60_000

/** Groups asked for without a watch that are kept until the next change. */
const idleAtMost = 256

class GroupedCache implements SnapshotCache {
  readonly #log: Pick<Log, 'error'> | undefined
  readonly #units = new Map<string, Unit>()
  /** The last changes, oldest first. */
  #steps: (readonly UnitChange[])[] = []
  #stepsEnd: NodeJS.Timeout | undefined
  /** By the key of their selectors. */
  readonly #layers = new Map<string, Layer>()
  /** By the key of each of their selectors. */
  readonly #layersBySelector = new Map<string, SelectedLayers>()
  /** Watched groups by their key, and by the key of each selector that they match. */
  readonly #groups = new Map<string, GroupState>()
  readonly #groupsBySelector = new Map<string, Set<GroupState>>()
  readonly #idle = new Map<string, GroupState>()
  /** There is a layer more, or one less, than the matcher knows. */
  #haveLayersChanged = false
  #matcher = new NodeMatcher(new Map())
  #withheld: readonly Withheld[] = []
  /** One that withholds every group does so as the selector of every node, which is in each group then. */
  #withheldKeys: ReadonlySet<string> = new Set()
  #isReady = false

  constructor(log: Pick<Log, 'error'> | undefined) {
    this.#log = log
  }

  apply(change: {
    readonly upserted: readonly Unit[]
    readonly removed: readonly string[]
    readonly withheld: readonly Withheld[]
  }): void {
    const isFirst = !this.#isReady
    this.#isReady = true
    const step: UnitChange[] = []
    const changedTypes = this.#applyUnits(change.upserted, change.removed, step)
    // A change of what names nothing is worth no place among the last few: it leads to no other configuration of who routes where.
    if (!isFirst && [...changedTypes.values()].some((types) => [...types].some(canName))) {
      this.#steps.push(step)
      this.#forgetSteps()
      clearTimeout(this.#stepsEnd)
      // They may hold whole worlds of before.
      this.#stepsEnd = setTimeout(() => {
        this.#steps = []
      }, stepsForMs).unref()
    }
    const hasWithheldChanged = this.#applyWithheld(change.withheld)
    // Only then, as it goes through all of them.
    const haveLayersChanged = this.#haveLayersChanged
    this.#haveLayersChanged = false
    const haveSelectorsChanged = (haveLayersChanged || hasWithheldChanged) && this.#followSelectors()
    if (changedTypes.size > 0 || haveSelectorsChanged) this.#idle.clear()
    const touched = this.#updateGroups(changedTypes, haveLayersChanged)
    if (haveSelectorsChanged) for (const state of this.#regroup()) touched.add(state)
    this.#notify(isFirst || hasWithheldChanged ? this.#groups.values() : touched)
  }

  watch(node: Node, onSnapshot: (snapshot: Snapshot, group: Group) => void): Watch {
    const state = this.#stateOf(node)
    const watch: NodeWatch = { node, onSnapshot, state, last: this.#served(state), isClosed: false }
    this.#join(watch, state)
    const served = (): Snapshot | undefined => this.#served(watch.state)
    return {
      get group() {
        return watch.state.group
      },
      get snapshot() {
        return served()
      },
      close: () => {
        if (watch.isClosed) return
        watch.isClosed = true
        this.#leave(watch)
      },
    }
  }

  snapshotFor(node: Node): { readonly group: Group; readonly snapshot: Snapshot | undefined } {
    const state = this.#stateOf(node)
    return { group: state.group, snapshot: this.#served(state) }
  }

  pastOf({ key }: Group): readonly Snapshot[] {
    const state = this.#groups.get(key) ?? this.#idle.get(key)
    if (state === undefined) return []
    const keys = new Set(state.keys)
    return undo(state.content.snapshot, this.#steps, ({ selectors }) =>
      [...selectorSetOf(selectors).selectors.keys()].some((one) => keys.has(one)),
    )
  }

  #forgetSteps(): void {
    let units = this.#steps.reduce((sum, { length }) => sum + length, 0)
    while (this.#steps.length > stepsAtMost || (this.#steps.length > stepsAtLeast && units > unitsAtMost)) {
      units -= this.#steps.shift()?.length ?? 0
    }
  }

  groups(): readonly { readonly group: Group; readonly snapshot: Snapshot | undefined; readonly watches: number }[] {
    return [...this.#groups.values()]
      .map((state) => ({ group: state.group, snapshot: this.#served(state), watches: state.watches.size }))
      .sort((a, b) => byKey(a.group, b.group))
  }

  withheld(): readonly WithheldGroup[] {
    const found = new Map<string, { readonly group: Group; readonly reasons: string[] }>()
    for (const { selectors, problem } of this.#withheld) {
      const wanted = selectorSetOf(selectors ?? []).selectors
      const watched = [...this.#groups.values()].filter((state) => state.keys.some((key) => wanted.has(key)))
      const groups = watched.length > 0 ? watched.map(({ group }) => group) : [buildGroup(wanted)]
      for (const group of groups) {
        const entry = found.get(group.key) ?? { group, reasons: [] }
        entry.reasons.push(`${formatOrigin(problem.origin)}: ${problem.message}`)
        found.set(group.key, entry)
      }
    }
    return [...found.values()].sort((a, b) => byKey(a.group, b.group))
  }

  /** Notes what becomes of each unit in `step`, and returns the types whose sets changed, by their layer. */
  #applyUnits(
    upserted: readonly Unit[],
    removed: readonly string[],
    step: UnitChange[],
  ): ReadonlyMap<Layer, ReadonlySet<TypeUrl>> {
    const wanted = new Map<string, Unit | undefined>(removed.map((key) => [key, undefined]))
    for (const unit of upserted) wanted.set(unit.key, unit)
    const replacements = new Map<string, { readonly set: SelectorSet; readonly units: Replacement[] }>()
    const replace = (set: SelectorSet, replacement: Replacement): void => {
      const entry = replacements.get(set.key)
      if (entry === undefined) replacements.set(set.key, { set, units: [replacement] })
      else entry.units.push(replacement)
    }
    for (const [key, after] of wanted) {
      const before = this.#units.get(key)
      step.push({ before, after })
      if (after === undefined) this.#units.delete(key)
      else this.#units.set(key, after)
      const [setBefore, setAfter] = [before && selectorSetOf(before.selectors), after && selectorSetOf(after.selectors)]
      if (setBefore?.key === setAfter?.key) {
        if (setAfter !== undefined) replace(setAfter, { key, before, after })
        continue
      }
      if (setBefore !== undefined) replace(setBefore, { key, before, after: undefined })
      if (setAfter !== undefined) replace(setAfter, { key, before: undefined, after })
    }
    const changedTypes = new Map<Layer, ReadonlySet<TypeUrl>>()
    for (const { set, units } of replacements.values()) {
      const layer = this.#layers.get(set.key) ?? new Layer(set)
      const types = layer.replace(units)
      if (types.size > 0) changedTypes.set(layer, types)
      if (layer.isEmpty === this.#layers.has(set.key)) this.#addOrRemove(layer)
    }
    return changedTypes
  }

  /** A layer is there as long as it holds anything. */
  #addOrRemove(layer: Layer): void {
    this.#haveLayersChanged = true
    if (layer.isEmpty) this.#layers.delete(layer.key)
    else this.#layers.set(layer.key, layer)
    for (const [key, selector] of layer.selectors) {
      const selected = this.#layersBySelector.get(key) ?? { selector, layers: new Set<Layer>() }
      if (layer.isEmpty) selected.layers.delete(layer)
      else selected.layers.add(layer)
      if (selected.layers.size === 0) this.#layersBySelector.delete(key)
      else this.#layersBySelector.set(key, selected)
    }
  }

  /** Returns whether other selectors than before are withheld. */
  #applyWithheld(withheld: readonly Withheld[]): boolean {
    const before = this.#withheldKeys
    this.#withheld = withheld
    this.#withheldKeys = new Set(
      withheld.flatMap(({ selectors }) => [...selectorSetOf(selectors ?? []).selectors.keys()]),
    )
    return before.size !== this.#withheldKeys.size || [...before].some((key) => !this.#withheldKeys.has(key))
  }

  /** Nodes are told apart by the selectors of what is in force and of what is withheld. Returns whether these changed. */
  #followSelectors(): boolean {
    const selectors = new Map([...this.#layersBySelector].map(([key, { selector }]) => [key, selector]))
    for (const withheld of this.#withheld) {
      for (const [key, selector] of selectorSetOf(withheld.selectors ?? []).selectors) selectors.set(key, selector)
    }
    const known = this.#matcher.selectors
    if (selectors.size === known.size && [...selectors.keys()].every((key) => known.has(key))) return false
    this.#matcher = new NodeMatcher(selectors)
    return true
  }

  /** Returns the watched groups that have another snapshot now. */
  #updateGroups(changedTypes: ReadonlyMap<Layer, ReadonlySet<TypeUrl>>, haveLayersChanged: boolean): Set<GroupState> {
    const typesByGroup = new Map<GroupState, ReadonlySet<TypeUrl>>()
    for (const [layer, types] of changedTypes) {
      for (const key of layer.selectors.keys()) {
        for (const state of this.#groupsBySelector.get(key) ?? []) {
          const others = typesByGroup.get(state)
          // A group that matches several selectors of one layer comes by here as often.
          if (others === undefined) typesByGroup.set(state, types)
          else if (others !== types) typesByGroup.set(state, new Set([...others, ...types]))
        }
      }
    }
    const touched = new Set<GroupState>()
    for (const [state, types] of typesByGroup) {
      const before = state.content.snapshot
      const layers = haveLayersChanged ? this.#layersOf(state.keys) : state.layers
      if (layers.length === state.layers.length && layers.every((layer, index) => layer === state.layers[index])) {
        state.content.update(types)
      } else {
        state.layers = layers
        state.content = new GroupSnapshot(layers)
      }
      if (state.content.snapshot !== before) touched.add(state)
    }
    return touched
  }

  /** Moves watches to the groups that they belong to now, and returns those that a watch came to. */
  #regroup(): ReadonlySet<GroupState> {
    const joined = new Set<GroupState>()
    for (const watch of [...this.#groups.values()].flatMap((state) => [...state.watches])) {
      if (groupKey(this.#matcher.keysOf(watch.node)) === watch.state.group.key) continue
      this.#leave(watch)
      this.#join(watch, this.#stateOf(watch.node))
      joined.add(watch.state)
    }
    return joined
  }

  #notify(states: Iterable<GroupState>): void {
    const errors: unknown[] = []
    const told = [...states].flatMap((state) => [...state.watches])
    let [state, snapshot]: [GroupState | undefined, Snapshot | undefined] = [undefined, undefined]
    for (const watch of told) {
      if (watch.state !== state) {
        state = watch.state
        snapshot = this.#served(state)
      }
      if (watch.isClosed || snapshot === undefined || snapshot === watch.last) continue
      watch.last = snapshot
      try {
        watch.onSnapshot(snapshot, watch.state.group)
      } catch (error) {
        errors.push(error)
        this.#log?.error({ group: watch.state.group.key, node: watch.node.id, err: error }, 'watcher failed')
      }
    }
    if (errors.length > 0 && this.#log === undefined) throw new AggregateError(errors, 'watchers failed')
  }

  #served(state: GroupState): Snapshot | undefined {
    const isWithheld = state.keys.some((key) => this.#withheldKeys.has(key))
    return this.#isReady && !isWithheld ? state.content.snapshot : undefined
  }

  #stateOf(node: Node): GroupState {
    const keys = this.#matcher.keysOf(node)
    const key = groupKey(keys)
    const known = this.#groups.get(key) ?? this.#idle.get(key)
    if (known !== undefined) return known
    const { selectors } = this.#matcher
    const group = buildGroup(new Map(keys.map((one) => [one, selectors.get(one) ?? {}])))
    const layers = this.#layersOf(keys)
    const state = { group, keys, watches: new Set<NodeWatch>(), layers, content: new GroupSnapshot(layers) }
    if (this.#idle.size >= idleAtMost) this.#idle.clear()
    this.#idle.set(key, state)
    return state
  }

  #layersOf(keys: readonly string[]): readonly Layer[] {
    const layers = new Set(keys.flatMap((key) => [...(this.#layersBySelector.get(key)?.layers ?? [])]))
    return [...layers].sort(byKey)
  }

  #join(watch: NodeWatch, state: GroupState): void {
    watch.state = state
    state.watches.add(watch)
    this.#idle.delete(state.group.key)
    this.#groups.set(state.group.key, state)
    for (const key of state.keys) {
      const states = this.#groupsBySelector.get(key) ?? new Set()
      this.#groupsBySelector.set(key, states.add(state))
    }
  }

  /** The last watch takes its group with it. */
  #leave(watch: NodeWatch): void {
    const { state } = watch
    state.watches.delete(watch)
    if (state.watches.size > 0) return
    this.#groups.delete(state.group.key)
    for (const key of state.keys) {
      const states = this.#groupsBySelector.get(key)
      states?.delete(state)
      if (states?.size === 0) this.#groupsBySelector.delete(key)
    }
  }
}

/** A group's key is the keys of its selectors, sorted. */
const groupKey = (keys: readonly string[]): string => keys.join('+')

const byKey = (a: { readonly key: string }, b: { readonly key: string }): number => (a.key < b.key ? -1 : 1)
