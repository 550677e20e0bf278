import { describe, expect, it, vi } from 'vitest'
import type { Problem } from '../errors.ts'
import { emptyAssignment } from '../resource/empty-assignment.ts'
import type { Node } from '../resource/node.ts'
import { matchesNode, type NodeSelector } from '../resource/node-selector.ts'
import { buildResource, type Resource } from '../resource/resource.ts'
import { type ResourceWord, resourceTypes } from '../resource/type-url.ts'
import { emptySnapshot, type Snapshot, setOf } from '../snapshot/snapshot.ts'
import type { Unit, Withheld } from '../snapshot/world.ts'
import type { SnapshotCache, Watch } from './cache.ts'
import { createSnapshotCache } from './snapshot-cache.ts'

function resource(word: ResourceWord, name: string, content = 1, endpoints: readonly string[] = []): Resource {
  return buildResource({
    typeUrl: resourceTypes[word].typeUrl,
    name,
    bytes: Buffer.from(JSON.stringify([content, endpoints])),
    origin: { name: `${name}.yaml`, line: 3, column: 1 },
    references: endpoints.map((endpoint) => ({
      typeUrl: resourceTypes.endpoint.typeUrl,
      name: endpoint,
      path: 'eds_cluster_config',
    })),
  })
}

const cluster = (name: string, content = 1): Resource => resource('cluster', name, content)
const edsCluster = (name: string, content = 1, endpoints = name): Resource =>
  resource('cluster', name, content, [endpoints])

const unit = (key: string, selectors: readonly NodeSelector[], ...resources: Resource[]): Unit => ({
  key,
  origin: { name: `${key}.yaml` },
  selectors,
  resources,
})

function node(id: string, clusterName = '', metadata: Record<string, unknown> = {}): Node {
  return {
    id,
    cluster: clusterName,
    metadata,
    userAgentName: 'envoy',
    userAgentVersion: '1.40.0',
    clientFeatures: [],
    staticNames: {},
  }
}

const problem: Problem = {
  severity: 'error',
  code: 'withheld',
  origin: { name: 'bad.yaml' },
  path: '',
  message: 'it is broken',
  fix: '',
}

const withhold = (...selectors: NodeSelector[]): Withheld => ({ selectors, problem })

interface Change {
  readonly upserted?: readonly Unit[]
  readonly removed?: readonly string[]
  readonly withheld?: readonly Withheld[]
}

const apply = (cache: SnapshotCache, { upserted = [], removed = [], withheld = [] }: Change): void =>
  cache.apply({ upserted, removed, withheld })

function cacheOf(...units: Unit[]): SnapshotCache {
  const cache = createSnapshotCache()
  apply(cache, { upserted: units })
  return cache
}

const versions = (snapshot: Snapshot | undefined, word: ResourceWord = 'cluster'): Record<string, string> =>
  Object.fromEntries(
    [...setOf(snapshot ?? emptySnapshot, resourceTypes[word].typeUrl).values()].map((r) => [r.name, r.version]),
  )

const names = (snapshot: Snapshot | undefined, word: ResourceWord = 'cluster'): string[] =>
  Object.keys(versions(snapshot, word))

function watched(cache: SnapshotCache, who: Node): { readonly watch: Watch; readonly seen: Snapshot[] } {
  const seen: Snapshot[] = []
  return { watch: cache.watch(who, (snapshot) => seen.push(snapshot)), seen }
}

const edge = { cluster: 'edge' }
const prod = { metadata: { env: 'prod' } }

describe('before and after the first read', () => {
  it('has no snapshot until it is ready, and tells the watchers then (rule 104)', () => {
    const cache = createSnapshotCache()
    const { watch, seen } = watched(cache, node('a', 'edge'))
    expect(watch.snapshot).toBeUndefined()
    expect(cache.snapshotFor(node('a', 'edge')).snapshot).toBeUndefined()
    apply(cache, { upserted: [unit('u', [edge], cluster('x'))] })
    expect(seen).toEqual([watch.snapshot])
    expect(names(seen[0])).toEqual(['x'])
  })

  it('gives the empty world to a node that nothing selects', () => {
    const { watch } = watched(cacheOf(unit('u', [edge], cluster('x'))), node('a', 'core'))
    expect(watch.snapshot).toBe(emptySnapshot)
    expect(watch.group).toEqual({ key: '', label: 'nothing', selectors: [] })
  })

  it('is ready with an empty world, too', () => {
    const cache = createSnapshotCache()
    const { seen } = watched(cache, node('a'))
    apply(cache, {})
    expect(seen).toEqual([emptySnapshot])
  })
})

describe('groups', () => {
  const cache = cacheOf(
    unit('all', [], cluster('everywhere')),
    unit('edge', [edge], cluster('at-edge')),
    unit('two', [edge, prod], cluster('either')),
    unit('ids', [{ id: 'x-*' }], resource('listener', 'l')),
  )

  it.each<[Node, string, string[]]>([
    [node('a', 'core'), 'every node', ['everywhere']],
    [node('a', 'edge'), 'cluster=edge', ['at-edge', 'either', 'everywhere']],
    [node('a', 'core', { env: 'prod' }), 'metadata.env=prod', ['either', 'everywhere']],
    [
      node('a', 'edge', { env: 'prod', zone: 'z' }),
      'cluster=edge + metadata.env=prod',
      ['at-edge', 'either', 'everywhere'],
    ],
    [node('x-1', 'core'), 'id=x-*', ['everywhere']],
  ])('gives %o of %s what its selectors give, each resource once', (who, label, clusters) => {
    const { group, snapshot } = cache.snapshotFor(who)
    expect(group.label).toBe(label)
    expect(names(snapshot)).toEqual(clusters)
  })

  it('shares a snapshot object between nodes of a group, and between groups with equal content', () => {
    const shared = cacheOf(unit('a', [edge], cluster('x')), unit('b', [prod], cluster('x')))
    const one = shared.snapshotFor(node('a', 'edge'))
    expect(shared.snapshotFor(node('b', 'edge')).snapshot).toBe(one.snapshot)
    const other = shared.snapshotFor(node('c', '', { env: 'prod' }))
    expect(other.group.key).not.toBe(one.group.key)
    expect(other.snapshot).toBe(one.snapshot)
  })

  it('shares the sets of what is for several groups, whatever else each of them has', () => {
    const nodes = Array.from({ length: 50 }, (_, index) => node(`n${index}`, `c${index}`))
    const all = nodes.map(({ cluster: name }) => ({ cluster: name }))
    const one = cacheOf(
      unit('shared', all, cluster('x')),
      ...nodes.map(({ id, cluster: name }) => unit(id, [{ cluster: name }], resource('listener', id))),
    )
    const watches = nodes.map((who) => watched(one, who))
    const clusters = (): readonly unknown[] =>
      watches.map(({ watch }) => watch.snapshot && setOf(watch.snapshot, resourceTypes.cluster.typeUrl))
    expect(new Set(clusters()).size).toBe(1)
    // In another order it is the same set.
    apply(one, { upserted: [unit('shared', all.toReversed(), cluster('x', 2))] })
    expect(new Set(clusters()).size).toBe(1)
    expect(watches.map(({ seen }) => seen.length)).toEqual(nodes.map(() => 1))
    expect(names(watches[7]?.watch.snapshot, 'listener')).toEqual(['n7'])
    apply(one, { upserted: [unit('shared', all.slice(1), cluster('x', 2))] })
    expect(names(watches[0]?.watch.snapshot, 'cluster')).toEqual([])
    expect(new Set(clusters().slice(1)).size).toBe(1)
  })

  it('counts its watches, and frees a group with its last watch', () => {
    const counted = cacheOf(unit('edge', [edge], cluster('x')))
    const { watch } = watched(counted, node('a', 'edge'))
    const second = watched(counted, node('b', 'edge')).watch
    expect(counted.groups()).toMatchObject([{ group: { label: 'cluster=edge' }, snapshot: watch.snapshot, watches: 2 }])
    watch.close()
    watch.close()
    expect(counted.groups()).toMatchObject([{ watches: 1 }])
    second.close()
    expect(counted.groups()).toEqual([])
  })

  it('follows selectors that come and go', () => {
    const moving = cacheOf(unit('all', [], cluster('x')))
    const { watch, seen } = watched(moving, node('a', 'edge'))
    const before = watch.snapshot
    apply(moving, { upserted: [unit('edge', [edge], cluster('y'))] })
    expect(watch.group.label).toBe('cluster=edge')
    expect(names(watch.snapshot)).toEqual(['x', 'y'])
    apply(moving, { removed: ['edge'] })
    expect(watch.group.label).toBe('every node')
    expect(watch.snapshot).toBe(before)
    expect(seen).toHaveLength(2)
    expect(moving.groups()).toHaveLength(1)
    watch.close()
    expect(moving.groups()).toEqual([])
  })

  it('moves a document to other nodes', () => {
    const moving = cacheOf(unit('u', [edge], cluster('x')), unit('v', [prod], cluster('y')))
    const atEdge = watched(moving, node('a', 'edge'))
    const inProd = watched(moving, node('b', '', { env: 'prod' }))
    apply(moving, { upserted: [unit('u', [prod], cluster('x'))] })
    expect(names(atEdge.seen[0])).toEqual([])
    expect(names(inProd.seen[0])).toEqual(['x', 'y'])
  })
})

describe('changes', () => {
  it('tells only the watchers whose snapshot is another one', () => {
    const cache = cacheOf(unit('edge', [edge], cluster('x')), unit('prod', [prod], cluster('y')))
    const atEdge = watched(cache, node('a', 'edge'))
    const inProd = watched(cache, node('b', '', { env: 'prod' }))
    apply(cache, { upserted: [unit('edge', [edge], cluster('x', 2))] })
    expect(atEdge.seen).toEqual([atEdge.watch.snapshot])
    expect(inProd.seen).toEqual([])
  })

  it('says nothing when the content is equal, also when it moved between documents', () => {
    const cache = cacheOf(unit('a', [], cluster('x')), unit('b', [], cluster('y')))
    const { watch, seen } = watched(cache, node('a'))
    const before = watch.snapshot
    apply(cache, { upserted: [unit('a', [], cluster('x'))] })
    apply(cache, { upserted: [unit('b', [], cluster('x'), cluster('y'))], removed: ['a'] })
    apply(cache, { upserted: [unit('c', [{}], cluster('y')), unit('b', [], cluster('x'))] })
    apply(cache, {})
    expect(seen).toEqual([])
    expect(watch.snapshot).toBe(before)
  })

  it('comes back to the first snapshot object when a change is taken back', () => {
    const cache = cacheOf(unit('a', [], cluster('x')))
    const { watch, seen } = watched(cache, node('a'))
    const before = watch.snapshot
    apply(cache, { upserted: [unit('a', [], cluster('x', 2))] })
    apply(cache, { upserted: [unit('a', [], cluster('x'))] })
    expect(seen[1]).toBe(before)
  })

  it('keeps the set of every type that did not change', () => {
    const cache = cacheOf(unit('a', [], cluster('x'), resource('listener', 'l')), unit('b', [edge], cluster('y')))
    const { watch } = watched(cache, node('a', 'edge'))
    const before = watch.snapshot ?? emptySnapshot
    apply(cache, { upserted: [unit('b', [edge], cluster('y', 2))] })
    const after = watch.snapshot ?? emptySnapshot
    expect(after.sets.get(resourceTypes.listener.typeUrl)).toBe(before.sets.get(resourceTypes.listener.typeUrl))
    expect(after.sets.get(resourceTypes.cluster.typeUrl)).not.toBe(before.sets.get(resourceTypes.cluster.typeUrl))
  })

  it('has equal versions whatever order the documents came in', () => {
    const units = Array.from({ length: 300 }, (_, i) =>
      unit(
        `u${i}`,
        i % 3 === 0 ? [edge] : i % 3 === 1 ? [] : [prod, edge],
        edsCluster(`c${i}`),
        resource('route', `r${i}`),
      ),
    )
    const who = node('a', 'edge')
    const together = cacheOf(...units).snapshotFor(who).snapshot
    const oneByOne = createSnapshotCache()
    const { watch } = watched(oneByOne, who)
    for (const one of units.toReversed()) apply(oneByOne, { upserted: [one] })
    expect(watch.snapshot?.version).toBe(together?.version)
    expect(watch.snapshot).toBe(together)
  })

  it('calls every watcher though one of them throws, and tells who it was', () => {
    const error = vi.fn()
    const log = { debug: vi.fn(), info: vi.fn(), warn: vi.fn(), error, child: vi.fn() }
    const failure = new Error('broken watcher')
    const fail = (): never => {
      throw failure
    }
    const logged = createSnapshotCache(log)
    logged.watch(node('a'), fail)
    const { seen } = watched(logged, node('b'))
    apply(logged, {})
    expect(seen).toHaveLength(1)
    expect(error).toHaveBeenCalledWith({ group: '', node: 'a', err: failure }, 'watcher failed')

    const unlogged = createSnapshotCache()
    unlogged.watch(node('a'), fail)
    const other = watched(unlogged, node('b'))
    expect(() => apply(unlogged, {})).toThrow(AggregateError)
    expect(other.seen).toHaveLength(1)
  })

  it('does not call a watch that another watcher closed', () => {
    const cache = createSnapshotCache()
    const watches: Watch[] = []
    const calls: string[] = []
    for (const id of ['a', 'b']) {
      const onSnapshot = (): void => {
        calls.push(id)
        for (const watch of watches) watch.close()
      }
      watches.push(cache.watch(node(id), onSnapshot))
    }
    apply(cache, {})
    expect(calls).toEqual(['a'])
    expect(cache.groups()).toEqual([])
  })

  it('of two documents that give one name takes the first by key, until it goes', () => {
    const cache = createSnapshotCache()
    apply(cache, { upserted: [unit('b', [], cluster('x', 2))] })
    apply(cache, { upserted: [unit('a', [], cluster('x', 1))] })
    const version = (): string | undefined => versions(cache.snapshotFor(node('n')).snapshot)['x']
    expect(version()).toBe(cluster('x', 1).version)
    apply(cache, { removed: ['a'] })
    expect(version()).toBe(cluster('x', 2).version)
  })
})

describe('clusters without an assignment', () => {
  const endpoint = (name: string, content = 1): Resource => resource('endpoint', name, content)
  const who = node('a', 'edge')

  it('have an explicit empty one, until a real one comes and after it went (rule 24)', () => {
    const cache = cacheOf(unit('c', [], edsCluster('x'), cluster('static')))
    const { watch, seen } = watched(cache, who)
    const empty = setOf(watch.snapshot ?? emptySnapshot, resourceTypes.endpoint.typeUrl).get('x')
    expect(Buffer.from(empty?.bytes ?? []).toString('latin1')).toBe('\n\x01x')
    expect(empty?.origin).toEqual({ name: 'x.yaml', line: 3, column: 1 })
    apply(cache, { upserted: [unit('e', [edge], endpoint('x'))] })
    expect(versions(seen[0], 'endpoint')).toEqual({ x: endpoint('x').version })
    apply(cache, { removed: ['e'] })
    expect(versions(seen[1], 'endpoint')).toEqual({ x: empty?.version })
    expect(names(cache.snapshotFor(node('b', 'core')).snapshot, 'endpoint')).toEqual(['x'])
  })

  it('lose it with the last cluster that names it', () => {
    const cache = cacheOf(unit('a', [], edsCluster('x', 1, 'shared')), unit('b', [edge], edsCluster('y', 1, 'shared')))
    const { watch } = watched(cache, who)
    expect(names(watch.snapshot, 'endpoint')).toEqual(['shared'])
    apply(cache, { removed: ['a'] })
    expect(names(watch.snapshot, 'endpoint')).toEqual(['shared'])
    apply(cache, { upserted: [unit('b', [edge], edsCluster('y', 2, 'own'))] })
    expect(names(watch.snapshot, 'endpoint')).toEqual(['own'])
    apply(cache, { removed: ['b'] })
    expect(watch.snapshot).toBe(emptySnapshot)
  })
})

describe('withheld groups', () => {
  it('have no snapshot and hear nothing, while others do', () => {
    const cache = createSnapshotCache()
    const atEdge = watched(cache, node('a', 'edge'))
    const other = watched(cache, node('b'))
    apply(cache, { upserted: [unit('all', [], cluster('x'))], withheld: [withhold(edge)] })
    expect(atEdge).toMatchObject({ seen: [], watch: { snapshot: undefined } })
    expect(other.seen).toEqual([other.watch.snapshot])
    expect(cache.withheld()).toMatchObject([{ group: { label: 'cluster=edge' }, reasons: ['bad.yaml: it is broken'] }])
    apply(cache, {})
    expect(atEdge.seen).toEqual([other.watch.snapshot])
    expect(other.seen).toHaveLength(1)
    expect(cache.withheld()).toEqual([])
  })

  it('keep what their watchers had, and hear only of another snapshot afterwards', () => {
    const cache = cacheOf(unit('all', [], cluster('x')))
    const { watch, seen } = watched(cache, node('a', 'edge'))
    apply(cache, { withheld: [withhold(edge)] })
    expect(watch.snapshot).toBeUndefined()
    apply(cache, {})
    expect(seen).toEqual([])
    apply(cache, { withheld: [withhold(edge)], upserted: [unit('all', [], cluster('x', 2))] })
    expect(seen).toEqual([])
    apply(cache, {})
    expect(seen).toEqual([watch.snapshot])
  })

  it.each([{ selectors: undefined, problem }, withhold()])(
    'are all of them when the document may be for any',
    (all) => {
      const cache = createSnapshotCache()
      const watches = [node('a', 'edge'), node('b')].map((who) => watched(cache, who))
      apply(cache, { upserted: [unit('edge', [edge], cluster('x'))], withheld: [all] })
      for (const { watch, seen } of watches)
        expect({ snapshot: watch.snapshot, seen }).toEqual({ snapshot: undefined, seen: [] })
      expect(cache.withheld()).toHaveLength(2)
      apply(cache, {})
      expect(watches.map(({ seen }) => names(seen[0]))).toEqual([['x'], []])
    },
  )

  it('are named by their selectors when no node of theirs is connected', () => {
    const cache = createSnapshotCache()
    apply(cache, { withheld: [withhold(edge, prod), { selectors: undefined, problem }] })
    expect(
      cache
        .withheld()
        .map(({ group }) => group.label)
        .sort(),
    ).toEqual(['cluster=edge + metadata.env=prod', 'every node'])
  })

  it('take what comes in while they are withheld', () => {
    const cache = createSnapshotCache()
    const { seen } = watched(cache, node('a', 'edge'))
    apply(cache, { withheld: [withhold(edge)] })
    apply(cache, { upserted: [unit('u', [edge], cluster('x'))], withheld: [withhold(edge)] })
    apply(cache, {})
    expect(seen.map((snapshot) => names(snapshot))).toEqual([['x']])
  })
})

describe('one endpoint among ten thousand', () => {
  const count = 10_000
  const clusters = unit('clusters', [], ...Array.from({ length: count }, (_, i) => edsCluster(`c${i}`)))
  const endpoints = Array.from({ length: count }, (_, i) => unit(`e${i}`, [], resource('endpoint', `c${i}`)))
  const cache = cacheOf(clusters, ...endpoints)
  const groups = Array.from({ length: 20 }, (_, i) => {
    apply(cache, { upserted: [unit(`own${i}`, [{ id: `n${i}` }], cluster(`own${i}`))] })
    return watched(cache, node(`n${i}`))
  })

  it('does not go through the selectors of all others', () => {
    const timeOf = (selectors: number): number => {
      const many = Array.from({ length: selectors }, (_, i) => unit(`u${i}`, [{ cluster: `c${i}` }], cluster(`x${i}`)))
      const cache = cacheOf(...many)
      const start = performance.now()
      for (let i = 0; i < 200; i++) apply(cache, { upserted: [unit('u7', [{ cluster: 'c7' }], cluster('x7', 2 + i))] })
      return performance.now() - start
    }
    timeOf(200)
    // A hundred times the time if it did; the bound leaves room for a busy machine.
    expect(timeOf(20_000)).toBeLessThan(15 * Math.max(10, timeOf(200)))
  })

  it('leaves every other set as it was, and reads no other resource', () => {
    const before = groups.map(({ watch }) => watch.snapshot ?? emptySnapshot)
    let reads = 0
    for (const one of [clusters, ...endpoints.filter((_, i) => i !== 77)]) {
      for (const member of one.resources) {
        for (const [field, value] of Object.entries(member)) {
          Object.defineProperty(member, field, { get: () => (reads++, value) })
        }
      }
    }
    apply(cache, { upserted: [unit('e77', [], resource('endpoint', 'c77', 2))] })
    expect(reads).toBe(0)
    const endpointSets = new Set<unknown>()
    for (const [i, { watch, seen }] of groups.entries()) {
      expect(seen.at(-1)).toBe(watch.snapshot)
      const after = watch.snapshot ?? emptySnapshot
      expect(after.sets.get(resourceTypes.cluster.typeUrl)).toBe(before[i]?.sets.get(resourceTypes.cluster.typeUrl))
      endpointSets.add(after.sets.get(resourceTypes.endpoint.typeUrl))
    }
    expect(endpointSets.size).toBe(1)
  })
})

it('asks each selector once for nodes that differ only in what no selector looks at', () => {
  let reads = 0
  const metadata = { env: 'prod', pod: '' }
  const counting = { metadata: new Proxy({ env: 'prod' }, { ownKeys: (t) => (reads++, Reflect.ownKeys(t)) }) }
  const cache = cacheOf(unit('u', [counting], cluster('x')))
  cache.snapshotFor(node('first', 'edge', metadata))
  const after = reads
  for (let i = 0; i < 100; i++) cache.snapshotFor(node(`n${i}`, `c${i}`, { ...metadata, pod: `p${i}` }))
  expect(reads).toBe(after)
})

/** A small generator of its own, so that a failing seed can be run again. */
function random(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

describe('any sequence of changes', () => {
  const someSelectors: readonly (readonly NodeSelector[])[] = [[], [edge], [prod], [edge, prod], [{ id: 'a*' }], [{}]]
  const nodes = ['edge', 'core'].flatMap((name) =>
    ['a1', 'b1'].flatMap((id) => [node(id, name), node(id, name, { env: 'prod' })]),
  )

  function randomUnit(below: (n: number) => number, index: number): Unit {
    const resources: Resource[] = []
    for (let i = below(3) === 0 ? below(120) : below(4); i >= 0; i--) {
      const name = `k${index}-${i}`
      if (below(2) === 0) resources.push(edsCluster(name, below(3), `k${below(8)}-e${below(2)}`))
      else resources.push(resource('route', name, below(3)))
    }
    for (let i = below(3); i > 0; i--) resources.push(resource('endpoint', `k${index}-e${i - 1}`, below(3)))
    return unit(`k${index}`, someSelectors[below(someSelectors.length)] ?? [], ...resources)
  }

  /** What the node should have, found by looking at everything. */
  function expected(units: Iterable<Unit>, who: Node): Record<string, string> {
    const found: Record<string, string> = {}
    const wanted = new Set<string>()
    for (const { selectors, resources } of units) {
      if (selectors.length > 0 && !selectors.some((selector) => matchesNode(selector, who))) continue
      for (const r of resources) {
        found[`${r.typeUrl} ${r.name}`] = r.version
        for (const { name } of r.references) wanted.add(name)
      }
    }
    const origin = { name: '' }
    for (const name of wanted)
      found[`${resourceTypes.endpoint.typeUrl} ${name}`] ??= emptyAssignment(name, origin).version
    return found
  }

  const contents = (snapshot: Snapshot): Record<string, string> =>
    Object.fromEntries(
      [...snapshot.sets.values()].flatMap((set) => [...set.values()].map((r) => [`${r.typeUrl} ${r.name}`, r.version])),
    )

  it.each(Array.from({ length: process.env['FAIRLEAD_TEST_LONG'] === '1' ? 200 : 8 }, (_, i) => i + 1))(
    'gives every node what a look at everything gives (seed %i)',
    (seed) => {
      const below = random(seed)
      const cache = createSnapshotCache()
      const watches = nodes.map((who) => ({
        who,
        last: undefined as Snapshot | undefined,
        watch: undefined as Watch | undefined,
      }))
      for (const entry of watches) {
        entry.watch = cache.watch(entry.who, (snapshot) => {
          expect(snapshot).not.toBe(entry.last)
          entry.last = snapshot
        })
      }
      const units = new Map<string, Unit>()
      for (let step = 0; step < 40; step++) {
        const upserted = Array.from({ length: below(3) }, () => randomUnit(below, below(8)))
        const removed = below(3) === 0 ? [`k${below(8)}`] : []
        for (const key of removed) units.delete(key)
        for (const one of upserted) units.set(one.key, one)
        const withheldSelector = below(6) === 0 ? (someSelectors[below(someSelectors.length)] ?? []) : undefined
        const withheld = withheldSelector === undefined ? [] : [withhold(...withheldSelector)]
        apply(cache, { upserted, removed, withheld })
        const fresh = cacheOf(...units.values())
        for (const { who, watch, last } of watches) {
          const isWithheld =
            withheldSelector !== undefined &&
            (withheldSelector.length === 0 || withheldSelector.some((selector) => matchesNode(selector, who)))
          if (isWithheld) {
            expect(watch?.snapshot).toBeUndefined()
            continue
          }
          const snapshot = watch?.snapshot ?? emptySnapshot
          expect(contents(snapshot)).toEqual(expected(units.values(), who))
          expect(fresh.snapshotFor(who).snapshot).toBe(snapshot)
          expect(last).toBe(snapshot)
        }
      }
      for (const { watch } of watches) watch?.close()
      expect(cache.groups()).toEqual([])
    },
  )
})

describe('what a group had', () => {
  const before = (cache: SnapshotCache, who: Node): Record<string, string[]>[] =>
    cache.pastOf(cache.snapshotFor(who).group).map((snapshot) => ({
      cluster: names(snapshot),
      route: names(snapshot, 'route'),
      endpoint: names(snapshot, 'endpoint'),
    }))
  const route = (name: string): Resource => resource('route', name)

  it('is known of the last changes, though nobody of it was there, in equal versions', () => {
    const cache = cacheOf(
      unit('a', [edge], cluster('x')),
      unit('b', [edge], route('r')),
      unit('c', [prod], cluster('p')),
    )
    const first = cache.snapshotFor(node('a', 'edge')).snapshot
    expect(cache.pastOf(cache.snapshotFor(node('a', 'edge')).group)).toEqual([])
    apply(cache, { upserted: [unit('d', [edge], cluster('y'))], removed: ['a'] })
    const second = cache.snapshotFor(node('a', 'edge')).snapshot
    apply(cache, { upserted: [unit('c', [prod], cluster('q'))] })
    apply(cache, { upserted: [unit('d', [edge], cluster('y', 2), cluster('z'))], removed: ['b'] })
    const { group } = cache.snapshotFor(node('a', 'edge'))
    expect(cache.pastOf(group)).toEqual([first, second])
    // Of equal content it is the same object.
    expect(cache.pastOf(group)[0]).toBe(first)
    expect(before(cache, node('a', 'core', { env: 'prod' }))).toEqual([{ cluster: ['p'], route: [], endpoint: [] }])
  })

  it.each([
    { units: 1, kept: 32 },
    { units: 100, kept: 20 },
    { units: 1_000, kept: 8 },
  ])('is $kept changes of $units units long, and endpoints are none of them', ({ units, kept }) => {
    const change = (content: number): Change => ({
      upserted: Array.from({ length: units }, (_, index) => unit(`${index}`, [edge], cluster(`c${index}`, content))),
    })
    const cache = createSnapshotCache()
    for (let content = 1; content <= 40; content++) {
      apply(cache, change(content))
      for (let port = 1; port <= 3; port++) {
        apply(cache, { upserted: [unit('e', [edge], resource('endpoint', 'c0', content * 10 + port))] })
      }
    }
    const past = cache.pastOf(cache.snapshotFor(node('a', 'edge')).group)
    expect(past.map((snapshot) => versions(snapshot)['c0'])).toEqual(
      Array.from({ length: kept }, (_, index) => cluster('c0', 40 - kept + index).version),
    )
  })

  it('is known for ten minutes after the last change, and then takes no memory', () => {
    vi.useFakeTimers()
    try {
      const cache = cacheOf(unit('a', [edge], cluster('x')))
      apply(cache, { upserted: [unit('a', [edge], cluster('x', 2))] })
      vi.advanceTimersByTime(9 * 60_000)
      apply(cache, { upserted: [unit('a', [edge], cluster('x', 3))] })
      vi.advanceTimersByTime(9 * 60_000)
      expect(before(cache, node('a', 'edge'))).toHaveLength(2)
      vi.advanceTimersByTime(2 * 60_000)
      expect(before(cache, node('a', 'edge'))).toEqual([])
    } finally {
      vi.useRealTimers()
    }
  })

  it('has what went from one unit to another', () => {
    const cache = cacheOf(unit('a', [edge], cluster('x'), cluster('y')))
    apply(cache, { upserted: [unit('a', [edge], cluster('y')), unit('b', [edge], cluster('x', 2))] })
    const [past] = cache.pastOf(cache.snapshotFor(node('a', 'edge')).group)
    expect(versions(past)).toEqual({ x: cluster('x').version, y: cluster('y').version })
  })
})
