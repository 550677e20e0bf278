import { pino } from 'pino'
import { beforeEach, describe, expect, test } from 'vitest'
import { smallView } from '../../../test/support/small-view.ts'
import { type ResourceWord, resourceTypes } from '../../resource/type-url.ts'
import { emptySet, type ResourceSet } from '../../snapshot/resource-set.ts'
import {
  newSubscription,
  noteAck,
  noteNack,
  noteSent,
  noteTaken,
  type Sent,
  type Subscription,
} from '../protocol/subscription.ts'
import type { Remembered } from './client-memory.ts'
import { noDrains } from './drain.ts'
import { type AskedType, Progress } from './progress.ts'
import { setIn } from './view.ts'

const setOf = (word: ResourceWord, ...texts: readonly string[]): ResourceSet =>
  setIn(smallView(...texts), resourceTypes[word].typeUrl)

const x = setOf('cluster', 'cluster x=1')
const xy = setOf('cluster', 'cluster x=1', 'cluster y=1')
const first = setOf('listener', 'listener l=1 > route r')
const second = setOf('listener', 'listener l=2 > route r')
const third = setOf('listener', 'listener l=3 > route q')

/** One type of one client, with the progress that is told of it. */
class Client {
  readonly progress = new Progress({ transitionTimeoutMs: 100, drainTimeMs: 600 })
  readonly logged: Record<string, unknown>[] = []
  readonly #log = pino({ level: 'warn' }, { write: (line: string) => void this.logged.push(JSON.parse(line)) })
  #subscription: Subscription
  #statedVersion = ''
  #nonce = 0

  constructor(word: ResourceWord) {
    this.#subscription = newSubscription(resourceTypes[word].typeUrl)
  }

  send(set: ResourceSet, atMs = 0): Sent {
    const nonce = String(++this.#nonce)
    const sent: Sent = { nonce, set, isComplete: true, lastPart: nonce, owed: 'all', atMs }
    this.#subscription = noteSent(this.#subscription, sent)
    if (set.typeUrl === resourceTypes.cluster.typeUrl) this.progress.noteClusters(this.#subscription, [], undefined)
    return sent
  }

  ack(sent: Sent, atMs = 0): void {
    const before = this.#subscription
    this.#subscription = noteAck(before, sent)
    this.#statedVersion = sent.set.version
    this.progress.noteVerdict(before, this.#subscription, { kind: 'ack', sent }, atMs)
  }

  nack(sent: Sent, message: string): void {
    const before = this.#subscription
    this.#subscription = noteNack(before, sent, message)
    this.progress.noteVerdict(before, this.#subscription, { kind: 'nack', sent, message }, 0)
  }

  /** It says that it took this of a response that it rejected. */
  take(set: ResourceSet): void {
    this.#subscription = noteTaken(this.#subscription, set)
  }

  unchanged(set: ResourceSet): void {
    this.progress.noteUnchanged(this.#subscription, set)
  }

  leave(): Remembered {
    return this.progress.leave('delta', smallView(), [this.#asked])
  }

  at(nowMs: number): ReturnType<Progress['stateOf']> {
    return this.progress.stateOf([this.#asked], nowMs, () => this.#log)
  }

  get #asked(): AskedType {
    return { subscription: this.#subscription, statedVersion: this.#statedVersion }
  }

  drained(nowMs: number): readonly string[] {
    return this.at(nowMs).client.drains.names.map(({ name }) => name)
  }
}

describe('the clusters that routes may name', () => {
  let client: Client
  beforeEach(() => {
    client = new Client('cluster')
  })

  test('are the first ones at once, and those in the last answer that is accepted and all that are not (rule 71)', () => {
    client.send(x)
    expect(client.at(0).client.clusters).toEqual([x, x])
    client.ack(client.send(x))
    const sent = client.send(xy)
    expect(client.at(0)).toMatchObject({ client: { clusters: [x, xy] }, lookAgainAtMs: 100 })
    client.ack(sent)
    expect(client.at(0)).toMatchObject({ client: { clusters: [xy] }, lookAgainAtMs: Number.POSITIVE_INFINITY })
  })

  test('are those of an overdue answer, which the log names once', () => {
    client.ack(client.send(x))
    client.send(xy, 5)
    expect(client.at(104).client.clusters).toEqual([x, xy])
    expect(client.logged).toEqual([])
    expect(client.at(105).client).toMatchObject({ clusters: [xy], mayHold: [xy] })
    client.at(106)
    expect(client.logged).toMatchObject([{ type: 'cluster', names: ['y'] }])
  })

  test('are at once those that are ready at once, too, after an answer that is overdue (rule 71)', () => {
    const all = setOf('cluster', 'cluster x=1', 'cluster y=1', 'cluster z=1')
    client.ack(client.send(x))
    client.send(xy, 5)
    client.send(all, 6)
    expect(client.at(104).client.clusters).toEqual([x, xy, all])
    expect(client.at(105).client.clusters).toEqual([all, all])
  })

  test('are all but the rejected ones after a rejection', () => {
    client.ack(client.send(x))
    client.nack(
      client.send(setOf('cluster', 'cluster x=1', 'cluster y=1', 'cluster z=1')),
      'Error adding/updating cluster(s) z: no',
    )
    const [accepted, ...others] = client.at(0).client.clusters ?? []
    expect([accepted?.version, others]).toEqual([xy.version, []])
  })

  test('are all that there are for a client that asked for none of the new ones', () => {
    client.ack(client.send(x))
    client.unchanged(xy)
    expect(client.at(0).client.clusters).toEqual([xy])
  })

  test('are no matter to a client that takes no clusters on this stream', () => {
    expect(new Client('route').at(0).client.clusters).toBeUndefined()
  })
})

describe('a client that comes back', () => {
  const route = setOf('route', 'route r=1 > cluster x')
  const left: Remembered = {
    protocol: 'delta',
    view: smallView('cluster x=1', 'cluster y=1'),
    mayHold: new Map([
      [x.typeUrl, [x, xy]],
      [route.typeUrl, [route]],
    ]),
    accepted: new Map(),
    clusters: x,
    drains: noDrains,
  }

  test('may hold what it held before, of each type until it accepts its first answer here', () => {
    const client = new Client('cluster')
    client.progress.resume(left, 0)
    const sent = client.send(xy)
    expect(client.at(1)).toMatchObject({
      client: { mayHold: [x, xy, route, xy], clusters: [x, x, xy, xy] },
      lookAgainAtMs: 100,
    })
    client.ack(sent)
    expect(client.at(1).client).toMatchObject({ mayHold: [route, xy], clusters: [xy] })
  })

  test('is not waited for longer than the transition timeout, and the log says so', () => {
    const client = new Client('listener')
    client.progress.resume(left, 0)
    expect(client.at(99).client).toMatchObject({ mayHold: [x, xy, route], clusters: [x, x, xy] })
    expect(client.logged).toEqual([])
    // Though it has not asked for clusters: it does when the last ones are warm, and takes no new ones before.
    expect(client.at(100)).toMatchObject({ client: { mayHold: [], clusters: [xy] }, lookAgainAtMs: 300 })
    client.at(101)
    expect(client.logged).toMatchObject([{ types: ['cluster', 'route'] }])
    // It never asks for them.
    expect(client.at(300)).toMatchObject({ client: { clusters: undefined }, lookAgainAtMs: Number.POSITIVE_INFINITY })
  })

  test('leaves again what it had when it came, as far as it has not said more', () => {
    const client = new Client('cluster')
    client.progress.resume(left, 0)
    client.ack(client.send(xy))
    expect(client.leave()).toMatchObject({ clusters: xy, accepted: new Map([[x.typeUrl, xy.version]]) })
    expect(client.leave().mayHold).toEqual(
      new Map([
        [x.typeUrl, [xy]],
        [route.typeUrl, [route]],
      ]),
    )
  })
})

describe('the sets of a type that a client may have had before this stream', () => {
  const gone = new Client('cluster')
  gone.ack(gone.send(x))
  gone.send(xy)
  const { typeUrl } = x
  const { progress } = new Client('cluster')
  progress.resume(gone.leave(), 0)

  test('are those it was remembered with, that which it states first', () => {
    expect(progress.earlierOf(typeUrl, x.version)).toEqual([x, xy])
    expect(progress.earlierOf(typeUrl, xy.version)).toEqual([xy, x])
    expect(progress.earlierOf(typeUrl, undefined)).toEqual([x, xy])
  })

  test('are not known of one that states something else, or nothing, or that nothing is remembered of', () => {
    expect(progress.earlierOf(typeUrl, 'of another server')).toEqual([])
    expect(progress.earlierOf(typeUrl, '')).toEqual([])
    expect(progress.earlierOf(first.typeUrl, undefined)).toEqual([])
  })

  test('are known by the version that it accepted, though it took part of what it rejected since', () => {
    const partial = setOf('cluster', 'cluster x=1', 'cluster z=1')
    const taking = new Client('cluster')
    taking.ack(taking.send(x))
    taking.take(partial)
    const back = new Client('cluster')
    back.progress.resume(taking.leave(), 0)
    expect(back.progress.earlierOf(typeUrl, x.version)).toEqual([partial])
  })

  test('are known of one that has accepted nothing as a whole, and says so', () => {
    const taking = new Client('cluster')
    taking.send(xy)
    taking.take(x)
    const back = new Client('cluster')
    back.progress.resume(taking.leave(), 0)
    expect(back.progress.earlierOf(typeUrl, '')).toEqual([x, xy])
  })
})

describe('a replaced listener', () => {
  let client: Client
  beforeEach(() => {
    client = new Client('listener')
    client.ack(client.send(first))
  })

  test('drains from when its successor is accepted', () => {
    const sent = client.send(second)
    expect(client.drained(10)).toEqual([])
    client.ack(sent, 20)
    expect(client.drained(20)).toEqual(['r'])
    expect(client.at(20).lookAgainAtMs).toBe(1220)
    expect(client.drained(1219)).toEqual(['r'])
    expect(client.drained(1220)).toEqual([])
  })

  test('drains, too, if a later successor is accepted in its place', () => {
    client.send(third)
    client.ack(client.send(emptySet(first.typeUrl)), 0)
    expect(client.drained(1).toSorted()).toEqual(['q', 'r'])
  })

  test('does not drain when its successor is rejected, and is still held', () => {
    client.nack(client.send(second), 'no')
    expect(client.drained(1)).toEqual([])
    expect(client.at(1).client.mayHold).toEqual([first, second])
  })

  test('drains when the answer to its successor is overdue, and is not held any more', () => {
    client.send(second, 5)
    expect(client.at(104).client.mayHold).toEqual([first, second])
    expect(client.at(105).client.mayHold).toEqual([second])
    expect(client.drained(105)).toEqual(['r'])
    expect(client.logged).toMatchObject([{ type: 'listener', names: ['l'] }])
  })

  test('is not waited for with a drain time of 0', () => {
    const progress = new Progress({ transitionTimeoutMs: 100, drainTimeMs: 0 })
    const sent: Sent = { nonce: '1', set: second, isComplete: true, lastPart: '1', owed: 'all', atMs: 0 }
    const had = noteSent(noteSent(newSubscription(first.typeUrl), { ...sent, nonce: '0', set: first }), sent)
    progress.noteVerdict(had, noteAck(had, sent), { kind: 'ack', sent }, 0)
    expect(progress.stateOf([], 0, () => pino({ level: 'silent' })).client.drains.names).toEqual([])
  })
})

test('A client that came back and rejects the first answer goes on with what it had, for as long as it accepts none', () => {
  const [before, after] = [setOf('route', 'route r=1 > cluster x'), setOf('route', 'route r=2')]
  const gone = new Client('route')
  gone.ack(gone.send(before))
  const client = new Client('route')
  client.progress.resume(gone.leave(), 0)
  client.nack(client.send(after), 'no')
  expect(client.at(0).client.mayHold).toContain(before)
  expect(client.at(1000).client.mayHold).toContain(before)
  expect(client.logged).toEqual([])
  client.ack(client.send(setOf('route', 'route r=3'), 1000), 1000)
  expect(client.at(1000).client.mayHold).not.toContain(before)
})
