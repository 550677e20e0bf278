import type { Source, SourceUpdate } from '../../src/source/source.ts'

export type ReadUpdate = Extract<SourceUpdate, { kind: 'read' }>

/** A consumer of a source that asks for one update at a time and knows what it was told. */
export interface SourceReader {
  /** What it holds, by id. */
  readonly texts: ReadonlyMap<string, string>
  readonly next: () => Promise<SourceUpdate>
  /** The next update, which must be a read. */
  readonly nextRead: () => Promise<ReadUpdate>
  nextUnreachable(): Promise<Extract<SourceUpdate, { kind: 'unreachable' }>>
  /** Reads on until `isTrue`; returns all that was read. */
  readonly readUntil: (isTrue: (update: SourceUpdate) => boolean) => Promise<SourceUpdate[]>
  /** Aborts, and resolves when the source has ended. */
  readonly close: () => Promise<void>
}

export function readSource(source: Source): SourceReader {
  const abort = new AbortController()
  const updates = source.watch(abort.signal)[Symbol.asyncIterator]()
  const texts = new Map<string, string>()

  const next = async (): Promise<SourceUpdate> => {
    const { done, value } = await updates.next()
    if (done) throw new Error('the source ended')
    if (value.kind === 'read') {
      for (const id of value.removed) texts.delete(id)
      for (const document of value.upserted) texts.set(document.id, document.text)
    }
    return value
  }

  return {
    texts,
    next,
    async nextRead() {
      const update = await next()
      if (update.kind !== 'read') throw new Error(`expected a read, got: ${update.problem.message}`)
      return update
    },
    async nextUnreachable() {
      const update = await next()
      if (update.kind !== 'unreachable')
        throw new Error(`expected that it cannot be read, got ${JSON.stringify(update)}`)
      return update
    },
    async readUntil(isTrue) {
      const all: SourceUpdate[] = []
      for (;;) {
        const update = await next()
        all.push(update)
        if (isTrue(update)) return all
      }
    },
    async close() {
      abort.abort()
      while (!(await updates.next()).done);
    },
  }
}

/** What an update says that a test compares: ids with texts, and ids. */
export function summaryOf(update: SourceUpdate): unknown {
  if (update.kind === 'unreachable') return 'unreachable'
  const put = Object.fromEntries(update.upserted.map((document) => [document.id, document.text]))
  return { put, removed: [...update.removed].sort() }
}
