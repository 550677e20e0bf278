import type { Resource } from '../../src/resource/resource.ts'
import { type ResourceWord, resourceTypes } from '../../src/resource/type-url.ts'
import { setOfResources } from '../../src/snapshot/resource-set.ts'
import { protocols } from '../support/conversation.ts'
import { edsCluster, resource, routeTo } from '../support/resource.ts'
import {
  accepted,
  ack,
  apply,
  client,
  forNodes,
  given,
  type Memory,
  removed,
  type Says,
  type Step,
  server,
  stream,
  transcript,
} from '../support/transcript.ts'
import type { Protocol } from '../support/wire-client.ts'

const world = given(edsCluster('x'), resource('endpoint', 'x'), routeTo('r', 'x'), resource('listener', 'l'))

/** A first request: of a client with nothing, or of one that states what it has. */
const asks = (protocol: Protocol, type: string, names: readonly string[], isBack: boolean): Step =>
  client((memory) => (isBack ? backFor(protocol, type, names, memory) : asksFor(protocol, type, names)))

const asksFor = (protocol: Protocol, type: string, names: readonly string[]): Says =>
  protocol === 'sotw' ? { type, names, version: '' } : { type, subscribe: names }

const backFor = (protocol: Protocol, type: string, names: readonly string[], memory: Memory): Says =>
  protocol === 'sotw'
    ? { type, names, version: memory.accepted(type)?.version ?? '' }
    : { type, subscribe: names, initialVersions: memory.versions(type) }

const settled = (protocol: Protocol): readonly Step[] => [
  asks(protocol, 'cluster', [], false),
  ...accepted({ type: 'cluster', resources: ['x'] }),
  asks(protocol, 'endpoint', ['x'], false),
  ...accepted({ type: 'endpoint', resources: ['x'] }),
  asks(protocol, 'listener', [], false),
  ...accepted({ type: 'listener', resources: ['l'] }),
  asks(protocol, 'route', ['r'], false),
  ...accepted({ type: 'route', resources: ['r'] }),
  server.silent(),
]

/** Another Envoy of the same group, that has what the group had when `at` was the cluster. */
const guest = stream('guest', { id: 'envoy-2', cluster: 'edge' })
const had = (at: string): Readonly<Record<string, readonly Resource[]>> => ({
  cluster: [edsCluster(at)],
  endpoint: [resource('endpoint', at)],
  route: [routeTo('r', at)],
})

/** It is moved from one cluster to another over the union of the two. */
function guestIsMoved(protocol: Protocol, from: string, to: string): readonly Step[] {
  const isSotw = protocol === 'sotw'
  const asksFor = (type: string, names: readonly string[]): Step =>
    guest.client(statesFor(protocol, type, names, had(from)[type] ?? []))
  const union = isSotw ? [from, to] : [to]
  return [
    asksFor('cluster', []),
    guest.server({ type: 'cluster', resources: union }),
    asksFor('route', ['r']),
    ...(isSotw ? [guest.server({ type: 'route', resources: [routeTo('r', from)] }), guest.client(ack())] : []),
    asksFor('endpoint', [from, to]),
    guest.server({ type: 'endpoint', resources: union }),
    guest.client(ack()),
    guest.server.silent(),
    guest.client(ack({ type: 'cluster' })),
    guest.server({ type: 'route', resources: [routeTo('r', to)] }),
    guest.client(ack()),
    ...(isSotw
      ? [guest.server({ type: 'cluster', resources: [to] }), guest.client(ack())]
      : [
          guest.server({ type: 'cluster', removed: [from] }),
          guest.client(ack()),
          guest.server({ type: 'endpoint', removed: [from] }),
          guest.client(ack()),
        ]),
    guest.server.silent(),
  ]
}

const statesFor = (protocol: Protocol, type: string, names: readonly string[], had: readonly Resource[]): Says => {
  const { typeUrl } = resourceTypes[type as ResourceWord]
  const initialVersions = Object.fromEntries(had.map(({ name, version }) => [name, version]))
  return protocol === 'sotw'
    ? { type, names, version: setOfResources(typeUrl, had).version }
    : { type, subscribe: names, initialVersions }
}

const moved = (from: string, to: string): Step =>
  apply(edsCluster(to), resource('endpoint', to), routeTo('r', to), removed('cluster', from), removed('endpoint', from))
const [moveToY, moveToZ] = [moved('x', 'y'), moved('y', 'z')]

for (const protocol of protocols) {
  const isSotw = protocol === 'sotw'

  transcript(
    `rule 69: what was moved while a client was away is moved over the union when it is back (${protocol})`,
    protocol,
    world,
    settled(protocol),
    client.resets(),
    moveToY,
    asks(protocol, 'cluster', [], true),
    server({ type: 'cluster', resources: isSotw ? ['x', 'y'] : ['y'] }),
    asks(protocol, 'listener', [], true),
    accepted({ type: 'listener', resources: isSotw ? ['l'] : [] }),
    asks(protocol, 'route', ['r'], true),
    // The routes as it has them, for y may be warming.
    isSotw ? accepted({ type: 'route', resources: [routeTo('r', 'x')] }) : [],
    asks(protocol, 'endpoint', ['x', 'y'], true),
    accepted({ type: 'endpoint', resources: isSotw ? ['x', 'y'] : ['y'] }),
    server.silent(),
    client(ack({ type: 'cluster' })),
    accepted({ type: 'route', resources: [routeTo('r', 'y')] }),
    isSotw
      ? accepted({ type: 'cluster', resources: ['y'] })
      : [...accepted({ type: 'cluster', removed: ['x'] }), ...accepted({ type: 'endpoint', removed: ['x'] })],
    server.silent(),
  )

  transcript(
    `rule 69: a client that has nothing is started with what is, not with what it had before (${protocol})`,
    protocol,
    world,
    settled(protocol),
    client.resets(),
    moveToY,
    asks(protocol, 'cluster', [], false),
    accepted({ type: 'cluster', resources: ['y'] }),
    asks(protocol, 'route', ['r'], false),
    accepted({ type: 'route', resources: [routeTo('r', 'y')] }),
    server.silent(),
  )

  transcript(
    `rule 69: a client that comes from another replica, which had not taken the move, is moved over the union (${protocol})`,
    protocol,
    world,
    // This one is of the same group, and here since before the move.
    asks(protocol, 'listener', [], false),
    accepted({ type: 'listener', resources: ['l'] }),
    moveToY,
    guestIsMoved(protocol, 'x', 'y'),
  )

  for (const at of ['x', 'y']) {
    transcript(
      `rule 69: a client is moved over the union from what its group had before one of the last changes, though none of them was here then (${protocol}, from ${at})`,
      protocol,
      world,
      moveToY,
      moveToZ,
      guestIsMoved(protocol, at, 'z'),
    )
  }

  for (const at of ['x', 'y']) {
    transcript(
      `rule 69: a client is moved over the union from what its group had before the last change, or the one before, though no stream was told of that one (${protocol}, from ${at})`,
      protocol,
      world,
      asks(protocol, 'listener', [], false),
      accepted({ type: 'listener', resources: ['l'] }),
      // In one turn: the stream that is there looks at the second alone.
      moveToY,
      moveToZ,
      guestIsMoved(protocol, at, 'z'),
    )
  }

  transcript(
    `rule 77: what a client never asks for again after it was away is not waited for (${protocol})`,
    { protocol, server: { transitionTimeoutMs: 50 } },
    world,
    settled(protocol),
    client.resets(),
    moveToY,
    asks(protocol, 'cluster', [], true),
    accepted({ type: 'cluster', resources: isSotw ? ['x', 'y'] : ['y'] }),
    accepted(isSotw ? { type: 'cluster', resources: ['y'] } : { type: 'cluster', removed: ['x'] }),
  )

  const [atA, atB] = [{ cluster: 'a' }, { cluster: 'b' }]
  const [one, two] = [stream('one', { id: 'shared', ...atA }), stream('two', { id: 'shared', ...atB })]

  transcript(
    `rule 69: a client that comes back is not where another one of its node.id is, of another group (${protocol})`,
    protocol,
    given(
      resource('cluster', 'x'),
      resource('cluster', 'w'),
      forNodes(atA, routeTo('r', 'x')),
      forNodes(atB, routeTo('r', 'w')),
    ),
    [one, two].flatMap((its) => [
      its.client(asksFor(protocol, 'cluster', [])),
      its.server({ type: 'cluster', resources: ['x', 'w'] }),
      its.client(ack()),
      its.client(asksFor(protocol, 'route', ['r'])),
      its.server({ type: 'route', resources: ['r'] }),
      its.client(ack()),
      its.server.silent(),
    ]),
    one.client.resets(),
    apply(resource('cluster', 'y'), forNodes(atA, routeTo('r', 'y'))),
    two.server({ type: 'cluster', resources: isSotw ? ['x', 'w', 'y'] : ['y'] }),
    two.client(ack()),
    one.client((memory) => backFor(protocol, 'cluster', [], memory)),
    one.server({ type: 'cluster', resources: isSotw ? ['x', 'w', 'y'] : ['y'] }),
    one.client((memory) => backFor(protocol, 'route', ['r'], memory)),
    isSotw ? [one.server({ type: 'route', resources: [routeTo('r', 'x')] }), one.client(ack())] : [],
    one.server.silent(),
    one.client(ack({ type: 'cluster' })),
    one.server({ type: 'route', resources: [routeTo('r', 'y')] }),
    one.client(ack()),
  )

  const nobodys = stream('nobodys', { id: 'envoy-3', cluster: 'nobodys' })
  transcript(
    `rule 69: what a group had is not what the group has had that its nodes come to (${protocol})`,
    protocol,
    given(resource('cluster', 'x'), forNodes(atA, routeTo('r', 'x'))),
    one.client(asksFor(protocol, 'cluster', [])),
    one.server({ type: 'cluster', resources: ['x'] }),
    one.client(ack()),
    apply(removed('route', 'r', atA), resource('cluster', 'y'), routeTo('r', 'y')),
    one.server({ type: 'cluster', resources: isSotw ? ['x', 'y'] : ['y'] }),
    one.client(ack()),
    nobodys.client(statesFor(protocol, 'cluster', [], [resource('cluster', 'x')])),
    nobodys.server({ type: 'cluster', resources: isSotw ? ['x', 'y'] : ['y'] }),
    // Of its own group is known that it had x alone: routes wait for y.
    nobodys.client(ack()),
    nobodys.client(asksFor(protocol, 'route', ['r'])),
    nobodys.server({ type: 'route', resources: [routeTo('r', 'y')] }),
    nobodys.client(ack()),
    nobodys.server.silent(),
  )
}
