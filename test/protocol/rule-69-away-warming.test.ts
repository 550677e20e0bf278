import { expect } from 'vitest'
import type { Resource } from '../../src/resource/resource.ts'
import { type ResourceWord, resourceTypes } from '../../src/resource/type-url.ts'
import { setOfResources } from '../../src/snapshot/resource-set.ts'
import { protocols } from '../support/conversation.ts'
import { eventually } from '../support/poll.ts'
import { edsCluster, resource, routeTo } from '../support/resource.ts'
import {
  accepted,
  apply,
  client,
  given,
  removed,
  type Says,
  type Setting,
  type Step,
  server,
  step,
  stream,
  transcript,
} from '../support/transcript.ts'
import type { Protocol } from '../support/wire-client.ts'

/** Envoy says nothing of its clusters while one of them warms: on its next stream it begins with all else. */
const setting = (protocol: Protocol, agent = 'envoy', more: Partial<Setting> = {}): Setting => ({
  protocol,
  node: { id: 'envoy-1', cluster: 'edge', user_agent_name: agent },
  ...more,
})

const atX = given(edsCluster('x'), resource('endpoint', 'x'), routeTo('r', 'x'), resource('listener', 'l'))
const moved = (from: string, to: string): Step =>
  apply(edsCluster(to), resource('endpoint', to), routeTo('r', to), removed('cluster', from), removed('endpoint', from))
const silent = stream('silent', { id: 'envoy-2', cluster: 'edge', user_agent_name: 'envoy' })

const isKnown = step('the server knows the client', async (world) => {
  await eventually(() => world.server.status.nodes().length > 0)
})

const nothingIsNewer = step('the sources say that nothing is newer', async ({ questions }) => {
  await eventually(() => questions.length > 0)
  for (const answer of questions.splice(0)) answer()
})

const [moveToY, moveToZ] = [moved('x', 'y'), moved('y', 'z')]

const clusterWith = (name: string, assignment: string): Resource =>
  resource('cluster', name, {
    type: 'EDS',
    eds_cluster_config: { service_name: assignment, eds_config: { ads: {}, resource_api_version: 'V3' } },
  })

const saysItHas = (protocol: Protocol, type: ResourceWord, names: readonly string[], had: readonly Resource[]): Says =>
  protocol === 'sotw'
    ? { type, names, version: had.length === 0 ? '' : setOfResources(resourceTypes[type].typeUrl, had).version }
    : { type, subscribe: names, initialVersions: Object.fromEntries(had.map(({ name, version }) => [name, version])) }

for (const protocol of protocols) {
  const isSotw = protocol === 'sotw'
  const has = (type: ResourceWord, names: readonly string[], ...had: readonly Resource[]): Step =>
    client(saysItHas(protocol, type, names, had))
  const hasClusters = (...names: readonly string[]): Step =>
    has('cluster', [], ...names.map((name) => edsCluster(name)))
  const hasAssignments = (names: readonly string[], had: readonly string[]): Step =>
    has('endpoint', names, ...had.map((name) => resource('endpoint', name)))
  const hasListener = has('listener', [], resource('listener', 'l'))
  const hasRoute = (to: string): Step => has('route', ['r'], routeTo('r', to))
  const isToldOfListener = accepted({ type: 'listener', resources: isSotw ? ['l'] : [] })
  const isToldOfRoute = (to: string): readonly Step[] => accepted({ type: 'route', resources: [routeTo('r', to)] })

  /** It is warm, and says that it has these, of which its routes may name any: from there it is led on. */
  const isLedOn = (had: readonly string[], to: string): readonly Step[] => {
    const added = had.includes(to) ? [] : [to]
    return [hasClusters(...had), ...accepted({ type: 'cluster', resources: isSotw ? [...had, ...added] : added })]
  }
  const endsAt = (to: string, ...gone: readonly string[]): readonly Step[] =>
    isSotw
      ? [...accepted({ type: 'cluster', resources: [to] }), server.silent()]
      : [
          ...accepted({ type: 'cluster', removed: gone }),
          ...accepted({ type: 'endpoint', removed: gone }),
          server.silent(),
        ]

  for (const first of ['endpoint', 'listener', 'route'] as const) {
    const says: Readonly<Record<typeof first, readonly Step[]>> = {
      endpoint: [
        hasAssignments(['x', 'y'], ['x']),
        ...accepted({ type: 'endpoint', resources: isSotw ? ['x', 'y'] : ['y'] }),
      ],
      listener: [hasListener],
      route: [hasRoute('x')],
    }
    const begins = [first, ...(['endpoint', 'listener', 'route'] as const).filter((type) => type !== first)]

    transcript(
      `rule 69: an Envoy with a cluster that warms is told of no route to it until it says which clusters it has (${protocol}, ${first} first)`,
      setting(protocol),
      atX,
      moveToY,
      begins.flatMap((type) => says[type]),
      server.silent(),
      isLedOn(['x', 'y'], 'y'),
      isToldOfListener,
      isToldOfRoute('y'),
      endsAt('y', 'x'),
    )

    transcript(
      `rule 69: an Envoy with a cluster that warms is given what that waits for, though both are gone (${protocol}, ${first} first)`,
      setting(protocol),
      atX,
      moveToY,
      moveToZ,
      begins.flatMap((type) => says[type]),
      server.silent(),
      isLedOn(['x', 'y'], 'z'),
      isToldOfListener,
      isToldOfRoute('z'),
      endsAt('z', 'x', 'y'),
    )
  }

  transcript(
    `rule 69: an Envoy with a cluster that warms is not told of routes to one that it had before (${protocol})`,
    setting(protocol),
    atX,
    moveToY,
    moveToZ,
    // It is at y, with the assignments that it was sent on the way: over SotW it states the version of those.
    hasAssignments(['y', 'z'], isSotw ? ['x', 'y'] : ['y']),
    accepted({ type: 'endpoint', resources: ['y', 'z'] }),
    hasListener,
    hasRoute('y'),
    server.silent(),
    isLedOn(['y', 'z'], 'z'),
    isToldOfListener,
    isToldOfRoute('z'),
    endsAt('z', 'y'),
  )

  transcript(
    `rule 69: an Envoy with a cluster that warms and assignments that are in force is told of no route to what comes then (${protocol})`,
    setting(protocol),
    atX,
    hasAssignments(['x', 'y'], ['x']),
    accepted({ type: 'endpoint', resources: isSotw ? ['x'] : [], removed: isSotw ? [] : ['y'] }),
    hasListener,
    hasRoute('x'),
    server.silent(),
    moveToY,
    accepted({ type: 'endpoint', resources: ['y'] }),
    moveToZ,
    server.silent(),
    isLedOn(['x', 'y'], 'z'),
    isToldOfListener,
    isToldOfRoute('z'),
    endsAt('z', 'x', 'y'),
  )

  transcript(
    `rule 69: an Envoy with a cluster that warms is given the assignment that it waits for, though the cluster has another by now (${protocol})`,
    setting(protocol),
    atX,
    apply(
      clusterWith('y', 'one'),
      resource('endpoint', 'one'),
      routeTo('r', 'y'),
      removed('cluster', 'x'),
      removed('endpoint', 'x'),
    ),
    apply(clusterWith('y', 'two'), resource('endpoint', 'two'), removed('endpoint', 'one')),
    hasAssignments(['x', 'one'], ['x']),
    accepted({ type: 'endpoint', resources: isSotw ? ['x', 'one'] : ['one'] }),
    server.silent(),
  )

  transcript(
    `rule 69: an Envoy that was with another server since it was here is not where it was (${protocol})`,
    setting(protocol),
    atX,
    client({ type: 'cluster' }),
    accepted({ type: 'cluster', resources: ['x'] }),
    client(isSotw ? { type: 'endpoint', names: ['x'] } : { type: 'endpoint', subscribe: ['x'] }),
    accepted({ type: 'endpoint', resources: ['x'] }),
    server.silent(),
    client.resets(),
    moveToY,
    moveToZ,
    hasAssignments(['x', 'y'], ['x']),
    accepted({ type: 'endpoint', resources: isSotw ? ['x', 'y'] : ['y'] }),
    hasListener,
    hasRoute('x'),
    server.silent(),
    isLedOn(['x', 'y'], 'z'),
    isToldOfListener,
    isToldOfRoute('z'),
    endsAt('z', 'x', 'y'),
  )

  transcript(
    `rule 69: an Envoy that asks for its first assignment ever, of a cluster that warms, is told of no route to that (${protocol})`,
    setting(protocol),
    given(resource('cluster', 'x'), routeTo('r', 'x'), resource('listener', 'l')),
    apply(edsCluster('y'), resource('endpoint', 'y'), routeTo('r', 'y'), removed('cluster', 'x')),
    has('endpoint', ['y']),
    accepted({ type: 'endpoint', resources: ['y'] }),
    hasListener,
    hasRoute('x'),
    server.silent(),
    has('cluster', [], resource('cluster', 'x'), edsCluster('y')),
    accepted({ type: 'cluster', resources: isSotw ? ['x', 'y'] : [] }),
    isToldOfListener,
    isToldOfRoute('y'),
    accepted(isSotw ? { type: 'cluster', resources: ['y'] } : { type: 'cluster', removed: ['x'] }),
    server.silent(),
  )

  transcript(
    `rule 69: an Envoy is led on from the clusters that it has though it asks for a layer first that is unknown here (${protocol})`,
    setting(protocol),
    atX,
    moveToY,
    has('runtime', ['layer']),
    isSotw ? [] : accepted({ type: 'runtime', removed: ['layer'] }),
    isLedOn(['x'], 'y'),
    server.silent(),
  )

  transcript(
    `rule 69: the endpoints of a cluster that is gone do not go back where an Envoy took newer ones elsewhere (${protocol})`,
    setting(protocol),
    atX,
    client({ type: 'cluster' }),
    accepted({ type: 'cluster', resources: ['x'] }),
    client(isSotw ? { type: 'endpoint', names: ['x'] } : { type: 'endpoint', subscribe: ['x'] }),
    accepted({ type: 'endpoint', resources: ['x'] }),
    client({ type: 'listener' }),
    accepted({ type: 'listener', resources: ['l'] }),
    client(isSotw ? { type: 'route', names: ['r'] } : { type: 'route', subscribe: ['r'] }),
    isToldOfRoute('x'),
    server.silent(),
    client.resets(),
    apply(resource('endpoint', 'x', 2)),
    moveToY,
    has('endpoint', ['x', 'y'], resource('endpoint', 'x', 2)),
    accepted({ type: 'endpoint', resources: isSotw ? [resource('endpoint', 'x', 2), 'y'] : ['y'] }),
    hasListener,
    hasRoute('x'),
    server.silent(),
    isLedOn(['x'], 'y'),
    // Again that of the cluster that was sent again, and nothing of the one that is gone.
    isSotw ? [] : accepted({ type: 'endpoint', resources: ['y'] }),
    isToldOfListener,
    isToldOfRoute('y'),
    endsAt('y', 'x'),
  )

  transcript(
    `rule 58: what a changed cluster waits for that warms since the last stream is said again (${protocol})`,
    setting(protocol),
    atX,
    apply(edsCluster('x', 2)),
    hasAssignments(['x'], ['x']),
    accepted({ type: 'endpoint', resources: ['x'] }),
    server.silent(),
  )

  transcript(
    `rule 77: an Envoy that has something and never asks for clusters is told of routes when the time is over (${protocol})`,
    setting(protocol, 'envoy', { server: { transitionTimeoutMs: 20 } }),
    atX,
    moveToY,
    hasListener,
    hasRoute('x'),
    isToldOfListener,
    isToldOfRoute('y'),
    moveToZ,
    isToldOfRoute('z'),
  )

  transcript(
    `rules 69 and 88: an Envoy with a cluster that warms has all its time to be placed once its turn has come (${protocol})`,
    setting(protocol, 'envoy', { server: { maxEntering: 1, transitionTimeoutMs: 300 } }),
    atX,
    moveToY,
    // It answers nothing, and so the other one waits for a second.
    silent.client({ type: 'cluster' }),
    silent.server({ type: 'cluster', resources: ['y'] }),
    hasAssignments(['x', 'y'], ['x']),
    hasListener,
    hasRoute('x'),
    accepted({ type: 'endpoint', resources: isSotw ? ['x', 'y'] : ['y'] }),
    server.silent(),
    isLedOn(['x', 'y'], 'y'),
    isToldOfListener,
    isToldOfRoute('y'),
    endsAt('y', 'x'),
  )

  let askedAtMs = 0
  transcript(
    `rules 69 and 88: an Envoy that is waited for to be placed keeps nobody from a first answer (${protocol})`,
    setting(protocol, 'envoy', { server: { maxEntering: 1 } }),
    atX,
    hasListener,
    isKnown,
    step('another one comes', () => {
      askedAtMs = performance.now()
    }),
    silent.client({ type: 'cluster' }),
    silent.server({ type: 'cluster', resources: ['x'] }),
    // One that is in and answers nothing keeps its place for a second.
    step('that was answered at once', () => expect(performance.now() - askedAtMs).toBeLessThan(800)),
  )

  transcript(
    `rules 69 and 87: an Envoy with a cluster that warms has all its time to be placed once it is held back no more (${protocol})`,
    setting(protocol, 'envoy', { mayLag: true, server: { transitionTimeoutMs: 200 } }),
    atX,
    moveToY,
    hasListener,
    hasAssignments(['x', 'y'], ['x']),
    hasRoute('x'),
    isKnown,
    // This one is not held back, and its time is over.
    silent.client(saysItHas(protocol, 'listener', [], [resource('listener', 'l')])),
    silent.server({ type: 'listener', resources: isSotw ? ['l'] : [] }),
    nothingIsNewer,
    accepted({ type: 'endpoint', resources: isSotw ? ['x', 'y'] : ['y'] }),
    server.silent(),
    isLedOn(['x', 'y'], 'y'),
    isToldOfListener,
    isToldOfRoute('y'),
    endsAt('y', 'x'),
  )

  transcript(
    `rule 77: the log names what an Envoy is told without having said which clusters it has (${protocol})`,
    setting(protocol, 'envoy', { server: { transitionTimeoutMs: 20 } }),
    atX,
    hasListener,
    isToldOfListener,
    step('the log names listeners', ({ log }) => {
      expect(log.map((line) => JSON.parse(line) as unknown)).toMatchObject([
        { types: ['listener'], msg: 'the client has not said which clusters it has: going on without' },
      ])
    }),
  )

  transcript(
    `rule 77: an Envoy that asks for more than can be put off before it says which clusters it has is told of it (${protocol})`,
    setting(protocol),
    atX,
    moveToY,
    hasListener,
    Array.from({ length: 999 }, () => hasRoute('x')),
    server.silent(),
    hasRoute('x'),
    isToldOfListener,
    isToldOfRoute('y'),
    isLedOn(['y'], 'y'),
    server.silent(),
  )

  transcript(
    `rule 77: an Envoy that has something where there is no cluster is told of routes at once (${protocol})`,
    setting(protocol),
    given(resource('listener', 'l'), routeTo('r', 'x')),
    hasListener,
    isToldOfListener,
    apply(routeTo('r', 'y')),
    hasRoute('x'),
    isToldOfRoute('y'),
    server.silent(),
  )

  transcript(
    `rule 69: an Envoy that has something where all clusters went lately is told of no routes yet (${protocol})`,
    setting(protocol),
    atX,
    apply(routeTo('r', 'z'), removed('cluster', 'x'), removed('endpoint', 'x')),
    hasListener,
    hasRoute('x'),
    server.silent(),
  )

  transcript(
    `rule 77: an Envoy that was here before and took no clusters is told of routes at once (${protocol})`,
    setting(protocol),
    atX,
    client({ type: 'listener' }),
    accepted({ type: 'listener', resources: ['l'] }),
    client(isSotw ? { type: 'route', names: ['r'] } : { type: 'route', subscribe: ['r'] }),
    isToldOfRoute('x'),
    server.silent(),
    client.resets(),
    hasListener,
    isToldOfListener,
    moveToY,
    hasRoute('x'),
    isToldOfRoute('y'),
    server.silent(),
  )

  transcript(
    `rule 77: an Envoy that has nothing is told of listeners and routes whether it asks for clusters or not (${protocol})`,
    setting(protocol),
    atX,
    client({ type: 'listener' }),
    accepted({ type: 'listener', resources: ['l'] }),
    client(isSotw ? { type: 'route', names: ['r'] } : { type: 'route', subscribe: ['r'] }),
    isToldOfRoute('x'),
    server.silent(),
  )

  transcript(
    `rule 70: a gRPC client is told of routes first, for it asks for clusters then (${protocol})`,
    setting(protocol, 'gRPC Go'),
    atX,
    moveToY,
    has('listener', ['l'], resource('listener', 'l')),
    isSotw ? accepted({ type: 'listener', resources: ['l'] }) : [],
    hasRoute('x'),
    isToldOfRoute('y'),
    server.silent(),
  )
}
