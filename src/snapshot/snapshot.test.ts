import { expect, it } from 'vitest'
import { buildResource, type Resource } from '../resource/resource.ts'
import { resourceTypes } from '../resource/type-url.ts'
import { emptySet, setOfResources } from './resource-set.ts'
import { buildSnapshot, emptySnapshot, setOf, withChanges } from './snapshot.ts'

const { cluster, listener } = resourceTypes

function resource(typeUrl: string, name: string, content = 1): Resource {
  return buildResource({ typeUrl, name, bytes: Uint8Array.of(content), origin: { name: 'a.yaml' } })
}

const clusters = setOfResources(cluster.typeUrl, [resource(cluster.typeUrl, 'a'), resource(cluster.typeUrl, 'b')])
const listeners = setOfResources(listener.typeUrl, [resource(listener.typeUrl, 'l')])

it('is one object for equal content, whatever the order of types', () => {
  const snapshot = buildSnapshot([clusters, listeners])
  expect(buildSnapshot([listeners, clusters])).toBe(snapshot)
  expect(buildSnapshot([clusters]).version).not.toBe(snapshot.version)
})

it('counts a type without resources as no entry', () => {
  expect(buildSnapshot([clusters, emptySet(listener.typeUrl)])).toBe(buildSnapshot([clusters]))
  expect(buildSnapshot([emptySet(listener.typeUrl)])).toBe(emptySnapshot)
})

it('has a version when it is empty, and gives an empty set of any type (rule 33)', () => {
  expect(emptySnapshot.version).not.toBe('')
  expect(setOf(emptySnapshot, cluster.typeUrl)).toBe(emptySet(cluster.typeUrl))
})

it('shares the sets that changes leave alone, and comes back to the first object', () => {
  const before = buildSnapshot([clusters, listeners])
  const changes = new Map([[cluster.typeUrl, new Map([['a', resource(cluster.typeUrl, 'a', 2)]])]])
  const after = withChanges(before, changes)
  expect(after).not.toBe(before)
  expect(setOf(after, listener.typeUrl)).toBe(setOf(before, listener.typeUrl))
  const back = new Map([[cluster.typeUrl, new Map([['a', resource(cluster.typeUrl, 'a')]])]])
  expect(withChanges(after, back)).toBe(before)
})

it('loses a type with its last resource', () => {
  const before = buildSnapshot([clusters, listeners])
  const after = withChanges(before, new Map([[listener.typeUrl, new Map([['l', undefined]])]]))
  expect([...after.sets.keys()]).toEqual([cluster.typeUrl])
})
