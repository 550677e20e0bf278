import { describe, expect, test } from 'vitest'
import { smallView } from '../../../test/support/small-view.ts'
import { resourceTypes } from '../../resource/type-url.ts'
import { emptySet, type ResourceSet } from '../../snapshot/resource-set.ts'
import { setIn } from '../transition/view.ts'
import { newSubscription, noteAck, noteNack, noteSent, noteUnchanged, type Sent } from './subscription.ts'

const { typeUrl } = resourceTypes.cluster
const setOf = (...texts: readonly string[]): ResourceSet => setIn(smallView(...texts), typeUrl)
const [first, second] = [setOf('cluster x=1'), setOf('cluster x=2')]

function sent(nonce: string, set: ResourceSet): Sent {
  return { nonce, set, isComplete: true, lastPart: nonce, owed: 'all', atMs: 0 }
}

describe('what a client may hold', () => {
  test('is nothing as well, after its first response was rejected', () => {
    const response = sent('1', first)
    const rejected = noteNack(noteSent(newSubscription(typeUrl), response), response, 'no')
    expect(rejected.mayHold).toEqual([emptySet(typeUrl), first])
  })

  test('is what it accepted before, after a later one was', () => {
    const [one, two] = [sent('1', first), sent('2', second)]
    const accepted = noteAck(noteSent(newSubscription(typeUrl), one), one)
    expect(noteNack(noteSent(accepted, two), two, 'no').mayHold).toEqual([first, second])
  })
})

describe('a set that says nothing new to a client', () => {
  test('is all that it may hold', () => {
    expect(noteUnchanged(newSubscription(typeUrl), first)).toMatchObject({ acked: undefined, mayHold: [first] })
  })

  test('leaves open what the client holds of a response that it rejected', () => {
    const response = sent('1', first)
    const rejected = noteNack(noteSent(newSubscription(typeUrl), response), response, 'no')
    expect(noteUnchanged(rejected, second).mayHold).toEqual(rejected.mayHold)
  })
})
