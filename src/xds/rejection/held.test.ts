import { describe, expect, test } from 'vitest'
import { smallResource, smallView } from '../../../test/support/small-view.ts'
import { resourceTypes } from '../../resource/type-url.ts'
import { nameSetOf } from '../protocol/names.ts'
import { newSubscription, noteAck, noteNack, noteSent, type Sent, type Subscription } from '../protocol/subscription.ts'
import { setIn, type View } from '../transition/view.ts'
import { sharedBlame } from './blame.ts'
import { heldIn, suspicionOf } from './held.ts'
import type { StandingRejection } from './rejection-book.ts'

const typeUrl = resourceTypes.cluster.typeUrl

interface Nack {
  readonly subscription: Subscription
  readonly sent: Sent
}

/** A client that accepted the first view and rejected the second one. Nothing of it is shared with another client. */
function rejecting(first: View, second: View, more: Partial<Subscription> = {}, moreSent: Partial<Sent> = {}): Nack {
  const sentOf = (view: View, nonce: string): Sent => {
    const set = setIn(view, typeUrl)
    return { nonce, set, isComplete: true, lastPart: nonce, owed: nameSetOf([]), atMs: Math.random(), ...moreSent }
  }
  const [accepted, rejected] = [sentOf(first, '1'), sentOf(second, '2')]
  const before = { ...newSubscription(typeUrl), isWildcard: true, ...more }
  const acked = noteAck(noteSent(before, accepted), accepted)
  return { subscription: noteNack(noteSent(acked, rejected), rejected, 'no'), sent: rejected }
}

const before = smallView('cluster a=1', 'cluster b=1', 'cluster c=1')
const after = smallView('cluster a=2', 'cluster b=2', 'cluster c=1')

const heldBy = ({ subscription, sent }: Nack): ReturnType<typeof heldIn> => heldIn(subscription, sent)

function rejectedBefore(text: string): StandingRejection {
  return { resource: smallResource(text), accepted: undefined, message: 'no', since: '' }
}

describe('what a rejected response held', () => {
  test('is what differs from what the client had accepted', () => {
    const held = heldBy(rejecting(before, after))
    expect([...held.new.keys()]).toEqual(['a', 'b'])
    expect([...held.names]).toEqual(['a', 'b', 'c'])
  })

  test('is found once for all clients in the same state', () => {
    expect(heldBy(rejecting(before, after))).toBe(heldBy(rejecting(before, after)))
  })

  test.each<[string, Nack]>([
    ['accepted something else before', rejecting(smallView('cluster a=1'), after)],
    ['was sent something else', rejecting(before, smallView('cluster a=2'))],
    ['asks by name', rejecting(before, after, { isWildcard: false, names: nameSetOf(['a', 'b', 'c']) })],
    ['asks for another name beside the wildcard', rejecting(before, after, { names: nameSetOf(['z']) })],
    ['was sent one for the asking', rejecting(before, after, {}, { owed: nameSetOf(['c']) })],
    ['was sent all for the asking', rejecting(before, after, {}, { owed: 'all' })],
    ['was sent a part', rejecting(before, after, {}, { part: ['a'] })],
    ['was sent names beside an older rejection', rejecting(before, after, {}, { isComplete: false })],
  ])('is found anew for a client that %s', (_, nack) => {
    expect(heldBy(nack)).not.toBe(heldBy(rejecting(before, after)))
  })
})

describe('whom a rejection may be about', () => {
  const held = heldBy(rejecting(before, after))

  test('is all that was new, and one object for all clients that rejected nothing of it before', () => {
    const suspicion = suspicionOf(held, [])
    expect(suspicion.suspects).toEqual(['a', 'b'])
    expect(suspicion.resources).toEqual([smallResource('cluster a=2'), smallResource('cluster b=2')])
    expect(suspicionOf(held, [rejectedBefore('cluster z=1'), rejectedBefore('cluster a=9')])).toBe(suspicion)
  })

  test('is nobody that was rejected before, and one object for all that rejected the same', () => {
    const suspicion = suspicionOf(held, [rejectedBefore('cluster a=2')])
    expect(suspicion.suspects).toEqual(['b'])
    expect(suspicionOf(held, [rejectedBefore('cluster z=1'), rejectedBefore('cluster a=2')])).toBe(suspicion)
    expect(suspicionOf(held, [])).not.toBe(suspicion)
  })
})

describe('what a client says of it', () => {
  const suspicion = suspicionOf(heldBy(rejecting(before, after)), [])
  const message = 'Error adding/updating cluster(s) b: no such thing'

  test('is read once for all that say the same', () => {
    const found = sharedBlame(message, suspicion)
    expect(found).toEqual({ kind: 'named', reasons: new Map([['b', 'no such thing']]), isRestApplied: true })
    // Equal, and not the same string.
    expect(sharedBlame(Buffer.from(message).toString(), suspicion)).toBe(found)
    expect(sharedBlame('something is wrong', suspicion)).toEqual({ kind: 'unknown' })
  })

  test('is not remembered when it is long, or one of many', () => {
    const long = `${message}${'.'.repeat(10_000)}`
    expect(sharedBlame(long, suspicion)).not.toBe(sharedBlame(long, suspicion))
    const found = sharedBlame(message, suspicion)
    for (let index = 0; index < 20; index++) sharedBlame(`${message} ${index}`, suspicion)
    expect(sharedBlame(message, suspicion)).not.toBe(found)
    expect(sharedBlame(message, suspicion)).toEqual(found)
  })
})
