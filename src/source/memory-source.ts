import { type Feed, feedOf, noTrouble } from './feed.ts'
import type { Document, Source, SourceUpdate } from './source.ts'

/** What to write at once: texts by id, and ids to remove. */
export interface MemoryBatch {
  readonly put?: Readonly<Record<string, string>>
  readonly remove?: readonly string[]
}

/** A source without a place, for tests and benches. Every watch sees the same documents. */
export interface MemorySource extends Source {
  put(id: string, text: string): void
  remove(id: string): void
  /** Everything in `batch` is one change. */
  apply(batch: MemoryBatch): void
  /** Cannot be read until `recover`; what is written meanwhile is seen then. */
  fail(): void
  recover(): void
}

export function createMemorySource(name: string): MemorySource {
  const documents = new Map<string, Document>()
  const feeds = new Set<Feed>()
  let isFailed = false

  const tellState = (feed: Feed): void => {
    if (!isFailed) return feed.replace([...documents.values()], noTrouble)
    const message = `${name} cannot be read`
    const origin = { name }
    feed.unreachable({ severity: 'error', code: 'source-unreachable', origin, path: '', message, fix: '' })
  }

  const apply = (batch: MemoryBatch): void => {
    const removed = batch.remove ?? []
    const upserted = Object.entries(batch.put ?? {}).map(([id, text]): Document => ({ id, text, origin: { name: id } }))
    for (const id of removed) documents.delete(id)
    for (const document of upserted) documents.set(document.id, document)
    if (!isFailed) for (const feed of feeds) feed.change(upserted, removed, noTrouble)
  }

  const setFailed = (value: boolean): void => {
    isFailed = value
    for (const feed of feeds) tellState(feed)
  }

  return {
    name,
    put: (id, text) => apply({ put: { [id]: text } }),
    remove: (id) => apply({ remove: [id] }),
    apply,
    fail: () => setFailed(true),
    recover: () => setFailed(false),
    watch: (signal: AbortSignal): AsyncIterable<SourceUpdate> =>
      feedOf(signal, async (feed, stopped) => {
        feeds.add(feed)
        tellState(feed)
        await new Promise<void>((resolve) => {
          stopped.addEventListener('abort', () => resolve(), { once: true })
        })
        feeds.delete(feed)
      }),
  }
}
