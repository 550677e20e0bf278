import { describe, expect, test } from 'vitest'
import { smallResource } from '../../../test/support/small-view.ts'
import { type Node, nodeOfJson } from '../../resource/node.ts'
import { RejectionBook, RejectionRecord, type StandingRejection } from './rejection-book.ts'

function rejection(text: string, accepted?: string): StandingRejection {
  return {
    resource: smallResource(text),
    accepted: accepted === undefined ? undefined : smallResource(accepted),
    message: 'no',
    since: '2026-11-21T07:00:00.000Z',
  }
}

const node = (id: string, version = '1.40.0'): Node =>
  nodeOfJson({ id, cluster: 'edge', user_agent_name: 'envoy', user_agent_version: version })

const nothingStands = () => false

describe('what a node rejected', () => {
  test('is known by type, name and version', () => {
    const record = new RejectionRecord()
    record.add(rejection('cluster a=2'), nothingStands)
    expect(record.has(smallResource('cluster a=2'))).toBe(true)
    for (const other of ['cluster a=1', 'cluster b=2', 'route a=2']) {
      expect(record.has(smallResource(other))).toBe(false)
    }
  })

  test('is kept of several versions, so that going back to one does not send it again', () => {
    const record = new RejectionRecord()
    for (let version = 1; version <= 20; version++) record.add(rejection(`cluster a=${version}`), nothingStands)
    expect(record.has(smallResource('cluster a=20'))).toBe(true)
    expect(record.has(smallResource('cluster a=13'))).toBe(true)
    expect(record.rejections).toHaveLength(8)
  })

  test('is bounded, the oldest names go first', () => {
    const record = new RejectionRecord()
    for (let index = 0; index < 1100; index++) record.add(rejection(`cluster c${index}=1`), nothingStands)
    expect(record.rejections).toHaveLength(1000)
    expect(record.has(smallResource('cluster c1099=1'))).toBe(true)
    expect(record.has(smallResource('cluster c0=1'))).toBe(false)
  })

  test('is kept as long as it stands in the snapshot, however much there is', () => {
    const record = new RejectionRecord()
    const stands = ({ name }: { readonly name: string }) => name.startsWith('bad')
    for (let index = 0; index < 1200; index++) record.add(rejection(`cluster bad${index}=1`), stands)
    for (let index = 0; index < 5000; index++) record.add(rejection(`cluster dead${index}=1`), stands)
    expect(record.rejections.filter(({ resource }) => stands(resource))).toHaveLength(1200)
    expect(record.rejections.length).toBeLessThanOrEqual(2200)
    for (let version = 2; version < 20; version++) {
      record.add(
        rejection(`cluster bad0=${version}`),
        ({ version: its }) => its === smallResource('cluster bad0=1').version,
      )
    }
    expect(record.has(smallResource('cluster bad0=1'))).toBe(true)
  })

  test('has in its place what was accepted, or what was accepted before that', () => {
    const record = new RejectionRecord()
    record.add(rejection('cluster a=3', 'cluster a=2'), nothingStands)
    expect(record.standIn(smallResource('cluster a=2'))).toEqual(smallResource('cluster a=2'))
    record.add(rejection('cluster a=2', 'cluster a=1'), nothingStands)
    expect(record.standIn(smallResource('cluster a=2'))).toEqual(smallResource('cluster a=1'))
    record.add(rejection('cluster a=1', 'cluster a=3'), nothingStands)
    expect(record.standIn(smallResource('cluster a=2'))).toBeUndefined()
  })
})

describe('the book', () => {
  function openBook(maxNodes = 3): { readonly book: RejectionBook; readonly pass: (ms: number) => void } {
    let now = 0
    const book = new RejectionBook({ maxNodes, forgetAfterMs: 1000, clock: { now: () => now } })
    return {
      book,
      pass: (ms) => {
        now += ms
      },
    }
  }

  test('finds a node again by its id and its version of Envoy, and nobody who rejected nothing', () => {
    const { book } = openBook()
    expect(book.find(node('a'))).toBeUndefined()
    const record = book.open(node('a'))
    expect(book.open(node('a'))).toBe(record)
    expect(book.find(node('a'))).toBe(record)
    expect(book.find(node('b'))).toBeUndefined()
    expect(book.find(node('a', '1.41.0'))).toBeUndefined()
  })

  test('forgets a node that is gone for long, and none that is connected', () => {
    const { book, pass } = openBook()
    const [a, b] = [book.open(node('a')), book.open(node('b'))]
    book.join(node('a'), a)
    book.join(node('b'), b)
    book.leave(b)
    pass(999)
    expect(book.find(node('b'))).toBe(b)
    pass(11)
    expect(book.find(node('b'))).toBeUndefined()
    expect(book.find(node('a'))).toBe(a)
  })

  test('is bounded: the least recently seen node that is gone goes first', () => {
    const { book } = openBook()
    for (const id of ['a', 'b', 'c']) book.open(node(id))
    book.join(node('a'), book.open(node('a')))
    book.open(node('d'))
    expect(book.size).toBe(3)
    expect(book.find(node('b'))).toBeUndefined()
    expect(book.find(node('a'))).toBeDefined()
  })
})
