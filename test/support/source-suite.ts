import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Source } from '../../src/source/source.ts'
import { readSource, type SourceReader, summaryOf } from './source-reader.ts'

/** The place that a source reads, as its author sees it. */
export interface SourcePlace {
  readonly source: Source
  /** The id of the document with this name. */
  readonly idOf: (name: string) => string
  readonly put: (name: string, text: string) => Promise<void>
  readonly remove: (name: string) => Promise<void>
  /** All at once, as far as the place can do that. */
  readonly apply: (batch: {
    readonly put?: Readonly<Record<string, string>>
    readonly remove?: readonly string[]
  }) => Promise<void>
  /** It cannot be read until `recover`; it can still be written. */
  readonly fail: () => Promise<void>
  readonly recover: () => Promise<void>
  readonly close: () => Promise<void>
}

/** What keeps the process alive and a source may have opened. */
function openHandles(): string[] {
  return process
    .getActiveResourcesInfo()
    .filter((kind) => /FSEvent|StatWatcher|TCPSocket|FSReq/.test(kind))
    .sort()
}

/** What every source must do, whatever it reads. */
export function describeSource(name: string, open: () => Promise<SourcePlace>): void {
  describe(`${name} as a source`, () => {
    let place: SourcePlace
    let reader: SourceReader

    beforeEach(async () => {
      place = await open()
      reader = readSource(place.source)
    })

    afterEach(async () => {
      await reader.close()
      await place.close()
    })

    test('the first update holds everything', async () => {
      await place.apply({ put: { a: 'text: a', b: 'text: b' } })
      const update = await reader.nextRead()
      expect(summaryOf(update)).toEqual({
        put: { [place.idOf('a')]: 'text: a', [place.idOf('b')]: 'text: b' },
        removed: [],
      })
      expect(update).toMatchObject({ isEmpty: false, problems: [], unreadable: [] })
    })

    test('an empty place is read too', async () => {
      expect(await reader.next()).toEqual({
        kind: 'read',
        upserted: [],
        removed: [],
        problems: [],
        unreadable: [],
        isEmpty: true,
      })
    })

    test('one change is one update that says only what changed', async () => {
      await place.apply({ put: { a: '1', b: '1' } })
      await reader.nextRead()
      await place.put('a', '2')
      expect(summaryOf(await reader.next())).toEqual({ put: { [place.idOf('a')]: '2' }, removed: [] })
      await place.put('c', 'new')
      expect(summaryOf(await reader.next())).toEqual({ put: { [place.idOf('c')]: 'new' }, removed: [] })
    })

    test('a batch is one update', async () => {
      await place.apply({ put: { a: '1', b: '1', c: '1' } })
      await reader.nextRead()
      await place.apply({ put: { a: '2', d: '2' }, remove: ['b'] })
      expect(summaryOf(await reader.next())).toEqual({
        put: { [place.idOf('a')]: '2', [place.idOf('d')]: '2' },
        removed: [place.idOf('b')],
      })
    })

    test('a document that is removed is told, and the last one leaves the source empty', async () => {
      await place.apply({ put: { a: '1', b: '1' } })
      await reader.nextRead()
      await place.remove('a')
      const first = await reader.nextRead()
      expect(summaryOf(first)).toEqual({ put: {}, removed: [place.idOf('a')] })
      expect(first.isEmpty).toBe(false)
      await place.remove('b')
      const second = await reader.nextRead()
      expect(summaryOf(second)).toEqual({ put: {}, removed: [place.idOf('b')] })
      expect(second.isEmpty).toBe(true)
    })

    test('writing the same text again says nothing', async () => {
      await place.put('a', '1')
      await reader.nextRead()
      await place.put('a', '1')
      await place.put('marker', '1')
      expect(summaryOf(await reader.next())).toEqual({ put: { [place.idOf('marker')]: '1' }, removed: [] })
    })

    test('changes while the consumer is busy are merged', async () => {
      await place.put('x', '1')
      const eager = readSource(place.source)
      for (const { nextRead } of [reader, eager]) await nextRead()
      await place.put('y', '1')
      for (const { nextRead } of [reader, eager]) await nextRead()
      const writes = 30
      for (let count = 1; count <= writes; count++) await place.put('a', `${count}`)
      await place.apply({ put: { end: '1' }, remove: ['x', 'y'] })
      // When somebody who keeps up has seen it all, most of it waits for the busy one (feed.test.ts is exact about it).
      await eager.readUntil(() => eager.texts.has(place.idOf('end')))
      await eager.close()
      const updates = await reader.readUntil(() => reader.texts.has(place.idOf('end')))
      expect(updates.length).toBeLessThan(writes)
      expect(Object.fromEntries(reader.texts)).toEqual({ [place.idOf('a')]: `${writes}`, [place.idOf('end')]: '1' })
    })

    test('what can no longer be read is said once, and what changed meanwhile is told after it', async () => {
      await place.apply({ put: { a: '1', b: '1', c: '1' } })
      await reader.nextRead()
      await place.fail()
      const { problem } = await reader.nextUnreachable()
      expect(problem).toMatchObject({ severity: 'error', code: 'source-unreachable' })
      await place.apply({ put: { b: '2' }, remove: ['c'] })
      await place.recover()
      expect(summaryOf(await reader.next())).toEqual({ put: { [place.idOf('b')]: '2' }, removed: [place.idOf('c')] })
    })

    test('coming back without a change is told as well', async () => {
      await place.put('a', '1')
      await reader.nextRead()
      await place.fail()
      await reader.nextUnreachable()
      await place.recover()
      const update = await reader.nextRead()
      expect(summaryOf(update)).toEqual({ put: {}, removed: [] })
      expect(update.isEmpty).toBe(false)
    })

    test('what cannot be read from the start is read when it can be', async () => {
      await reader.close()
      await place.put('a', '1')
      await place.fail()
      reader = readSource(place.source)
      await reader.nextUnreachable()
      await place.recover()
      expect(summaryOf(await reader.next())).toEqual({ put: { [place.idOf('a')]: '1' }, removed: [] })
    })

    test('aborting ends it and releases what it opened', async () => {
      await reader.close()
      const before = openHandles()
      await place.put('a', '1')
      const abort = new AbortController()
      const updates = place.source.watch(abort.signal)[Symbol.asyncIterator]()
      await updates.next()
      const pending = updates.next()
      abort.abort()
      expect(await pending).toEqual({ done: true, value: undefined })
      await expect.poll(openHandles).toEqual(before)
      expect(await updates.next()).toEqual({ done: true, value: undefined })
    })

    test('a signal that is aborted already yields nothing', async () => {
      const updates = place.source.watch(AbortSignal.abort())[Symbol.asyncIterator]()
      expect(await updates.next()).toEqual({ done: true, value: undefined })
    })

    test('a consumer that stops reading ends it', async () => {
      await place.put('a', '1')
      for await (const update of place.source.watch(new AbortController().signal)) {
        expect(update.kind).toBe('read')
        break
      }
    })
  })
}
