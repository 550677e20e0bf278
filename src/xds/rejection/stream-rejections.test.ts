import { describe, expect, test } from 'vitest'
import { showView, smallResource, smallView } from '../../../test/support/small-view.ts'
import type { ResourceSet } from '../../snapshot/resource-set.ts'
import { nameSetOf } from '../protocol/names.ts'
import { newSubscription, noteAck, noteNack, noteSent, type Sent } from '../protocol/subscription.ts'
import type { Protocol } from '../stream-event.ts'
import { setIn } from '../transition/view.ts'
import { RejectionRecord } from './rejection-book.ts'
import { StreamRejections } from './stream-rejections.ts'

/** The client rejected `cluster x=2`, when it had nothing of that name, and has accepted `cluster x=1` since. */
function rejectingTwo(): StreamRejections {
  const record = new RejectionRecord()
  const rejections = new StreamRejections(record, 'client', smallView('cluster x=2'))
  const since = new Date(0).toISOString()
  record.add({ resource: smallResource('cluster x=2'), accepted: undefined, message: 'no', since }, () => true)
  expect(showView(rejections.target(smallView(), 0) ?? smallView())).toEqual([])
  rejections.follow(smallView('cluster x=1'), 1)
  rejections.target(smallView(), 1)
  return rejections
}

describe('when the snapshot goes back to what was rejected', () => {
  test.each<[string, readonly string[], readonly string[]]>([
    ['the client keeps what it was given in between', ['cluster x=1'], ['cluster x=1']],
    ['a client that has nothing of it any more is given nothing', [], []],
  ])('%s', (_, has, shown) => {
    const rejections = rejectingTwo()
    // It is gone, but something that drains may use it still.
    rejections.follow(smallView('cluster y=1'), 2)
    rejections.target(smallView('cluster x=1'), 2)
    const back = smallView('cluster x=2')
    rejections.follow(back, 3)
    expect(showView(rejections.target(smallView(...has), 3) ?? back)).toEqual(shown)
  })

  test('and away and back again before the client could be told, it has what it had', () => {
    const rejections = rejectingTwo()
    rejections.follow(smallView('cluster x=2'), 2)
    rejections.target(smallView('cluster x=1'), 2)
    rejections.follow(smallView('cluster x=3'), 3)
    const back = smallView('cluster x=2')
    rejections.follow(back, 3)
    expect(showView(rejections.target(smallView('cluster x=1'), 3) ?? back)).toEqual(['cluster x=1'])
  })
})

describe('what a client keeps of a resource that it rejects in the first answer of its stream', () => {
  const { typeUrl } = smallResource('cluster x')
  const snapshot = smallView('cluster x=3', 'cluster y=1')
  const setOf = (...texts: readonly string[]): ResourceSet => setIn(smallView(...texts), typeUrl)
  const had = setOf('cluster x=1', 'cluster y=1')

  /** `text`: what a delta client says that it has. */
  function keeps(protocol: Protocol, stated: string, earlier: readonly ResourceSet[], text?: string): string {
    const rejections = new StreamRejections(new RejectionRecord(), 'client', snapshot)
    const said = text === undefined ? undefined : new Map([['x', smallResource(text).version]])
    const sent: Sent = {
      nonce: '1',
      lastPart: '1',
      set: setIn(snapshot, typeUrl),
      isComplete: true,
      owed: 'all',
      atMs: 0,
    }
    const message = 'Error adding/updating cluster(s) x: no'
    const asked = { ...newSubscription(typeUrl), isWildcard: true, initialVersions: said }
    const subscription = noteNack(noteSent(asked, sent), sent, message)
    const verdict = { kind: 'nack', sent, message } as const
    const { found } = rejections.note(
      { subscription, protocol, statedVersion: stated, earlier, verdict },
      0,
      new Date(0),
    )
    const [accepted] = found.map((one) => one.accepted)
    if (accepted === undefined) return 'nothing'
    const versions = new Map(['cluster x=1', 'cluster x=2'].map((one) => [smallResource(one).version, one]))
    return versions.get(accepted.version) ?? accepted.version
  }

  const was = had.version
  test.each<[string, string, Protocol, string, readonly ResourceSet[], string?]>([
    ['is what it was remembered to have', 'cluster x=1', 'sotw', was, [had]],
    ['is what it had accepted, of two that it may have', 'cluster x=1', 'sotw', was, [had, setOf('cluster x=2')]],
    [
      'is what it had accepted, though it had been sent the rejected one',
      'cluster x=1',
      'sotw',
      was,
      [had, setOf('cluster x=3')],
    ],
    ['is nothing, when it is remembered to have none', 'nothing', 'sotw', was, [setOf('cluster y=1')]],
    [
      'is nothing, when it had none, and was sent the rejected one',
      'nothing',
      'sotw',
      was,
      [setOf('cluster y=1'), setOf('cluster x=3')],
    ],
    ['is not known, when nothing is remembered', 'unknown', 'sotw', was, []],
    ['is not known, when it was the very same', 'unknown', 'sotw', was, [setOf('cluster x=3')]],
    ['is nothing, when it says so', 'nothing', 'sotw', '', []],
    [
      'is what it says, of two that it may have',
      'cluster x=2',
      'delta',
      '',
      [had, setOf('cluster x=2')],
      'cluster x=2',
    ],
    ['is not known, when it says what is not remembered', 'unknown', 'delta', '', [had], 'cluster x=2'],
    ['is nothing, when it does not say it', 'nothing', 'delta', '', [had]],
  ])('%s: %s (%s)', (_, kept, protocol, stated, earlier, text) => {
    expect(keeps(protocol, stated, earlier, text)).toBe(kept)
  })
})

describe('a listener that is rejected for an address at which nothing else is to be', () => {
  const snapshot = smallView('listener k=1@90', 'listener m=1@80')
  const set = setIn(snapshot, smallResource('listener m').typeUrl)
  const message = "Error adding/updating listener(s) m: error adding listener: 'm' has duplicate address '127.0.0.1:80'"

  test.each<[string, string, number, readonly string[]]>([
    ['is to be had again after ten seconds', '', 10_000, ['listener k=1@90', 'listener m=1@80']],
    // The rest of the list is not known: the response stands rejected, and would not be sent.
    [
      'is left out until something changes, when the list of the rejected ones was cut off',
      '...(truncated)',
      Infinity,
      ['listener k=1@90'],
    ],
  ])('%s', (_, end, retryAtMs, shown) => {
    const rejections = new StreamRejections(new RejectionRecord(), 'client', snapshot)
    const sent: Sent = { nonce: '1', lastPart: '1', set, isComplete: true, owed: 'all', atMs: 0 }
    const said = `${message}${end}`
    const subscription = noteNack(noteSent({ ...newSubscription(set.typeUrl), isWildcard: true }, sent), sent, said)
    const verdict = { kind: 'nack', sent, message: said } as const
    rejections.note({ subscription, protocol: 'delta', statedVersion: '', earlier: [], verdict }, 0, new Date(0))
    const targetAt = (nowMs: number): readonly string[] => showView(rejections.target(snapshot, nowMs) ?? smallView())
    expect(targetAt(0)).toEqual(['listener k=1@90'])
    expect(rejections.retryAtMs).toBe(retryAtMs)
    expect(targetAt(10_000)).toEqual(shown)
  })
})

test('What a client accepts while a search is on is cleared, though it asks no more for another one that is suspected', () => {
  const snapshot = smallView('route a=1', 'route b=1')
  const set = setIn(snapshot, smallResource('route a').typeUrl)
  const rejections = new StreamRejections(new RejectionRecord(), 'client', snapshot)
  const sentOf = (held: ResourceSet, atMs: number): Sent => {
    return { nonce: String(atMs), lastPart: String(atMs), set: held, isComplete: true, owed: 'all', atMs }
  }
  const targetAt = (nowMs: number): readonly string[] => showView(rejections.target(snapshot, nowMs) ?? smallView())
  const judged = { protocol: 'sotw', statedVersion: '', earlier: [] } as const
  const both = { ...newSubscription(set.typeUrl), isWildcard: true }
  const first = sentOf(set, 0)
  const nacked = noteNack(noteSent(both, first), first, 'no')
  rejections.note(
    { ...judged, subscription: nacked, verdict: { kind: 'nack', sent: first, message: 'no' } },
    1,
    new Date(0),
  )
  expect(targetAt(2)).toEqual([])
  expect(targetAt(2000)).toEqual(['route a=1'])
  const second = sentOf(setIn(smallView('route a=1'), set.typeUrl), 2001)
  const acked = noteAck(noteSent(nacked, second), second)
  const asked = { ...acked, isWildcard: false, names: nameSetOf(['a']) }
  rejections.note({ ...judged, subscription: asked, verdict: { kind: 'ack', sent: second } }, 2500, new Date(0))
  expect(targetAt(2501)).toEqual(['route a=1', 'route b=1'])
})
