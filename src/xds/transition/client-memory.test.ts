import { describe, expect, test } from 'vitest'
import { smallView } from '../../../test/support/small-view.ts'
import { resourceTypes } from '../../resource/type-url.ts'
import { nameSetOf } from '../protocol/names.ts'
import type { Protocol } from '../stream-event.ts'
import { ClientMemory, type LiveClient, type Remembered } from './client-memory.ts'
import { noDrains } from './drain.ts'
import { setIn } from './view.ts'

const { typeUrl } = resourceTypes.cluster
const view = smallView('cluster x=1', 'cluster y=1')
const clusters = setIn(view, typeUrl)
const versions = new Map([...clusters.values()].map(({ name, version }) => [name, version]))

function left(protocol: Protocol): Remembered {
  return {
    protocol,
    view,
    mayHold: new Map([[typeUrl, [clusters]]]),
    accepted: new Map([[typeUrl, clusters.version]]),
    clusters,
    drains: noDrains,
  }
}

const client = (remembered: Remembered | undefined): LiveClient => ({ leave: () => remembered })

function memoryOf(remembered: Remembered | undefined): ClientMemory {
  const memory = new ClientMemory()
  const stream = client(remembered)
  memory.enter('n', stream)
  memory.forget('n', stream, 0)
  return memory
}

describe('a client that comes back', () => {
  test('over SotW is known by the version that it states', () => {
    const sotw = left('sotw')
    expect(memoryOf(sotw).recall('n', 'sotw', { typeUrl, versionInfo: clusters.version }, 1)).toBe(sotw)
    expect(memoryOf(sotw).recall('n', 'sotw', { typeUrl, versionInfo: 'of another server' }, 1)).toBeUndefined()
    expect(memoryOf(sotw).recall('n', 'sotw', { typeUrl, versionInfo: '' }, 1)).toBeUndefined()
    const partial = { ...sotw, accepted: new Map([[typeUrl, '']]) }
    expect(memoryOf(partial).recall('n', 'sotw', { typeUrl, versionInfo: '' }, 1)).toBe(partial)
  })

  test('is not known by assignments that it asks for, if it has no cluster that waits for one', () => {
    const { endpoint } = resourceTypes
    const had = smallView('cluster x=1 > endpoint x', 'cluster y=1 > endpoint y', 'endpoint x=1', 'endpoint y=1')
    const assignments = setIn(had, endpoint.typeUrl)
    const sotw: Remembered = {
      ...left('sotw'),
      mayHold: new Map([
        [typeUrl, [setIn(had, typeUrl)]],
        [endpoint.typeUrl, [assignments]],
      ]),
    }
    const said = { typeUrl: endpoint.typeUrl, versionInfo: assignments.version, isLate: true }
    const recall = (...names: readonly string[]) =>
      memoryOf(sotw).recall('n', 'sotw', { ...said, assignments: nameSetOf(names) }, 1)
    expect([recall('x', 'y'), recall('y')]).toEqual([sotw, sotw])
    expect(recall('x', 'y', 'z')).toBeUndefined()
    expect(recall()).toBeUndefined()
    // Not by anything else, unless it has no clusters at all.
    expect(memoryOf(sotw).recall('n', 'sotw', said, 1)).toBeUndefined()
    const alone = { ...sotw, mayHold: new Map([[endpoint.typeUrl, [assignments]]]) }
    expect(memoryOf(alone).recall('n', 'sotw', said, 1)).toBe(alone)
  })

  test('over delta is known by the versions that it states, of some names too', () => {
    const delta = left('delta')
    const recall = (initialVersions: ReadonlyMap<string, string>) =>
      memoryOf(delta).recall('n', 'delta', { typeUrl, initialVersions }, 1)
    expect(recall(versions)).toBe(delta)
    expect(recall(new Map([...versions].slice(1)))).toBe(delta)
    expect(recall(new Map([...versions, ['z', '1']]))).toBeUndefined()
    expect(recall(new Map([...versions, ['x', 'another']]))).toBeUndefined()
    expect(recall(new Map())).toBeUndefined()
  })

  test('is another one under another id, in another protocol, or after ten minutes', () => {
    const stated = { typeUrl, versionInfo: clusters.version }
    expect(memoryOf(left('sotw')).recall('m', 'sotw', stated, 1)).toBeUndefined()
    expect(memoryOf(left('sotw')).recall('n', 'delta', { typeUrl, initialVersions: versions }, 1)).toBeUndefined()
    expect(memoryOf(left('sotw')).recall('n', 'sotw', stated, 600_000)).toBeUndefined()
  })

  test('is known while its old stream is not known to be dead, and that one says nothing more afterwards', () => {
    const memory = new ClientMemory()
    const [old, next] = [left('sotw'), left('sotw')]
    const [first, second] = [client(old), client(next)]
    const stated = { typeUrl, versionInfo: clusters.version }
    memory.enter('n', first)
    expect(memory.recall('n', 'sotw', stated, 1)).toBe(old)
    memory.enter('n', second)
    memory.forget('n', first, 2)
    memory.forget('n', second, 3)
    expect(memory.recall('n', 'sotw', stated, 4)).toBe(next)
    expect(memory.size).toBe(0)
  })
})

test('Clients that stay away are forgotten, the oldest first', () => {
  const memory = new ClientMemory()
  for (let id = 0; id < 20_010; id++) {
    const stream = client(left('sotw'))
    memory.enter(`${id}`, stream)
    memory.forget(`${id}`, stream, id < 20_005 ? 0 : 1)
  }
  expect(memory.size).toBe(20_000)
  const last = client(left('sotw'))
  memory.enter('last', last)
  memory.forget('last', last, 600_000)
  expect(memory.size).toBe(6)
})
