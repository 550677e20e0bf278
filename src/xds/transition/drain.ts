import { keyOf, type Named } from '../../resource/named.ts'
import type { Resource } from '../../resource/resource.ts'
import { diffSets, type ResourceSet } from '../../snapshot/resource-set.ts'
import { IdentityMemo } from './identity-memo.ts'

interface Held extends Named {
  /** The listener. */
  readonly by: string
  readonly untilMs: number
  /** Later changes of the listener put it off until then at most. */
  readonly latestMs: number
}

/**
 * What the listeners named that a client replaced or removed: it drains their connections with the old configuration, so
 * what that names must stay (rules 74, 76). Names, not versions: of a name that is still served the newest content counts.
 * Immutable, and one object for all clients that replaced the same at about the same time.
 */
export interface Drains {
  readonly names: readonly Named[]
  /** When the first of them is over, on the stream's clock; infinity when there are none. */
  readonly nextMs: number
}

class HeldNames implements Drains {
  readonly held: ReadonlyMap<string, Held>
  readonly nextMs: number
  #names: readonly Named[] | undefined
  #rest: HeldNames | undefined

  constructor(held: ReadonlyMap<string, Held>) {
    this.held = held
    let nextMs = Number.POSITIVE_INFINITY
    for (const { untilMs } of held.values()) nextMs = Math.min(nextMs, untilMs)
    this.nextMs = nextMs
  }

  get names(): readonly Named[] {
    this.#names ??= [...this.held.values()]
    return this.#names
  }

  /** Without those that are over first. */
  get rest(): HeldNames {
    if (this.#rest === undefined) {
      const held = [...this.held].filter(([, { untilMs }]) => untilMs > this.nextMs)
      this.#rest = held.length === 0 ? nothing : new HeldNames(new Map(held))
    }
    return this.#rest
  }
}

const nothing = new HeldNames(new Map())

export const noDrains: Drains = nothing

/** Envoy's `initial_fetch_timeout`: a new listener takes over, and the old one drains, at most so long after its ACK. */
const warmMs = 15_000

/** How long a listener that is replaced over and over before it is warm may put off the end of what was before it. */
const maxPutOffMs = 10 * warmMs

/**
 * When a drain that begins with an ACK now is over: on a grid of a sixtieth of its time, so that clients that began it
 * together end it together.
 */
export function drainEnd(nowMs: number, drainTimeMs: number): number {
  const gridMs = drainTimeMs / 60
  const marginMs = Math.min(warmMs, drainTimeMs)
  return Math.ceil((nowMs + marginMs + drainTimeMs) / gridMs) * gridMs
}

interface Started {
  untilMs: number
  drains: Drains | undefined
}

const started = new IdentityMemo<Started>()

/** After a client that had the listeners `before` has accepted `after`: the old versions drain until `untilMs`. */
export function withDrain(drains: Drains, before: ResourceSet, after: ResourceSet, untilMs: number): Drains {
  if (before === after) return drains
  const last = started.get([drains, before, after], () => ({ untilMs, drains: undefined }))
  if (last.drains === undefined || last.untilMs !== untilMs) {
    last.untilMs = untilMs
    last.drains = addNames(drains as HeldNames, replacedListeners(before, after), untilMs)
  }
  return last.drains
}

function replacedListeners(before: ResourceSet, after: ResourceSet): readonly Resource[] {
  const { changed, removed } = diffSets(before, after)
  return [...changed.map(({ name }) => name), ...removed].flatMap((name) => before.get(name) ?? [])
}

function addNames(drains: HeldNames, listeners: readonly Resource[], untilMs: number): Drains {
  if (listeners.length === 0) return drains
  const held = new Map(drains.held)
  const replaced = new Set(listeners.map(({ name }) => name))
  for (const [key, before] of held) {
    // If its successor was replaced before it was warm, the old version still serves, and drains later.
    if (!replaced.has(before.by) || before.untilMs < untilMs - warmMs) continue
    held.set(key, { ...before, untilMs: Math.min(untilMs, before.latestMs) })
  }
  for (const { name: by, references } of listeners) {
    for (const { typeUrl, name } of references) {
      held.set(`${by}\0${keyOf({ typeUrl, name })}`, { typeUrl, name, by, untilMs, latestMs: untilMs + maxPutOffMs })
    }
  }
  return held.size === 0 ? drains : new HeldNames(held)
}

/** Without those that are over. */
export function withoutEnded(drains: Drains, nowMs: number): Drains {
  let left = drains as HeldNames
  while (left.nextMs <= nowMs) left = left.rest
  return left
}
