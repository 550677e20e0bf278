import { describe, expect, test } from 'vitest'
import { resource } from '../../../test/support/resource.ts'
import { SmallClient } from '../../../test/support/small-client.ts'
import { showView, smallView } from '../../../test/support/small-view.ts'
import { wordOf } from '../../resource/type-url.ts'
import { setOfResources } from '../../snapshot/resource-set.ts'
import { buildSnapshot } from '../../snapshot/snapshot.ts'
import { noDrains, withDrain } from './drain.ts'
import { plan } from './planner.ts'
import { noTypes } from './progress.ts'
import { changeBetween, setIn, type View } from './view.ts'

const listenersOf = (view: View) => setIn(view, resource('listener', 'l').typeUrl)
const clustersOf = (view: View) => setIn(view, resource('cluster', 'c').typeUrl)
const shown = (resources: readonly { typeUrl: string; name: string }[]): readonly string[] =>
  resources.map(({ typeUrl, name }) => `${wordOf(typeUrl)} ${name}`)

/** By identity, without the wall of bytes that a failure would print. */
const isSame = (a: View, b: View): boolean => a === b

/** Route r of listener l sends to cluster x. */
const atX = smallView(
  'cluster x=1 > endpoint x',
  'endpoint x=1',
  'route r=1 > cluster x',
  'listener l=1 > route r > secret s',
  'secret s=1',
)
const atY = smallView(
  'cluster y=1 > endpoint y',
  'endpoint y=1',
  'route r=2 > cluster y',
  'listener l=1 > route r > secret s',
  'secret s=1',
)

describe('a planned transition', () => {
  test('moves a route to a new cluster over the union: the cluster, the route, the removal (rules 69–71)', () => {
    const client = new SmallClient(atX)
    expect(shown(client.move(atY).held)).toEqual(['route r'])
    expect(showView(client.view)).toEqual([
      'cluster x=1',
      'cluster y=1',
      'endpoint x=1',
      'endpoint y=1',
      'secret s=1',
      'listener l=1',
      'route r=1',
    ])
    const union = client.view
    client.ack('endpoint')
    expect(isSame(client.move(atY).view, union)).toBe(true)
    client.ack('cluster')
    expect(shown(client.move(atY).kept).toSorted()).toEqual(['cluster x', 'endpoint x'])
    expect(showView(client.view)).toContain('route r=2')
    expect(isSame(client.move(atY).view, client.view)).toBe(true)
    client.ack('route')
    // The assignment goes when the removal of its cluster is answered, too.
    expect(shown(client.move(atY).kept)).toEqual(['endpoint x'])
    client.ack('cluster')
    expect(isSame(client.move(atY).view, atY)).toBe(true)
  })

  test('of additions, and of removals that nothing names, is one step', () => {
    const more = smallView('cluster x=1', 'cluster y=1', 'endpoint y=1', 'route r=1 > cluster x')
    const less = smallView('cluster x=1', 'route r=1 > cluster x')
    expect(isSame(new SmallClient(less).move(more).view, more)).toBe(true)
    expect(isSame(new SmallClient(more).move(less).view, less)).toBe(true)
  })

  test.each<[string, readonly string[], readonly string[], readonly (readonly string[])[]]>([
    [
      'removes everything from the listener down, each when what names it is answered',
      ['cluster x=1 > endpoint x', 'endpoint x=1', 'route r=1 > cluster x', 'listener l=1 > route r'],
      [],
      [['cluster x=1', 'endpoint x=1', 'route r=1'], ['cluster x=1', 'endpoint x=1'], ['endpoint x=1'], []],
    ],
    [
      'exchanges two names in place',
      ['cluster x=1', 'cluster y=2', 'route r=1 > cluster x', 'route q=1 > cluster y'],
      ['cluster x=2', 'cluster y=1', 'route r=2 > cluster y', 'route q=2 > cluster x'],
      [['cluster x=2', 'cluster y=1', 'route q=2', 'route r=2']],
    ],
    [
      'keeps the assignment of a cluster that becomes static until that is accepted',
      ['cluster x=1 > endpoint x', 'endpoint x=1', 'route r=1 > cluster x'],
      ['cluster x=2', 'route r=1 > cluster x'],
      [
        ['cluster x=2', 'endpoint x=1', 'route r=1'],
        ['cluster x=2', 'route r=1'],
      ],
    ],
    [
      'keeps the member of an aggregate cluster until that does without it',
      ['cluster a=1 > cluster x > cluster y', 'cluster x=1', 'cluster y=1', 'listener l=1 > cluster a'],
      ['cluster a=2 > cluster y', 'cluster y=1', 'listener l=1 > cluster a'],
      [
        ['cluster a=2', 'cluster x=1', 'cluster y=1', 'listener l=1'],
        ['cluster a=2', 'cluster y=1', 'listener l=1'],
      ],
    ],
    [
      'holds back the new members of an aggregate cluster until they are accepted, but no new aggregate',
      ['cluster a=1 > cluster x', 'cluster x=1', 'listener l=1 > cluster a'],
      [
        'cluster a=2 > cluster y',
        'cluster b=1 > cluster y',
        'cluster y=1',
        'listener l=1 > cluster a',
        'listener k=1 > cluster b',
      ],
      [
        ['cluster a=1', 'cluster b=1', 'cluster x=1', 'cluster y=1', 'listener l=1'],
        ['cluster a=2', 'cluster b=1', 'cluster x=1', 'cluster y=1', 'listener k=1', 'listener l=1'],
        ['cluster a=2', 'cluster b=1', 'cluster y=1', 'listener k=1', 'listener l=1'],
      ],
    ],
    [
      'replaces a secret of a cluster, the old one until the cluster is accepted',
      ['cluster x=1 > secret old', 'secret old=1'],
      ['cluster x=2 > secret new', 'secret new=1'],
      [
        ['cluster x=2', 'secret new=1', 'secret old=1'],
        ['cluster x=2', 'secret new=1'],
      ],
    ],
    [
      'keeps all of a chain over scopes that a listener leaves behind',
      ['cluster x=1', 'route r=1 > cluster x', 'scopedRoute s=1 > route r', 'listener l=1'],
      ['listener l=2'],
      [['cluster x=1', 'listener l=2', 'route r=1'], ['cluster x=1', 'listener l=2'], ['listener l=2']],
    ],
    [
      'keeps the virtual hosts of a route configuration that stays for its listener',
      ['route r=1', 'virtualHost r/a=1 > cluster x', 'cluster x=1', 'listener l=1 > route r'],
      [],
      [['cluster x=1', 'route r=1', 'virtualHost r/a=1'], ['cluster x=1'], []],
    ],
    [
      'holds back a listener with a new route configuration whose cluster is new',
      ['cluster x=1', 'route r=1 > cluster x', 'listener l=1 > route r'],
      ['cluster y=1', 'route q=1 > cluster y', 'listener l=2 > route q'],
      [
        ['cluster x=1', 'cluster y=1', 'listener l=1', 'route r=1'],
        ['cluster x=1', 'cluster y=1', 'listener l=2', 'route q=1', 'route r=1'],
        ['cluster x=1', 'cluster y=1', 'listener l=2', 'route q=1'],
        ['cluster y=1', 'listener l=2', 'route q=1'],
      ],
    ],
    [
      'holds back a filter configuration that names a new cluster, and a new listener that names it',
      ['listener l=1'],
      ['cluster y=1', 'extension e=1 > cluster y', 'listener l=1', 'listener k=1 > extension e'],
      [
        ['cluster y=1', 'listener l=1'],
        ['cluster y=1', 'extension e=1', 'listener k=1', 'listener l=1'],
      ],
    ],
  ])('%s', (_, from, to, views) => {
    const target = smallView(...to)
    const client = new SmallClient(smallView(...from))
    expect(client.travel(target)).toEqual(views.map((view) => [...view]))
    expect(isSame(client.view, target)).toBe(true)
  })

  test('holds back only what names the cluster that never gets warm (rule 71)', () => {
    const client = new SmallClient(atX)
    const withCold = smallView(
      'cluster x=1 > endpoint x',
      'cluster cold=1',
      'endpoint x=1',
      'route r=1 > cluster x',
      'route cold=1 > cluster cold',
      'listener l=1 > route r > secret s',
      'secret s=1',
    )
    client.move(withCold)
    expect(showView(client.view)).not.toContain('route cold=1')
    const next = smallView(
      'cluster x=1 > endpoint x',
      'cluster cold=1',
      'endpoint x=2',
      'route r=2 > cluster x',
      'route cold=1 > cluster cold',
      'listener k=1 > route r',
      'secret s=2',
    )
    expect(shown(client.move(next).held)).toEqual(['route cold'])
    expect(showView(client.view)).toEqual([
      'cluster cold=1',
      'cluster x=1',
      'endpoint x=2',
      'secret s=2',
      'listener k=1',
      'route r=2',
    ])
  })

  test('gives a client that has no listener yet none that names a cluster which it has rejected', () => {
    const client = new SmallClient(smallView('cluster x=1', 'cluster y=1', 'listener l=1 > cluster y'))
    client.unanswered = new Set([listenersOf(client.view).typeUrl])
    const accepted = smallView('cluster x=1')
    client.accept(clustersOf(accepted))
    client.move(smallView('cluster x=2', 'cluster y=1', 'listener l=1 > cluster y', 'listener k=1 > cluster x'))
    expect(showView(client.view)).toEqual(['cluster x=2', 'cluster y=1', 'listener k=1'])
  })

  test('gives a client that has no route yet the old version of one that must wait', () => {
    const client = new SmallClient(atX)
    client.unanswered = new Set([resource('route', 'r').typeUrl])
    client.move(atY)
    expect(showView(client.view)).toContain('route r=1')
  })

  test('waits for a cluster that comes back, though the client had it: its removal is under way', () => {
    const client = new SmallClient(atX)
    const without = smallView('cluster z=1', 'route r=2 > cluster z', 'listener l=1 > route r > secret s', 'secret s=1')
    client.travel(without)
    const both = smallView('cluster x=1', 'cluster z=1', 'route r=2 > cluster z')
    client.travel(both)
    client.move(smallView('cluster z=1', 'route r=2 > cluster z'))
    client.move(smallView('cluster x=1', 'cluster z=1', 'route r=3 > cluster x'))
    expect(showView(client.view)).toEqual(['cluster x=1', 'cluster z=1', 'route r=2'])
    client.ack('cluster')
    client.move(smallView('cluster x=1', 'cluster z=1', 'route r=3 > cluster x'))
    expect(showView(client.view)).toContain('route r=3')
  })

  test('holds an aggregate cluster back that comes back with a new member before the client was told that it goes', () => {
    const sent = smallView('cluster a=1 > cluster x', 'cluster x=1', 'listener l=1')
    const to = smallView('cluster a=1 > cluster y', 'cluster x=1', 'cluster y=1', 'listener l=2 > cluster a')
    const client = { clusters: [clustersOf(sent)], mayHold: [], drains: noDrains, unanswered: noTypes }
    const { view, held } = plan(smallView('cluster x=1', 'listener l=1'), to, client)
    expect(shown(held)).toEqual(['cluster a'])
    expect(setIn(view, clustersOf(to).typeUrl).get('a')).toBe(clustersOf(sent).get('a'))
    expect(showView(view)).toEqual(['cluster a=1', 'cluster x=1', 'cluster y=1', 'listener l=2'])
  })

  test('keeps a cluster that is needed again before the client was told that it goes', () => {
    const sent = smallView('cluster a=1 > cluster x', 'cluster x=1', 'listener l=1')
    const to = smallView('cluster a=1 > cluster y', 'cluster y=1', 'listener l=2 > cluster a')
    const client = { clusters: [clustersOf(sent)], mayHold: [], drains: noDrains, unanswered: noTypes }
    const { view } = plan(smallView('listener l=1'), to, client)
    expect(showView(view)).toEqual(['cluster a=1', 'cluster x=1', 'cluster y=1', 'listener l=2'])
  })

  test('starts again from where the client is when a newer snapshot comes', () => {
    const client = new SmallClient(atX)
    client.move(atY)
    const atZ = smallView('cluster z=1', 'route r=3 > cluster z', 'listener l=1 > route r > secret s', 'secret s=1')
    client.move(atZ)
    expect(showView(client.view)).toEqual([
      'cluster x=1',
      'cluster z=1',
      'endpoint x=1',
      'endpoint y=1',
      'secret s=1',
      'listener l=1',
      'route r=1',
    ])
    client.travel(atZ)
    expect(isSame(client.view, atZ)).toBe(true)
  })

  test('is not put off by users that keep changing and do not name what goes', () => {
    const ofRound = (round: number) => smallView('cluster y=1', `listener l=${round} > cluster y`)
    const client = new SmallClient(smallView('cluster x=1', 'cluster y=1', 'listener l=0 > cluster x'))
    client.move(ofRound(1))
    // The client is told of the second change before it has answered the first.
    client.ack('listener')
    for (let round = 2; round < 5; round++) client.move(ofRound(round))
    expect(showView(client.view)).toEqual(['cluster y=1', 'listener l=4'])
  })

  test('does not wait for types that the client never asked for (rule 77)', () => {
    const client = new SmallClient(atX, 'cluster', 'endpoint')
    client.move(atY)
    client.ack()
    client.move(atY)
    expect(showView(client.view)).not.toContain('cluster x=1')
    const onRoutesAlone = new SmallClient(atX, 'route')
    expect(showView(onRoutesAlone.move(atY).view)).toContain('route r=2')
  })

  test('keeps a listener until the one that takes its address may come', () => {
    const at = (port: number) => ({ address: { socket_address: { address: '127.0.0.1', port_value: port } } })
    const tcp = (name: string, port: number, cluster: string) =>
      resource('listener', name, {
        ...at(port),
        filter_chains: [
          {
            filters: [
              {
                name: 'tcp',
                typed_config: {
                  '@type': 'type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy',
                  stat_prefix: name,
                  cluster,
                },
              },
            ],
          },
        ],
      })
    const view = (...resources: readonly ReturnType<typeof resource>[]) =>
      buildSnapshot(
        ['cluster', 'listener'].map((word) => {
          const ofType = resources.filter(({ typeUrl }) => wordOf(typeUrl) === word)
          return setOfResources(resource(word as 'cluster', 'any').typeUrl, ofType)
        }),
      )
    const names = (of: View) => [...listenersOf(of).values()].map(({ name }) => name)
    const client = new SmallClient(view(resource('cluster', 'x'), tcp('old', 80, 'x'), tcp('other', 81, 'x')))
    const to = view(resource('cluster', 'x'), resource('cluster', 'y'), tcp('new', 80, 'y'))
    client.move(to)
    expect(names(client.view)).toEqual(['old'])
    client.ack('cluster')
    client.move(to)
    expect(names(client.view)).toEqual(['new'])
  })
})

describe('while a listener drains', () => {
  const gone = smallView('cluster y=1', 'listener k=1 > cluster y')
  const before = smallView(
    'cluster x=1 > endpoint x',
    'cluster y=1',
    'endpoint x=1',
    'route r=1 > cluster x',
    'listener k=1 > cluster y',
    'listener l=1 > route r > secret s',
    'secret s=1',
  )

  test('all that the old version leads to stays, and nothing else (rules 74, 76)', () => {
    const client = new SmallClient(before)
    client.drains = withDrain(noDrains, listenersOf(before), listenersOf(gone), 1000)
    client.travel(gone)
    expect(showView(client.view)).toEqual([
      'cluster x=1',
      'cluster y=1',
      'endpoint x=1',
      'secret s=1',
      'listener k=1',
      'route r=1',
    ])
    client.drains = noDrains
    client.travel(gone)
    expect(isSame(client.view, gone)).toBe(true)
  })

  test('of what stays, the newest content is served', () => {
    const client = new SmallClient(before)
    client.drains = withDrain(noDrains, listenersOf(before), listenersOf(gone), 1000)
    client.travel(smallView('cluster y=1', 'secret s=2', 'listener k=1 > cluster y'))
    expect(showView(client.view)).toContain('secret s=2')
    client.travel(gone)
    expect(showView(client.view)).toContain('secret s=2')
  })
})

describe('clients in one state', () => {
  test('get the same step', () => {
    const client = { clusters: [clustersOf(atX)], mayHold: [listenersOf(atY)], drains: noDrains, unanswered: noTypes }
    const other = { clusters: [clustersOf(atX)], mayHold: [listenersOf(atY)], drains: noDrains, unanswered: noTypes }
    const step = plan(atX, atY, client)
    expect(plan(atX, atY, other)).toBe(step)
    plan(atY, atX, other)
    expect(plan(atX, atY, other)).toBe(step)
  })

  test('get the same view by different ways', () => {
    const [direct, detour] = [new SmallClient(atX), new SmallClient(atX)]
    direct.move(atY)
    detour.travel(smallView('cluster x=1 > endpoint x', 'cluster z=1', 'route r=1 > cluster x'))
    detour.travel(atX)
    detour.move(atY)
    expect(direct.view).not.toBe(atY)
    expect(isSame(detour.view, direct.view)).toBe(true)
  })

  test('take a plain change without any plan: it would give the same', () => {
    const more = smallView(
      'cluster x=2 > endpoint x',
      'cluster y=1',
      'endpoint x=2',
      'route r=1 > cluster x',
      'listener l=1 > route r > secret s',
      'secret s=2',
    )
    expect(changeBetween(atX, more).isPlain).toBe(true)
    expect(isSame(new SmallClient(atX).move(more).view, more)).toBe(true)
  })
})
