import jspb from 'google-protobuf'
import { describe, expect, test } from 'vitest'
import type { SotwRequest } from '../../resource/discovery-envelope.ts'
import { setOfResources } from '../../snapshot/resource-set.ts'
import { receiveSotw } from './sotw.ts'
import { noteSent, type Subscription } from './subscription.ts'

const typeUrl = 'type.googleapis.com/test.Type'
const set = setOfResources(typeUrl, [])

interface Said {
  readonly names?: readonly string[]
  readonly nonce?: string
  readonly version?: string
  readonly error?: string
}

function requestOf({ names = [], nonce = '', version = '', error }: Said): SotwRequest {
  const writer = new jspb.BinaryWriter()
  writer.writeRepeatedString(3, [...names])
  return {
    versionInfo: version,
    node: undefined,
    nameBytes: writer.getResultBuffer(),
    typeUrl,
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
    const received = receiveSotw(subscription, requestOf(step[0]), { isWildcardWhenEmpty })
    subscription = received.subscription
    return [describeState(subscription, received.verdict?.kind)]
  })
}

function describeState({ isWildcard, names, owed, mustAnswer }: Subscription, verdict: string | undefined): string {
  const asks = [...(isWildcard ? ['*'] : []), ...names.names].join(' ') || 'nothing'
  const due = owed === 'all' ? ['all'] : owed.names
  return [
    `asks ${asks}`,
    ...(due.length > 0 ? [`owed ${due.join(' ')}`] : []),
    ...(mustAnswer ? ['must'] : []),
    verdict,
  ]
    .filter((part) => part !== undefined)
    .join(', ')
}

const stories: Readonly<Record<string, readonly Step[]>> = {
  'The legacy wildcard becomes an explicit one, then a name, then nothing (rule 40)': [
    [{}, 'asks *, owed all, must'],
    'answer 1',
    [{ names: ['*', 'A'], nonce: '1' }, 'asks * A, owed A, ack'],
    'answer 2',
    [{ names: ['A'], nonce: '2' }, 'asks A, ack'],
    [{ names: [], nonce: '2' }, 'asks nothing'],
  ],
  'An explicit wildcard is dropped by the list without it (rule 41)': [
    [{ names: ['*', 'A'] }, 'asks * A, owed all, must'],
    'answer 1',
    [{ names: ['A'], nonce: '1' }, 'asks A, ack'],
    [{ names: [], nonce: '1' }, 'asks nothing'],
  ],
  'A wildcard after names is owed everything': [
    [{ names: ['A'] }, 'asks A, owed A'],
    'answer 1',
    [{ names: ['*'], nonce: '1' }, 'asks *, owed all, ack'],
  ],
  'A first request is answered whatever version and nonce it states (rules 5, 32)': [
    [{ names: ['A'], nonce: '17', version: 'v9' }, 'asks A, owed A'],
  ],
  'A name newly asked for is owed at an unchanged version (rule 26)': [
    [{ names: ['a'] }, 'asks a, owed a'],
    'answer 1',
    [{ names: ['a'], nonce: '1', version: 'v1' }, 'asks a, ack'],
    [{ names: ['a', 'b'], nonce: '1', version: 'v1' }, 'asks a b, owed b'],
  ],
  'A name that comes back is owed again with the nonce that was kept (rules 14, 27)': [
    [{ names: ['a'] }, 'asks a, owed a'],
    'answer 1',
    [{ names: ['a'], nonce: '1' }, 'asks a, ack'],
    [{ names: [], nonce: '1' }, 'asks nothing'],
    [{ names: ['a'], nonce: '1' }, 'asks a, owed a'],
  ],
  'A stale request changes names and gives no verdict (rule 9)': [
    [{ names: ['a'] }, 'asks a, owed a'],
    'answer 1',
    'answer 2',
    [{ names: ['a', 'b'], nonce: '1', error: 'no' }, 'asks a b, owed b'],
    'answer 3',
    [{ names: ['a', 'b'], nonce: '3' }, 'asks a b, ack'],
  ],
  'A rejection is known by its error, not its version (rule 28)': [
    [{}, 'asks *, owed all, must'],
    'answer 1',
    [{ nonce: '1', version: set.version, error: 'bad' }, 'asks *, nack'],
  ],
  'A rejection that states the version of two answers is of the newer one: the older brought the client there': [
    [{ names: ['a'] }, 'asks a, owed a'],
    'answer 1',
    [{ names: ['a', 'b'] }, 'asks a b, owed b'],
    'answer 2',
    [{ names: ['a', 'b'], nonce: '1', version: set.version }, 'asks a b'],
    [{ names: ['a', 'b'], nonce: '2', version: set.version, error: 'bad' }, 'asks a b, nack'],
  ],
  'An old version without an error is no rejection (rule 29)': [
    [{}, 'asks *, owed all, must'],
    'answer 1',
    [{ nonce: '1', version: 'older' }, 'asks *, ack'],
  ],
  'A newer request supersedes the unanswered ones; what is no longer asked for stays unsaid when the answer is made (rules 8, 79)':
    [
      [{ names: ['a'] }, 'asks a, owed a'],
      [{ names: ['a', 'b'] }, 'asks a b, owed a b'],
      [{ names: ['b'] }, 'asks b, owed a b'],
    ],
  'The same names once more after the ACK, in any order, are answered once more (rule 72)': [
    [{ names: ['a', 'b'] }, 'asks a b, owed a b'],
    'answer 1',
    [{ names: ['b', 'a'], nonce: '1' }, 'asks a b, ack'],
    [{ names: ['a', 'b'], nonce: '1' }, 'asks a b, owed a b'],
    'answer 2',
    [{ names: ['a', 'b'], nonce: '2' }, 'asks a b, ack'],
  ],
  'A wildcard repeated after its ACK asks for nothing': [
    [{}, 'asks *, owed all, must'],
    'answer 1',
    [{ nonce: '1' }, 'asks *, ack'],
    [{ nonce: '1' }, 'asks *'],
  ],
  'A rejection that also subscribes is both (rule 63)': [
    [{ names: ['a'] }, 'asks a, owed a'],
    'answer 1',
    [{ names: ['a', 'x'], nonce: '1', error: 'bad' }, 'asks a x, owed x, nack'],
  ],
}

describe('a SotW request', () => {
  test.each(Object.entries(stories))('%s', (_, steps) => {
    const expected = steps.flatMap((step) => (typeof step === 'string' ? [] : [step[1]]))
    expect(play(steps)).toEqual(expected)
  })

  test('An empty list of a client that never means everything asks for nothing (rules 46, 47)', () => {
    expect(play([[{}, '']], false)).toEqual(['asks nothing'])
  })

  test('An ACK that repeats the names byte for byte decodes none of them', () => {
    const rule = { isWildcardWhenEmpty: true }
    const first = receiveSotw(undefined, requestOf({ names: ['a', 'b'] }), rule).subscription
    const sent = noteSent(first, { nonce: '1', lastPart: '1', set, isComplete: true, owed: 'all', atMs: 0 })
    // Bytes that are no names: reading them would throw.
    const broken = { ...sent, requested: { ...(sent.requested as object), bytes: Uint8Array.of(0xff) } } as Subscription
    const ack = { ...requestOf({ nonce: '1' }), nameBytes: Uint8Array.of(0xff) }
    expect(receiveSotw(broken, ack, rule).verdict?.kind).toBe('ack')
  })

  test('Two streams that name the same in another order share one set of names', () => {
    const rule = { isWildcardWhenEmpty: true }
    const a = receiveSotw(undefined, requestOf({ names: ['x', 'y'] }), rule).subscription
    const b = receiveSotw(undefined, requestOf({ names: ['y', 'x'] }), rule).subscription
    expect(a.names).toBe(b.names)
  })
})
