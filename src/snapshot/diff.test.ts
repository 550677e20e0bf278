import { describe, expect, it } from 'vitest'
import { buildResource, buildUnreadyResource, type Resource } from '../resource/resource.ts'
import { resourceTypes } from '../resource/type-url.ts'
import { diffSnapshots, diffUnits } from './diff.ts'
import { setOfResources } from './resource-set.ts'
import { buildSnapshot, emptySnapshot, type Snapshot } from './snapshot.ts'
import type { Unit } from './unit.ts'

const { cluster, listener } = resourceTypes

function resource(typeUrl: string, name: string, content = 1): Resource {
  return buildResource({ typeUrl, name, bytes: Uint8Array.of(content), origin: { name: 'a.yaml' } })
}

const clusters = (...names: [string, number][]): Resource[] => names.map(([n, c]) => resource(cluster.typeUrl, n, c))
const snapshot = (...resources: Resource[]): Snapshot => buildSnapshot([setOfResources(cluster.typeUrl, resources)])
const unit = (key: string, resources: Resource[], nodes: Unit['selectors'] = []): Unit => ({
  key,
  origin: { name: key },
  selectors: nodes,
  resources,
})

describe('diffSnapshots', () => {
  it('names what was added, changed and removed, by type', () => {
    const from = snapshot(...clusters(['a', 1], ['b', 1], ['c', 1]))
    const to = buildSnapshot([
      setOfResources(cluster.typeUrl, clusters(['b', 1], ['c', 2], ['d', 1])),
      setOfResources(listener.typeUrl, [resource(listener.typeUrl, 'l')]),
    ])
    expect(diffSnapshots(from, to)).toEqual([
      { typeUrl: cluster.typeUrl, added: ['d'], changed: ['c'], removed: ['a'] },
      { typeUrl: listener.typeUrl, added: ['l'], changed: [], removed: [] },
    ])
    expect(diffSnapshots(from, emptySnapshot)).toEqual([
      { typeUrl: cluster.typeUrl, added: [], changed: [], removed: ['a', 'b', 'c'] },
    ])
    expect(diffSnapshots(undefined, from)).toMatchObject([{ added: ['a', 'b', 'c'] }])
    expect(diffSnapshots(from, from)).toEqual([])
  })

  it('does not count as a change that a restored resource can be sent again', () => {
    const ready = resource(cluster.typeUrl, 'a')
    expect(diffSnapshots(snapshot(buildUnreadyResource(ready)), snapshot(ready))).toEqual([])
  })
})

describe('diffUnits', () => {
  it('does not care which document a resource is in', () => {
    const [a, b] = clusters(['a', 1], ['b', 1]) as [Resource, Resource]
    expect(diffUnits([unit('x', [a, b])], [unit('y', [b]), unit('z', [a])])).toEqual([])
  })

  it('sees a change in one of two that have a name, and a move to other nodes', () => {
    const one = unit('x', clusters(['a', 1]), [{ cluster: 'edge' }])
    const two = (content: number): Unit => unit('y', clusters(['a', content]), [{ cluster: 'core' }])
    expect(diffUnits([one, two(1)], [two(2), one])).toMatchObject([{ added: [], changed: ['a'], removed: [] }])
    expect(diffUnits([one], [two(1)])).toMatchObject([{ changed: ['a'] }])
    expect(diffUnits([one, two(1)], [one])).toMatchObject([{ changed: ['a'] }])
    expect(diffUnits([one], [])).toMatchObject([{ removed: ['a'] }])
    expect(diffUnits([], [one])).toMatchObject([{ added: ['a'] }])
  })
})
