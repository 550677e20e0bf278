import { setImmediate } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { beforeEach, expect, test } from 'vitest'
import { SmallClient } from '../../../test/support/small-client.ts'
import { showView, smallView } from '../../../test/support/small-view.ts'
import { buildResource, type Resource } from '../../resource/resource.ts'
import { resourceTypes, wordOf } from '../../resource/type-url.ts'
import { type ResourceSet, setOfResources } from '../../snapshot/resource-set.ts'
import { buildSnapshot } from '../../snapshot/snapshot.ts'
import { PastViews } from './past-views.ts'
import { setIn, type View } from './view.ts'

const { typeUrl } = resourceTypes.cluster

function cluster(name: string, content: number): Resource {
  return buildResource({ typeUrl, name, bytes: Uint8Array.of(content), origin: { name: 'a.yaml' } })
}

const viewOf = (content: number): View => buildSnapshot([setOfResources(typeUrl, [cluster('a', content)])])
const views = Array.from({ length: 20 }, (_, content) => viewOf(content))
const [first, second, third] = views as [View, View, View]
const version = (view: View): string => setIn(view, typeUrl).version
const versionsOf = (set: ResourceSet) => new Map([...set.values()].map((resource) => [resource.name, resource.version]))
const sotw = (view: View) => ({ typeUrl, versionInfo: version(view) })
const delta = (view: View) => ({
  typeUrl,
  initialVersions: new Map([['a', setIn(view, typeUrl).get('a')?.version ?? '']]),
})

let nowMs = 0
const clock = { now: () => nowMs }
beforeEach(() => void (nowMs = 0))

test('A client is found where its group was, in either protocol, as one that accepted all of it', () => {
  const past = new PastViews(clock)
  past.note('g', first)
  past.note('g', second)
  const found = past.recall('g', 'sotw', sotw(first), third)
  expect(found?.view).toBe(first)
  expect(found?.clusters).toBe(setIn(first, typeUrl))
  expect(found?.accepted.get(typeUrl)).toBe(version(first))
  expect(past.recall('g', 'delta', delta(second), third)?.view).toBe(second)
})

test('It is not, where it is at what is now, at nothing, at something unknown, or of another group', () => {
  const past = new PastViews(clock)
  past.note('g', first)
  expect(past.recall('g', 'sotw', sotw(second), second)).toBeUndefined()
  expect(past.recall('g', 'sotw', { typeUrl, versionInfo: '' }, second)).toBeUndefined()
  expect(past.recall('g', 'delta', { typeUrl, initialVersions: new Map() }, second)).toBeUndefined()
  expect(past.recall('g', 'sotw', sotw(third), second)).toBeUndefined()
  expect(past.recall('h', 'sotw', sotw(first), second)).toBeUndefined()
  // There and back: what it has is what is.
  past.note('g', second)
  expect(past.recall('g', 'sotw', sotw(first), first)).toBeUndefined()
})

test('A client that was on the way from one to another is found there, with both in its hands', () => {
  const atX = smallView('cluster x=1 > endpoint x', 'endpoint x=1', 'route r=1 > cluster x')
  const atY = smallView('cluster y=1 > endpoint y', 'endpoint y=1', 'route r=2 > cluster y')
  const atZ = smallView('cluster z=1 > endpoint z', 'endpoint z=1', 'route r=3 > cluster z')
  const client = new SmallClient(atX)
  client.move(atY)
  const union = client.view
  for (const protocol of ['sotw', 'delta'] as const) {
    const stated =
      protocol === 'sotw'
        ? { typeUrl, versionInfo: version(union) }
        : { typeUrl, initialVersions: versionsOf(setIn(union, typeUrl)) }
    const past = new PastViews(clock)
    past.note('g', atX)
    for (const now of [atY, atZ]) {
      if (now === atZ) past.note('g', atY)
      const found = past.recall('g', protocol, stated, now)
      expect(showView(found?.view as View)).toEqual(showView(union))
      expect([...(found?.clusters?.values() ?? [])].map(({ name }) => name).toSorted()).toEqual(['x', 'y'])
      const routes = found?.mayHold.get(resourceTypes.route.typeUrl) ?? []
      expect(routes.map(({ version: of }) => of)).toEqual(
        [atX, atY].map((view) => setIn(view, resourceTypes.route.typeUrl).version),
      )
    }
  }
})

test('What differs in endpoints alone takes no place from what differs in more', () => {
  const past = new PastViews(clock)
  const old = smallView('cluster a=1 > endpoint a', 'endpoint a=1')
  const others = Array.from({ length: 30 }, (_, content) =>
    smallView('cluster a=2 > endpoint a', `endpoint a=${content}`),
  )
  for (const view of [old, ...others]) past.note('g', view)
  expect(past.recall('g', 'sotw', sotw(old), third)?.view).toBe(old)
  expect(past.recall('g', 'sotw', sotw(others[3] as View), third)?.view).toBe(others.at(-1))
})

test('Only the last few are kept, and not for long', () => {
  const past = new PastViews(clock)
  for (const view of views.slice(0, 19)) {
    // As each stream of the group says it.
    past.note('g', view)
    past.note('g', view)
  }
  const now = views[19] as View
  const found = views.slice(0, 19).filter((view) => past.recall('g', 'sotw', sotw(view), now) !== undefined)
  expect(found).toEqual(views.slice(11, 19))
  nowMs = 10 * 60_000
  expect(past.recall('g', 'sotw', sotw(views[18] as View), now)).toBeUndefined()
})

test('What many clients say alike is looked for once', () => {
  const past = new PastViews(clock)
  let reads = 0
  const watched: View = {
    get sets() {
      reads++
      return first.sets
    },
  }
  const older = () => [watched, second]
  for (const stated of [sotw(views[9] as View), delta(views[9] as View)]) {
    const recall = () => past.recall('g', 'initialVersions' in stated ? 'delta' : 'sotw', stated, third, older)
    expect(recall()).toBeUndefined()
    expect(reads).toBeGreaterThan(0)
    reads = 0
    expect(recall()).toBeUndefined()
    expect(reads).toBe(0)
  }
  expect(past.recall('g', 'sotw', sotw(second), third, older)?.view).toBe(second)
  expect(past.recall('g', 'sotw', sotw(second), third, older)?.view).toBe(second)
  // Not for ever: there may be more to find, or less.
  const lost = sotw(views[9] as View)
  past.note('g', views[9] as View)
  expect(past.recall('g', 'sotw', lost, third, older)?.view).toBe(views[9])
  reads = 0
  for (let at = 0; at < 300; at++) past.recall('g', 'sotw', { typeUrl, versionInfo: `nobody's ${at}` }, third, older)
  past.recall('g', 'sotw', { typeUrl, versionInfo: "nobody's 299" }, third, older)
  const before = reads
  past.recall('g', 'sotw', { typeUrl, versionInfo: "nobody's 0" }, third, older)
  expect(reads).toBeGreaterThan(before)
})

test('What a client says is not taken for what another said, whatever is in its names', () => {
  const past = new PastViews(clock)
  const [before, now] = [smallView('cluster a=1', 'cluster b=1'), smallView('cluster c=1')]
  const truth = versionsOf(setIn(before, typeUrl))
  const [a = '', b = ''] = [...truth.values()]
  const lie = new Map([[`a\0${a}\0b`, b]])
  expect(past.recall('g', 'delta', { typeUrl, initialVersions: lie }, now, () => [before])).toBeUndefined()
  expect(past.recall('g', 'delta', { typeUrl, initialVersions: truth }, now, () => [before])?.view).toBe(before)
})

test('What was found out keeps neither who asked nor how much was said', async () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void

  const past = new PastViews(clock)
  const said = sotw(second)
  past.note('g', second)
  const asker = (() => {
    const older = (): readonly View[] => [first]
    // Found among what was here: what the group had elsewhere is not read.
    past.recall('g', 'sotw', said, third, older)
    return new WeakRef(older)
  })()
  await setImmediate()
  collect()
  expect(asker.deref()).toBeUndefined()
  const before = process.memoryUsage().heapUsed
  const megabyte = 'v'.repeat(1_000_000)
  for (let at = 0; at < 100; at++) {
    past.recall('g', 'sotw', { typeUrl, versionInfo: Buffer.from(`${at}${megabyte}`).toString('latin1') }, third)
  }
  collect()
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(20_000_000)
  expect(past.recall('g', 'sotw', said, third)?.view).toBe(second)
})

test('A client whose clusters are not known is given the assignments of those that went, and again what changed ones wait for', () => {
  const past = new PastViews(clock)
  const older = [
    smallView('cluster a=1 > endpoint a', 'endpoint a=1', 'cluster b=1 > endpoint b', 'endpoint b=1', 'endpoint o=1'),
    smallView('cluster a=2 > endpoint a', 'endpoint a=1', 'cluster b=1 > endpoint b', 'endpoint b=2'),
    smallView('cluster a=2 > endpoint a', 'cluster s=1 > secret s', 'secret s=1'),
  ]
  const now = smallView('cluster a=2 > endpoint a', 'cluster s=1 > secret s', 'secret s=1', 'route r=1 > cluster s')
  const { view, awaited } = past.meanwhile('g', now, () => older)
  // The newest of b; and not what a cluster that is there has no more.
  expect(showView(view)).toEqual(['cluster a=2', 'cluster s=1', 'endpoint b=2', 'secret s=1', 'route r=1'])
  expect([...awaited].map(([type, names]) => [wordOf(type), names.names])).toEqual([
    ['endpoint', ['a']],
    ['secret', ['s']],
  ])
  const settled = past.meanwhile('g', now, () => [now])
  expect(settled.view).toBe(view)
  nowMs = 60_000
  expect(past.meanwhile('g', now, () => [now])).toEqual({ view: now, awaited: new Map(), hasClusters: true })
})

test('It is given, too, the secrets of clusters that went, and what changed ones named before', () => {
  const older = [
    smallView('cluster a=1 > endpoint one', 'endpoint one=1', 'cluster s=1 > secret s', 'secret s=1', 'secret o=1'),
    smallView('cluster a=2 > endpoint two', 'endpoint two=1'),
  ]
  const now = smallView('cluster a=2 > endpoint two')
  const { view } = new PastViews(clock).meanwhile('g', now, () => older)
  expect(showView(view)).toEqual(['cluster a=2', 'endpoint one=1', 'secret s=1'])
})
