import type { Problem } from '../errors.ts'
import type { Document, SourceUpdate, Unreadable } from './source.ts'

/** What a source cannot read now: always the whole list. */
export interface Trouble {
  readonly problems: readonly Problem[]
  /** The feed keeps what it held of them. */
  readonly unreadable: readonly Unreadable[]
}

export const noTrouble: Trouble = { problems: [], unreadable: [] }

/** What a source's reader writes to: the feed turns it into updates that say only what differs from what the consumer has. */
export interface Feed {
  /** All that the source holds now; an id in neither list is gone. */
  replace(documents: readonly Document[], trouble: Trouble): void
  /** What changed since; only after a `replace`. */
  change(upserted: readonly Document[], removed: readonly string[], trouble: Trouble): void
  /** The source cannot be read now. Saying the same again tells the consumer nothing. */
  unreachable(problem: Problem): void
  /** Resolves once the consumer has dealt with all that was written; never, if it stops before. */
  told(): Promise<void>
}

/**
 * Runs a source's `reader` for as long as somebody consumes its updates. Whatever the reader tells while the consumer is
 * busy is merged into one update; the work of that is proportional to what changed. Equal text is no change.
 * @throws whatever `reader` throws; it must return soon after its signal aborts.
 */
export async function* feedOf(
  signal: AbortSignal,
  reader: (feed: Feed, signal: AbortSignal) => Promise<void>,
): AsyncIterable<SourceUpdate> {
  if (signal.aborted) return
  const abort = new AbortController()
  const feed = new PendingUpdate()
  const stop = (): void => {
    abort.abort()
    feed.wake()
  }
  signal.addEventListener('abort', stop, { once: true })
  let failure: { readonly error: unknown } | undefined
  const running = reader(feed, abort.signal).catch((error: unknown) => {
    failure = { error }
    feed.wake()
  })
  try {
    while (!abort.signal.aborted) {
      const update = feed.take()
      if (update !== undefined) yield update
      else if (failure !== undefined) throw failure.error
      else {
        // The consumer is back for more: with what it was given it is done.
        feed.noteTold()
        await feed.changed()
      }
    }
  } finally {
    signal.removeEventListener('abort', stop)
    stop()
    await running
  }
}

/** The difference between what the source holds and what the consumer was told. */
class PendingUpdate implements Feed {
  readonly #held = new Map<string, Document>()
  /** Per changed id, what the consumer has of it. */
  readonly #dirty = new Map<string, Document | undefined>()
  #trouble: Trouble = noTrouble
  #toldTrouble: Trouble = noTrouble
  #isRead = false
  /** The consumer has the first read, and nothing after it that says that the source cannot be read. */
  #isToldRead = false
  #problem: Problem | undefined
  #toldProblem: Problem | undefined
  #wake: (() => void) | undefined
  readonly #awaiting = new Set<() => void>()

  replace(documents: readonly Document[], trouble: Trouble): void {
    const present = new Set(idsOf(trouble))
    for (const document of documents) {
      present.add(document.id)
      this.#put(document)
    }
    for (const id of this.#held.keys()) if (!present.has(id)) this.#remove(id)
    this.#settle(trouble)
  }

  change(upserted: readonly Document[], removed: readonly string[], trouble: Trouble): void {
    for (const id of removed) this.#remove(id)
    for (const document of upserted) this.#put(document)
    this.#settle(trouble)
  }

  unreachable(problem: Problem): void {
    this.#problem = problem
    this.wake()
  }

  wake(): void {
    this.#wake?.()
    this.#wake = undefined
  }

  async told(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#awaiting.add(resolve)
      this.wake()
    })
  }

  noteTold(): void {
    // Of a source that cannot be read its consumer is told nothing else.
    if (this.#problem !== undefined) return
    for (const resolve of this.#awaiting) resolve()
    this.#awaiting.clear()
  }

  /** Resolves when the feed was written to, or woken. */
  async changed(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve
    })
  }

  /** What the consumer does not know yet, which it then knows. */
  take(): SourceUpdate | undefined {
    if (this.#problem !== undefined) {
      if (isSame(this.#problem, this.#toldProblem)) return undefined
      this.#toldProblem = this.#problem
      this.#isToldRead = false
      return { kind: 'unreachable', problem: this.#problem }
    }
    if (!this.#isRead) return undefined
    const { upserted, removed } = this.#takeDifference()
    const isTroubleTold = isSame(this.#trouble, this.#toldTrouble)
    if (this.#isToldRead && upserted.length === 0 && removed.length === 0 && isTroubleTold) return undefined
    this.#toldTrouble = this.#trouble
    this.#toldProblem = undefined
    this.#isToldRead = true
    const isEmpty = this.#held.size === 0 && this.#trouble.unreadable.length === 0
    return { kind: 'read', upserted, removed, ...this.#trouble, isEmpty }
  }

  #takeDifference(): { upserted: readonly Document[]; removed: readonly string[] } {
    const upserted: Document[] = []
    const removed = new Set<string>()
    for (const [id, told] of this.#dirty) {
      const document = this.#held.get(id)
      if (document === undefined && told !== undefined) removed.add(id)
      if (document !== undefined && document.text !== told?.text) upserted.push(document)
    }
    this.#dirty.clear()
    // The consumer may hold such a document from before this process started.
    const unreadable = new Set(idsOf(this.#trouble))
    for (const id of idsOf(this.#toldTrouble)) if (!unreadable.has(id) && !this.#held.has(id)) removed.add(id)
    return { upserted, removed: [...removed] }
  }

  #put(document: Document): void {
    const before = this.#held.get(document.id)
    if (before?.text === document.text) return
    if (!this.#dirty.has(document.id)) this.#dirty.set(document.id, before)
    this.#held.set(document.id, document)
  }

  #remove(id: string): void {
    const before = this.#held.get(id)
    if (before === undefined) return
    if (!this.#dirty.has(id)) this.#dirty.set(id, before)
    this.#held.delete(id)
  }

  #settle(trouble: Trouble): void {
    this.#trouble = trouble
    this.#problem = undefined
    this.#isRead = true
    this.wake()
  }
}

const idsOf = ({ unreadable }: Trouble): readonly string[] => unreadable.map(({ id }) => id)

/** Both are small and plain. */
function isSame(a: Trouble | Problem, b: Trouble | Problem | undefined): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}
