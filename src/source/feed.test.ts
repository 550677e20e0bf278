import { expect, test } from 'vitest'
import { summaryOf } from '../../test/support/source-reader.ts'
import { type Feed, feedOf, noTrouble } from './feed.ts'
import type { Document, SourceUpdate, Unreadable } from './source.ts'

const unread = (id: string): Unreadable => ({ id, origin: { name: id } })

function document(id: string, text: string): Document {
  return { id, text, origin: { name: id } }
}

const problem = {
  severity: 'error',
  code: 'source-unreachable',
  origin: { name: 'x' },
  path: '',
  message: 'gone',
  fix: '',
} as const

interface Case {
  readonly title: string
  /** Written while the consumer is busy with the first read of `a: 1`. */
  readonly write: (feed: Feed) => void
  readonly expected: unknown
}

const merges: readonly Case[] = [
  {
    title: 'the last text of a document counts',
    write: (feed) => {
      feed.change([document('a', '2')], [], noTrouble)
      feed.change([document('a', '3')], [], noTrouble)
    },
    expected: { put: { a: '3' }, removed: [] },
  },
  {
    title: 'a document that came and went is never told',
    write: (feed) => {
      feed.change([document('b', '1')], [], noTrouble)
      feed.change([document('c', '1')], ['b'], noTrouble)
    },
    expected: { put: { c: '1' }, removed: [] },
  },
  {
    title: 'a document that is removed and written again is an upsert',
    write: (feed) => {
      feed.change([], ['a'], noTrouble)
      feed.change([document('a', '2')], [], noTrouble)
    },
    expected: { put: { a: '2' }, removed: [] },
  },
  {
    title: 'a document that went back to its text is no change',
    write: (feed) => {
      feed.change([document('a', '2')], [], noTrouble)
      feed.change([document('a', '1'), document('b', '1')], [], noTrouble)
    },
    expected: { put: { b: '1' }, removed: [] },
  },
  {
    title: 'a document that a replacement lacks is removed',
    write: (feed) => feed.replace([document('b', '1')], noTrouble),
    expected: { put: { b: '1' }, removed: ['a'] },
  },
  {
    title: 'a document that a replacement cannot read is kept',
    write: (feed) => feed.replace([document('b', '1')], { problems: [], unreadable: [unread('a')] }),
    expected: { put: { b: '1' }, removed: [] },
  },
  {
    title: 'an outage that ended meanwhile is not told',
    write: (feed) => {
      feed.unreachable(problem)
      feed.change([document('b', '1')], [], noTrouble)
    },
    expected: { put: { b: '1' }, removed: [] },
  },
  {
    title: 'an outage that goes on is told, not what came before it',
    write: (feed) => {
      feed.change([document('b', '1')], [], noTrouble)
      feed.unreachable(problem)
    },
    expected: 'unreachable',
  },
]

/** A consumer that took the first read, `a: 1`, and is busy with it. */
async function busyConsumer(): Promise<{ feed: Feed; next: () => Promise<SourceUpdate>; end: () => Promise<void> }> {
  const abort = new AbortController()
  let feed: Feed | undefined
  const updates = feedOf(abort.signal, async (written, signal) => {
    feed = written
    written.replace([document('a', '1')], noTrouble)
    await new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => resolve())
    })
  })[Symbol.asyncIterator]()
  await updates.next()
  return {
    feed: feed as unknown as Feed,
    next: async () => (await updates.next()).value as SourceUpdate,
    end: async () => {
      abort.abort()
      await updates.next()
    },
  }
}

test.each(merges)('merged: $title', async ({ write, expected }) => {
  const { feed, next, end } = await busyConsumer()
  write(feed)
  expect(summaryOf(await next())).toEqual(expected)
  await end()
})

test('the same problem is told once in an outage, and again in the next', async () => {
  const { feed, next, end } = await busyConsumer()
  feed.unreachable(problem)
  expect(summaryOf(await next())).toBe('unreachable')
  feed.unreachable({ ...problem })
  feed.unreachable({ ...problem, message: 'another' })
  expect(await next()).toMatchObject({ kind: 'unreachable', problem: { message: 'another' } })
  feed.replace([document('a', '1')], noTrouble)
  expect(summaryOf(await next())).toEqual({ put: {}, removed: [] })
  feed.unreachable(problem)
  expect(summaryOf(await next())).toBe('unreachable')
  await end()
})

test('a document that never could be read is removed when it is gone', async () => {
  const { feed, next, end } = await busyConsumer()
  feed.change([], [], { problems: [problem], unreadable: [unread('b')] })
  expect(await next()).toMatchObject({ upserted: [], removed: [], unreadable: [unread('b')], problems: [problem] })
  feed.change([], [], noTrouble)
  expect(await next()).toMatchObject({ upserted: [], removed: ['b'], unreadable: [], problems: [] })
  await end()
})

test('a reader that throws ends the updates with its error, after what it told', async () => {
  const updates = feedOf(new AbortController().signal, async (feed) => {
    feed.replace([], noTrouble)
    throw new Error('broken')
  })[Symbol.asyncIterator]()
  expect((await updates.next()).value).toMatchObject({ kind: 'read', isEmpty: true })
  await expect(updates.next()).rejects.toThrow('broken')
})
