import type { Meaning } from './meaning.ts'

export interface LiveListener {
  readonly meaning: Meaning
  /** When it began to warm; with every connection it begins again. */
  sinceMs: number
}

/** An old configuration that still serves the connections that it has. */
export interface DrainingListener {
  readonly meaning: Meaning
  readonly untilMs: number
}

interface Slot {
  active: LiveListener | undefined
  warming: LiveListener | undefined
}

/** Envoy's listener manager: listeners warm until their routes, secrets and extensions are there; what they replace drains. */
export class Listeners {
  readonly #slots = new Map<string, Slot>()
  readonly #drainMs: number
  #draining: DrainingListener[] = []

  constructor(drainMs: number) {
    this.#drainMs = drainMs
  }

  get names(): Iterable<string> {
    return this.#slots.keys()
  }

  get draining(): readonly DrainingListener[] {
    return this.#draining
  }

  active(name: string): LiveListener | undefined {
    return this.#slots.get(name)?.active
  }

  put(meaning: Meaning, nowMs: number): void {
    const slot = this.#slots.get(meaning.name) ?? { active: undefined, warming: undefined }
    this.#slots.set(meaning.name, slot)
    if (slot.active?.meaning === meaning) slot.warming = undefined
    else if (slot.warming?.meaning !== meaning) slot.warming = { meaning, sinceMs: nowMs }
  }

  remove(name: string, nowMs: number): void {
    const active = this.#slots.get(name)?.active
    this.#slots.delete(name)
    if (active !== undefined) this.#drain(active, nowMs)
  }

  /** Takes into service what is ready. True if anything was. */
  warm(isReady: (listener: LiveListener) => boolean, nowMs: number): boolean {
    let isAny = false
    for (const slot of this.#slots.values()) {
      const { warming, active } = slot
      if (warming === undefined || !isReady(warming)) continue
      if (active !== undefined) this.#drain(active, nowMs)
      slot.active = warming
      slot.warming = undefined
      isAny = true
    }
    return isAny
  }

  /** Lets go of what has drained. */
  endDrains(nowMs: number): void {
    this.#draining = this.#draining.filter(({ untilMs }) => untilMs > nowMs)
  }

  #drain({ meaning }: LiveListener, nowMs: number): void {
    if (this.#drainMs === 0) return
    this.#draining.push({ meaning, untilMs: nowMs + this.#drainMs })
  }

  /** What has connections: in service, or draining. */
  *serving(): Generator<Meaning> {
    for (const { active } of this.#slots.values()) if (active !== undefined) yield active.meaning
    for (const { meaning } of this.#draining) yield meaning
  }

  *warming(): Generator<LiveListener> {
    for (const { warming } of this.#slots.values()) if (warming !== undefined) yield warming
  }

  /** All that holds on to its routes, secrets and extensions. */
  *live(): Generator<Meaning> {
    yield* this.serving()
    for (const { meaning } of this.warming()) yield meaning
  }
}
