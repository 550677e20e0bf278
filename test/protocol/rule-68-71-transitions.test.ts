import { asks, protocols } from '../support/conversation.ts'
import { edsCluster, resource, routeTo } from '../support/resource.ts'
import {
  accepted,
  ack,
  apply,
  client,
  given,
  nack,
  removed,
  type Setting,
  type Step,
  server,
  transcript,
} from '../support/transcript.ts'
import type { Protocol } from '../support/wire-client.ts'

/** Cluster and route of one name, and a second cluster that nobody uses. */
const world = given(
  edsCluster('x'),
  resource('endpoint', 'x'),
  routeTo('r', 'x'),
  routeTo('r2', 'x'),
  resource('listener', 'l'),
)

/** An Envoy that has it all. */
const settled: readonly Step[] = [
  client({ type: 'cluster' }),
  ...accepted({ type: 'cluster', resources: ['x'] }),
  client(asks('endpoint', 'x')),
  ...accepted({ type: 'endpoint', resources: ['x'] }),
  client({ type: 'listener' }),
  ...accepted({ type: 'listener', resources: ['l'] }),
  client(asks('route', 'r', 'r2')),
  ...accepted({ type: 'route', resources: ['r', 'r2'] }),
  server.silent(),
]

/** A cluster appears: in SotW the whole state comes, and its ACK is withheld until its assignment came. */
function warms(protocol: Protocol, name: string): readonly Step[] {
  return [...appears(protocol, name), client(ack({ type: 'cluster' })), client(ack({ type: 'endpoint' }))]
}

function appears(protocol: Protocol, name: string): readonly Step[] {
  return [
    server({ type: 'cluster', resources: [name], orAlso: protocol === 'sotw' ? ['x'] : [] }),
    client((memory) =>
      protocol === 'sotw'
        ? ack({ type: 'endpoint', names: ['x', name] })(memory, protocol)
        : { type: 'endpoint', subscribe: [name] },
    ),
    server({ type: 'endpoint', resources: [name] }),
    server.silent(),
  ]
}

const moveToY = apply(
  edsCluster('y'),
  resource('endpoint', 'y'),
  routeTo('r', 'y'),
  routeTo('r2', 'y'),
  removed('cluster', 'x'),
  removed('endpoint', 'x'),
)

for (const protocol of protocols) {
  transcript(
    `rules 68, 69 and 71: a swap is {x, y}, the assignment of y before the ACK, then the routes, then the removal of x (${protocol})`,
    protocol,
    world,
    settled,
    moveToY,
    protocol === 'sotw' ? server({ type: 'cluster', resources: ['x', 'y'] }) : [],
    protocol === 'sotw' ? warms(protocol, 'y').slice(1) : warms(protocol, 'y'),
    server({ type: 'route', resources: [routeTo('r', 'y'), routeTo('r2', 'y')] }),
    server.silent(),
    client(ack({ type: 'route' })),
    protocol === 'sotw'
      ? accepted({ type: 'cluster', resources: ['y'] })
      : [...accepted({ type: 'cluster', removed: ['x'] }), ...accepted({ type: 'endpoint', removed: ['x'] })],
    server.silent(),
  )

  transcript(
    `rule 69: nothing is removed after a rejected route, for it is in use still (${protocol})`,
    protocol,
    world,
    settled,
    moveToY,
    warms(protocol, 'y'),
    server({ type: 'route', resources: ['r', 'r2'] }),
    client(nack('r is bad', { type: 'route' })),
    // Perhaps it took the other, perhaps not.
    accepted({ type: 'route', resources: ['r2'] }),
    server.silent(),
    apply(resource('listener', 'l', 2)),
    accepted({ type: 'listener', resources: ['l'] }),
    server.silent(),
  )

  transcript(
    `rules 70 and 71: only the route that names a cluster without its ACK is held back (${protocol})`,
    protocol,
    world,
    settled,
    apply(edsCluster('y'), resource('endpoint', 'y'), routeTo('r', 'y'), resource('listener', 'l', 2)),
    server({ type: 'cluster', resources: ['y'], orAlso: protocol === 'sotw' ? ['x'] : [] }),
    // What does not need the cluster passes.
    accepted({ type: 'listener', resources: [resource('listener', 'l', 2)] }),
    server.silent(),
    apply(resource('route', 'r2', 2)),
    accepted({ type: 'route', resources: [resource('route', 'r2', 2)] }),
    server.silent(),
    client(ack({ type: 'cluster' })),
    accepted({ type: 'route', resources: [routeTo('r', 'y')] }),
  )

  transcript(
    `rule 70: a listener that names a cluster by itself is held back as a route is (${protocol})`,
    protocol,
    world,
    settled,
    apply(edsCluster('y'), resource('endpoint', 'y'), tcpListener('tcp', 'y')),
    warms(protocol, 'y'),
    accepted({ type: 'listener', resources: ['tcp'], orAlso: protocol === 'sotw' ? ['l'] : [] }),
  )

  transcript(
    `rule 70: a client that names its clusters gets routes to others at once, for it asks for those then (${protocol})`,
    protocol,
    world,
    client(asks('cluster', 'x')),
    accepted({ type: 'cluster', resources: ['x'] }),
    client(asks('route', 'r')),
    accepted({ type: 'route', resources: ['r'] }),
    moveToY,
    server({ type: 'route', resources: [routeTo('r', 'y')] }),
    client((memory) =>
      protocol === 'sotw'
        ? ack({ type: 'cluster', names: ['x', 'y'] })(memory, protocol)
        : { type: 'cluster', subscribe: ['y'] },
    ),
    accepted({ type: 'cluster', resources: protocol === 'sotw' ? ['x', 'y'] : ['y'] }),
    server.silent(),
    client(ack({ type: 'route' })),
    accepted(protocol === 'sotw' ? { type: 'cluster', resources: ['y'] } : { type: 'cluster', removed: ['x'] }),
    server.silent(),
  )

  transcript(
    `rule 71: the first clusters of a stream hold nothing back (${protocol})`,
    protocol,
    world,
    client({ type: 'cluster' }),
    server({ type: 'cluster', resources: ['x'] }),
    client({ type: 'listener' }),
    server({ type: 'listener', resources: ['l'] }),
    client(asks('route', 'r')),
    server({ type: 'route', resources: ['r'] }),
    server.silent(),
  )

  transcript(
    `rule 71: a further change of clusters does not wait for the ACK that a warming cluster withholds (${protocol})`,
    { protocol, server: { ackWaitMs: { cluster: 1, other: 5_000 } } },
    world,
    settled,
    apply(edsCluster('y'), resource('endpoint', 'y')),
    server({ type: 'cluster', resources: ['y'], orAlso: ['x'] }),
    apply(edsCluster('z'), resource('endpoint', 'z')),
    accepted({ type: 'cluster', resources: ['z'], orAlso: ['x', 'y'] }),
  )

  transcript(
    `rule 71: a rejection ends the wait for what it did not reject (${protocol})`,
    protocol,
    world,
    settled,
    apply(
      edsCluster('y'),
      resource('endpoint', 'y'),
      edsCluster('z'),
      resource('endpoint', 'z'),
      routeTo('r', 'y'),
      routeTo('r2', 'z'),
    ),
    server({ type: 'cluster', resources: ['y', 'z'], orAlso: protocol === 'sotw' ? ['x'] : [] }),
    server.silent(),
    client(nack('Error adding/updating cluster(s) z: no such thing', { type: 'cluster' })),
    accepted({ type: 'route', resources: [routeTo('r', 'y')] }),
    server.silent(),
  )

  transcript(
    `rule 71: where the client says nothing of its clusters, the accepted assignment tells that one is there (${protocol})`,
    protocol,
    world,
    settled,
    apply(edsCluster('y'), resource('endpoint', 'y'), resource('cluster', 'z'), routeTo('r', 'y'), routeTo('r2', 'z')),
    server({ type: 'cluster', resources: ['y', 'z'], orAlso: protocol === 'sotw' ? ['x'] : [] }),
    appears(protocol, 'y').slice(1),
    client(ack({ type: 'endpoint' })),
    // Of one that waits for nothing, nothing tells.
    accepted({ type: 'route', resources: [routeTo('r', 'y')] }),
    server.silent(),
    client(ack({ type: 'cluster' })),
    accepted({ type: 'route', resources: [routeTo('r2', 'z')] }),
  )

  const impatient: Setting = { protocol, server: { transitionTimeoutMs: 50 } }
  transcript(
    `rule 71: without an ACK a route goes when the transition's time is over, and the log has the names (${protocol})`,
    impatient,
    world,
    settled,
    apply(edsCluster('y'), resource('endpoint', 'y'), routeTo('r', 'y')),
    server({ type: 'cluster', resources: ['y'], orAlso: protocol === 'sotw' ? ['x'] : [] }),
    server({ type: 'route', resources: ['r'] }),
    server.warns(/"y".*without/),
  )
}

function tcpListener(name: string, cluster: string): ReturnType<typeof resource> {
  return resource('listener', name, {
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
}
