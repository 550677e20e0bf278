import { describe, expect, test } from 'vitest'
import type { DeltaRequest } from '../../resource/discovery-envelope.ts'
import { setOfResources } from '../../snapshot/resource-set.ts'
import { receiveDelta } from './delta.ts'
import { noteSent, type Subscription } from './subscription.ts'

const typeUrl = 'type.googleapis.com/test.Type'
const set = setOfResources(typeUrl, [])

interface Said {
  readonly subscribe?: readonly string[]
  readonly unsubscribe?: readonly string[]
  readonly initial?: Readonly<Record<string, string>>
  readonly nonce?: string
  readonly error?: string
}

function requestOf({ subscribe = [], unsubscribe = [], initial = {}, nonce = '', error }: Said): DeltaRequest {
  return {
    node: undefined,
    typeUrl,
    subscribe,
    unsubscribe,
    initialVersions: new Map(Object.entries(initial)),
    responseNonce: nonce,
    errorDetail: error === undefined ? undefined : { code: 13, message: error },
  }
}

/** What a client says, or `answer <nonce>` for what it is told; and what follows for what it asks and is owed. */
type Step = readonly [Said, string] | `answer ${string}`

function play(steps: readonly Step[], isWildcardWhenEmpty = true): string[] {
  let subscription: Subscription | undefined
  return steps.flatMap((step) => {
    if (typeof step === 'string') {
      const nonce = step.slice(7)
      const sent = {
        nonce,
        lastPart: nonce,
        set,
        isComplete: true,
        owed: subscription?.owed ?? 'all',
        atMs: 0,
      } as const
      subscription = noteSent(subscription as Subscription, sent)
      return []
    }
    const received = receiveDelta(subscription, requestOf(step[0]), { isWildcardWhenEmpty })
    subscription = received.subscription
    const { isWildcard, names, owed, mustAnswer, outstanding } = subscription
    const asks = [...(isWildcard ? ['*'] : []), ...names.names].join(' ') || 'nothing'
    const due = owed === 'all' ? ['all'] : owed.names
    const parts = [`asks ${asks}`]
    if (due.length > 0) parts.push(`owed ${due.join(' ')}`)
    if (mustAnswer) parts.push('must')
    if (received.verdict !== undefined) parts.push(received.verdict.kind)
    if (outstanding.length > 0) parts.push(`awaits ${outstanding.map(({ nonce }) => nonce).join(' ')}`)
    return [parts.join(', ')]
  })
}

const stories: Readonly<Record<string, readonly Step[]>> = {
  'The legacy wildcard takes names beside it, and what is left of it is nothing (rule 42)': [
    [{}, 'asks *, must'],
    'answer 1',
    [{ subscribe: ['A'], nonce: '1' }, 'asks * A, owed A, ack'],
    'answer 2',
    [{ unsubscribe: ['*'], nonce: '2' }, 'asks A, ack'],
    [{ unsubscribe: ['A'] }, 'asks nothing'],
    [{}, 'asks nothing'],
  ],
  'A first request that only unsubscribes is a wildcard still (rule 43)': [[{ unsubscribe: ['x'] }, 'asks *, must']],
  'An explicit wildcard with names': [[{ subscribe: ['*', 'A'] }, 'asks * A, owed A, must']],
  'A wildcard that comes later is owed everything': [
    [{ subscribe: ['A'] }, 'asks A, owed A'],
    'answer 1',
    [{ subscribe: ['*'], nonce: '1' }, 'asks * A, owed all, must, ack'],
  ],
  'A name let go beside a wildcard is told once more (rule 44)': [
    [{ subscribe: ['*', 'A'] }, 'asks * A, owed A, must'],
    'answer 1',
    [{ unsubscribe: ['A'], nonce: '1' }, 'asks *, owed A, ack'],
  ],
  'A name never asked for cannot be let go (rules 45, 54)': [
    [{}, 'asks *, must'],
    'answer 1',
    [{ unsubscribe: ['x'], nonce: '1' }, 'asks *, ack'],
  ],
  'A name asked for twice is owed twice (rule 51)': [
    [{ subscribe: ['a'] }, 'asks a, owed a'],
    'answer 1',
    [{ subscribe: ['a'], nonce: '1' }, 'asks a, owed a, ack'],
  ],
  'What the client has is compared, not owed, at the start of a stream (rule 55)': [
    [{ subscribe: ['a', 'b'], initial: { a: 'v1' } }, 'asks a b, owed b'],
  ],
  'A request without a nonce is no verdict (rule 62)': [
    [{ subscribe: ['a'] }, 'asks a, owed a'],
    'answer 1',
    [{ subscribe: ['b'] }, 'asks a b, owed b, awaits 1'],
  ],
  'An unknown nonce blocks no subscription (rule 10)': [
    [{ subscribe: ['a'], nonce: 'old' }, 'asks a, owed a'],
    'answer 1',
    [{ subscribe: ['x'], nonce: 'stale' }, 'asks a x, owed x, awaits 1'],
  ],
  'A rejection that also subscribes and unsubscribes is all of them (rule 63)': [
    [{ subscribe: ['a'] }, 'asks a, owed a'],
    'answer 1',
    [{ subscribe: ['x'], unsubscribe: ['a'], nonce: '1', error: 'bad' }, 'asks x, owed x, nack'],
  ],
  'Subscribed and unsubscribed in one message ends unsubscribed (rule 64)': [
    [{ subscribe: ['a', 'b'], unsubscribe: ['a'] }, 'asks b, owed b'],
    'answer 1',
    [{ subscribe: ['c'], unsubscribe: ['c'], nonce: '1' }, 'asks b, ack'],
  ],
  'What is let go before its answer is owed no more (rule 79)': [
    [{ subscribe: ['a', 'b'] }, 'asks a b, owed a b'],
    [{ unsubscribe: ['a'] }, 'asks b, owed b'],
  ],
  'Each response has a verdict of its own, in order': [
    [{}, 'asks *, must'],
    'answer 1',
    'answer 2',
    [{ nonce: '1', error: 'bad' }, 'asks *, nack, awaits 2'],
    [{ nonce: '2' }, 'asks *, ack'],
  ],
}

describe('a delta request', () => {
  test.each(Object.entries(stories))('%s', (_, steps) => {
    const expected = steps.flatMap((step) => (typeof step === 'string' ? [] : [step[1]]))
    expect(play(steps)).toEqual(expected)
  })

  test('An empty first request of VHDS asks for nothing and is answered (rule 46)', () => {
    expect(play([[{}, '']], false)).toEqual(['asks nothing, must'])
  })
})
