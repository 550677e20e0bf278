import { describe, expect, it } from 'vitest'
import { buildResource, buildUnreadyResource, type Resource } from '../resource/resource.ts'
import { resourceTypes } from '../resource/type-url.ts'
import { diffSets, emptySet, internSet, type ResourceSet, setOfResources, unionSets } from './resource-set.ts'

const typeUrl = resourceTypes.cluster.typeUrl

function cluster(name: string, content = 1): Resource {
  return buildResource({ typeUrl, name, bytes: Uint8Array.of(content), origin: { name: `${name}.yaml` } })
}

const named = (count: number): Resource[] => Array.from({ length: count }, (_, i) => cluster(`c${i}`))
const namesOf = (set: ResourceSet): string[] => [...set.values()].map(({ name }) => name)
const change = (...entries: [string, Resource | undefined][]): Map<string, Resource | undefined> => new Map(entries)

/** A small generator of its own, so that a failing seed can be run again. */
function random(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

describe('ResourceSet', () => {
  it('has equal versions for equal content, whatever the order and the steps', () => {
    const resources = named(200)
    const forwards = setOfResources(typeUrl, resources)
    const backwards = setOfResources(typeUrl, resources.toReversed())
    let oneByOne = emptySet(typeUrl)
    for (const resource of resources) oneByOne = oneByOne.with(change([resource.name, resource]))
    expect(backwards.version).toBe(forwards.version)
    expect(oneByOne.version).toBe(forwards.version)
    expect(namesOf(backwards)).toEqual(namesOf(forwards))
  })

  it('has another version for another type, name, content or member', () => {
    const one = setOfResources(typeUrl, [cluster('a')])
    const versions = [
      one,
      setOfResources(typeUrl, [cluster('b')]),
      setOfResources(typeUrl, [cluster('a', 2)]),
      setOfResources(typeUrl, [cluster('a'), cluster('b')]),
      setOfResources('type.googleapis.com/other', [cluster('a')]),
      emptySet(typeUrl),
      emptySet('type.googleapis.com/other'),
    ].map(({ version }) => version)
    expect(new Set(versions).size).toBe(versions.length)
    for (const version of versions) expect(version).toMatch(/^[0-9a-f]{32}$/)
  })

  it('lists its members in order of name by code unit', () => {
    const set = setOfResources(
      typeUrl,
      ['b', 'a/2', 'Z', 'ä', 'a'].map((name) => cluster(name)),
    )
    expect(namesOf(set)).toEqual(['Z', 'a', 'a/2', 'b', 'ä'])
    expect(namesOf(set.with(change(['a', undefined], ['a/1', cluster('a/1')], ['zz', cluster('zz')])))).toEqual([
      'Z',
      'a/1',
      'a/2',
      'b',
      'zz',
      'ä',
    ])
  })

  it('is the same object after changes that change nothing', () => {
    const set = setOfResources(typeUrl, [cluster('a'), cluster('b')])
    expect(set.with(new Map())).toBe(set)
    expect(set.with(change(['a', cluster('a')], ['c', undefined]))).toBe(set)
  })

  it('takes the content that was not at hand, though its version is equal', () => {
    const unready = buildUnreadyResource({ typeUrl, name: 'a', version: cluster('a').version, origin: { name: 'h' } })
    const restored = setOfResources(typeUrl, [unready])
    const ready = restored.with(change(['a', cluster('a')]))
    expect(ready.get('a')?.isReady).toBe(true)
    expect(ready.version).not.toBe(restored.version)
    expect(internSet(ready)).not.toBe(internSet(restored))
  })

  it('is found again by interning when it flips back', () => {
    const a = internSet(setOfResources(typeUrl, named(10)))
    const b = internSet(a.with(change(['c3', cluster('c3', 2)])))
    expect(b).not.toBe(a)
    expect(internSet(b.with(change(['c3', cluster('c3')])))).toBe(a)
    expect(internSet(setOfResources(typeUrl, named(10)))).toBe(a)
  })

  it('gives one object for the empty set of a type', () => {
    expect(emptySet(typeUrl)).toBe(emptySet(typeUrl))
    expect(emptySet(typeUrl).size).toBe(0)
  })

  it.each([1, 2, 3, 4, 5])('agrees with a plain map through a thousand changes (seed %i)', (seed) => {
    const below = random(seed)
    let set = emptySet(typeUrl)
    const model = new Map<string, Resource>()
    const past: { set: ResourceSet; members: Map<string, Resource> }[] = []
    for (let step = 0; step < 1000; step++) {
      const changes = new Map<string, Resource | undefined>()
      for (let i = below(4); i >= 0; i--) {
        const name = `c${below(300)}`
        changes.set(name, below(3) === 0 ? undefined : cluster(name, below(3)))
      }
      set = set.with(changes)
      for (const [name, resource] of changes) {
        if (resource === undefined) model.delete(name)
        else model.set(name, resource)
      }
      if (step % 37 === 0) past.push({ set, members: new Map(model) })
    }
    expect(set.size).toBe(model.size)
    expect(namesOf(set)).toEqual([...model.keys()].sort())
    expect(set.version).toBe(setOfResources(typeUrl, model.values()).version)
    for (const [name, resource] of model) expect(set.get(name)?.version).toBe(resource.version)
    for (const { set: old, members } of past) {
      const changed = [...model].filter(([name, { version }]) => members.get(name)?.version !== version)
      const diff = diffSets(old, set)
      expect(diff.changed.map(({ name }) => name)).toEqual(changed.map(([name]) => name).sort())
      expect(diff.removed).toEqual([...members.keys()].filter((name) => !model.has(name)).sort())
    }
  })

  it('knows how many of its members have a TTL', () => {
    const brief = (name: string): Resource =>
      buildResource({ typeUrl, name, bytes: Uint8Array.of(1), origin: { name: 'a.yaml' }, ttlMs: 1000 })
    const set = setOfResources(typeUrl, [cluster('a'), brief('b'), brief('c')])
    expect(set.expiring).toBe(2)
    expect(set.with(change(['b', cluster('b')])).expiring).toBe(1)
    expect(set.with(change(['a', brief('a')], ['b', undefined])).expiring).toBe(2)
    expect(unionSets([set, setOfResources(typeUrl, [brief('b'), brief('d')])]).expiring).toBe(3)
    expect(emptySet(typeUrl).expiring).toBe(0)
  })
})

describe('diffSets', () => {
  it('takes undefined for nothing', () => {
    const set = setOfResources(typeUrl, named(3))
    expect(diffSets(undefined, set)).toEqual({ changed: [...set.values()], removed: [] })
    expect(diffSets(undefined, emptySet(typeUrl))).toEqual({ changed: [], removed: [] })
  })

  it('is computed once for two sets', () => {
    const from = setOfResources(typeUrl, named(3))
    const to = from.with(change(['c1', undefined]))
    expect(diffSets(from, to)).toBe(diffSets(from, to))
    expect(diffSets(from, to)).toEqual({ changed: [], removed: ['c1'] })
    expect(diffSets(to, from).changed.map(({ name }) => name)).toEqual(['c1'])
  })

  it('looks only at what changed, also across a fold', () => {
    const from = setOfResources(typeUrl, named(5000))
    let to = from
    for (let i = 0; i < 700; i++) to = to.with(change([`c${i}`, cluster(`c${i}`, 2)]))
    const read = { from: 0, to: 0 }
    for (const [set, side] of [
      [from, 'from'],
      [to, 'to'],
    ] as const) {
      const get = set.get.bind(set)
      set.get = (name) => {
        read[side]++
        return get(name)
      }
      set.values = () => {
        throw new Error('the whole set is not to be walked')
      }
    }
    expect(diffSets(from, to).changed).toHaveLength(700)
    expect(read).toEqual({ from: 700, to: 700 })
  })
})

describe('unionSets', () => {
  const small = setOfResources(typeUrl, [cluster('a', 2), cluster('c1', 2)])
  const large = setOfResources(typeUrl, named(100))

  it.each([
    ['small first', [small, large], small],
    ['large first', [large, small], large],
  ])('gives the first set the word on names that several hold: %s', (_, sets, first) => {
    const union = unionSets(sets)
    expect(union.size).toBe(101)
    expect(union.get('a')?.version).toBe(cluster('a', 2).version)
    expect(union.get('c1')).toBe(first.get('c1'))
  })

  it('is the one set when the others add nothing', () => {
    expect(unionSets([large])).toBe(large)
    expect(unionSets([large, emptySet(typeUrl)])).toBe(large)
    expect(unionSets([emptySet(typeUrl), large, large])).toBe(large)
  })
})
