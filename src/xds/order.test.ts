import { describe, expect, test } from 'vitest'
import { buildResource, type Resource } from '../resource/resource.ts'
import { type ResourceWord, resourceTypes, type TypeUrl, wordOf } from '../resource/type-url.ts'
import { type ResourceSet, setOfResources } from '../snapshot/resource-set.ts'
import { buildSnapshot, type Snapshot } from '../snapshot/snapshot.ts'
import { additionOrder, changeBetween, plan, removalOrder, setIn, type View } from './order.ts'

const origin = { name: 'test.yaml' }

/** `cluster x=1`, `route r=2 > cluster x`: a type, a name, a content, and what it names. */
function resourceOf(text: string): Resource {
  const [what = '', ...targets] = text.split(' > ')
  const [word = '', nameAndContent = ''] = what.split(' ')
  const [name = '', content = ''] = nameAndContent.split('=')
  const { typeUrl } = resourceTypes[word as ResourceWord]
  const references = targets.map((target) => {
    const [targetWord, targetName = ''] = target.split(' ')
    return { typeUrl: resourceTypes[targetWord as ResourceWord].typeUrl, name: targetName, path: 'somewhere' }
  })
  return buildResource({ typeUrl, name, bytes: Buffer.from([content, ...targets].join(' > ')), origin, references })
}

function snapshot(...texts: readonly string[]): Snapshot {
  const byType = new Map<TypeUrl, Resource[]>()
  for (const resource of texts.map(resourceOf)) {
    byType.set(resource.typeUrl, [...(byType.get(resource.typeUrl) ?? []), resource])
  }
  return buildSnapshot([...byType].map(([typeUrl, resources]) => setOfResources(typeUrl, resources)))
}

function show(view: View): string[] {
  return additionOrder.flatMap((typeUrl) =>
    [...setIn(view, typeUrl).values()].map(
      ({ name, bytes }) => `${wordOf(typeUrl)} ${name}=${Buffer.from(bytes).toString().split(' ')[0]}`,
    ),
  )
}

const clustersOf = (view: View): ResourceSet => setIn(view, resourceTypes.cluster.typeUrl)

describe('changeBetween', () => {
  const before = snapshot('cluster x=1', 'endpoint x=1', 'route r=1 > cluster x')

  test.each<[string, readonly string[], boolean, readonly string[]]>([
    ['endpoints that change', ['cluster x=1', 'endpoint x=2', 'route r=1 > cluster x'], true, ['endpoint']],
    [
      'a cluster that comes',
      ['cluster x=1', 'cluster y=1', 'endpoint x=1', 'route r=1 > cluster x'],
      true,
      ['cluster'],
    ],
    ['a cluster that goes', ['endpoint x=1', 'route r=1 > cluster x'], false, ['cluster']],
    ['a route that changes', ['cluster x=1', 'endpoint x=1', 'route r=2 > cluster x'], false, ['route']],
    ['a route that goes', ['cluster x=1', 'endpoint x=1'], false, ['route']],
  ])('%s', (_, resources, isPlain, words) => {
    const change = changeBetween(before, snapshot(...resources))
    expect(change.isPlain).toBe(isPlain)
    expect(change.types.map(wordOf)).toEqual(words)
  })

  test('a plain change is what the plan gives, whatever the client has accepted', () => {
    const after = snapshot('cluster x=1', 'cluster y=1', 'endpoint x=2', 'route r=1 > cluster x')
    for (const clusters of [undefined, clustersOf(before)]) {
      for (const hasUsers of [true, false]) expect(plan(before, after, { clusters, hasUsers }).view).toBe(after)
    }
  })
})

describe('plan', () => {
  test('A route moves to a new cluster in three steps: the union, the route, the removal (rules 69–71)', () => {
    const before = snapshot('cluster x=1', 'endpoint x=1', 'route r=1 > cluster x', 'listener l=1 > route r')
    const after = snapshot('cluster y=1', 'endpoint y=1', 'route r=2 > cluster y', 'listener l=1 > route r')
    const added = plan(before, after, { clusters: clustersOf(before), hasUsers: true })
    expect(show(added.view)).toEqual([
      'cluster x=1',
      'cluster y=1',
      'endpoint x=1',
      'endpoint y=1',
      'listener l=1',
      'route r=1',
    ])
    expect(added.held.map(({ name }) => name)).toEqual(['r'])

    const waiting = plan(added.view, after, { clusters: clustersOf(before), hasUsers: true })
    expect(waiting.view).toBe(added.view)

    const moved = plan(added.view, after, { clusters: clustersOf(added.view), hasUsers: true })
    expect(show(moved.view)).toEqual([
      'cluster x=1',
      'cluster y=1',
      'endpoint x=1',
      'endpoint y=1',
      'listener l=1',
      'route r=2',
    ])
    expect(moved.held).toEqual([])

    const unanswered = plan(moved.view, after, { clusters: clustersOf(moved.view), hasUsers: false })
    expect(unanswered.view).toBe(moved.view)

    const done = plan(moved.view, after, { clusters: clustersOf(moved.view), hasUsers: true })
    expect(done.view).toBe(after)
    expect(done.isRemoval).toBe(true)
  })

  test('What does not name a new cluster is not held', () => {
    const before = snapshot('cluster x=1', 'route r=1 > cluster x', 'route s=1 > cluster x', 'endpoint x=1')
    const after = snapshot(
      'cluster x=1',
      'cluster y=1',
      'route r=2 > cluster y',
      'route s=2 > cluster x',
      'endpoint x=2',
    )
    const { view } = plan(before, after, { clusters: clustersOf(before), hasUsers: true })
    expect(show(view)).toEqual(['cluster x=1', 'cluster y=1', 'endpoint x=2', 'route r=1', 'route s=2'])
  })

  test('A listener that names a new route that is held is held too', () => {
    const before = snapshot('cluster x=1', 'listener l=1 > cluster x')
    const after = snapshot('cluster x=1', 'cluster y=1', 'route r=1 > cluster y', 'listener l=2 > route r')
    const { view, held } = plan(before, after, { clusters: clustersOf(before), hasUsers: true })
    expect(show(view)).toEqual(['cluster x=1', 'cluster y=1', 'listener l=1'])
    expect(held.map(({ name }) => name)).toEqual(['r', 'l'])
  })

  test('A changed cluster holds nothing back: the old one serves meanwhile', () => {
    const before = snapshot('cluster x=1', 'route r=1 > cluster x')
    const after = snapshot('cluster x=2', 'route r=2 > cluster x')
    expect(plan(before, after, { clusters: clustersOf(before), hasUsers: true }).view).toBe(after)
  })

  test('Additions alone are one step', () => {
    const before = snapshot('cluster x=1')
    const after = snapshot('cluster x=1', 'cluster y=1', 'endpoint y=1')
    expect(plan(before, after, { clusters: clustersOf(before), hasUsers: false }).view).toBe(after)
  })

  test('A client that takes no clusters here has nothing held back, and nothing of another type blocks (rule 77)', () => {
    const before = snapshot('cluster x=1', 'route r=1 > cluster x')
    const after = snapshot('cluster y=1', 'route r=2 > cluster y')
    const { view } = plan(before, after, { clusters: undefined, hasUsers: true })
    expect(show(view)).toEqual(['cluster x=1', 'cluster y=1', 'route r=2'])
  })

  test('The removal of every listener is awaited before their clusters go', () => {
    const before = snapshot('cluster x=1', 'listener l=1 > cluster x')
    const after = snapshot()
    const first = plan(before, after, { clusters: clustersOf(before), hasUsers: true })
    expect(show(first.view)).toEqual(['cluster x=1'])
    expect(plan(first.view, after, { clusters: clustersOf(before), hasUsers: true }).view).toBe(after)
  })

  test('A cluster that only goes, with no user of it changed, goes at once', () => {
    const before = snapshot('cluster x=1', 'cluster y=1', 'route r=1 > cluster x')
    const after = snapshot('cluster x=1', 'route r=1 > cluster x')
    expect(plan(before, after, { clusters: clustersOf(before), hasUsers: true }).view).toBe(after)
  })

  test('A newer snapshot in the middle is planned from where the client is', () => {
    const before = snapshot('cluster x=1', 'route r=1 > cluster x')
    const second = snapshot('cluster y=1', 'route r=2 > cluster y')
    const third = snapshot('cluster z=1', 'route r=3 > cluster z')
    const { view } = plan(before, second, { clusters: clustersOf(before), hasUsers: true })
    const next = plan(view, third, { clusters: clustersOf(view), hasUsers: true })
    expect(show(next.view)).toEqual(['cluster x=1', 'cluster y=1', 'cluster z=1', 'route r=1'])
  })

  test('Clients in the same step have the same objects', () => {
    const before = snapshot('cluster x=1', 'route r=1 > cluster x')
    const after = snapshot('cluster y=1', 'route r=2 > cluster y')
    const progress = { clusters: clustersOf(before), hasUsers: true }
    expect(plan(before, after, progress)).toBe(plan(before, after, { ...progress }))
  })

  test('Additions go before what names them, removals after (rules 68, 78)', () => {
    expect(additionOrder.map(wordOf).slice(0, 9)).toEqual([
      'cluster',
      'endpoint',
      'secret',
      'extension',
      'runtime',
      'listener',
      'scopedRoute',
      'route',
      'virtualHost',
    ])
    const removal = removalOrder.map(wordOf)
    expect(removal.indexOf('cluster')).toBeGreaterThan(removal.indexOf('virtualHost'))
  })
})
