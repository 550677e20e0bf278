import type { JsonObject } from '@bufbuild/protobuf'
import type { Resource } from '../../src/resource/resource.ts'
import { asks, protocols } from '../support/conversation.ts'
import { edsCluster, resource, routeTo } from '../support/resource.ts'
import {
  accepted,
  apply,
  client,
  given,
  removed,
  type Setting,
  type Step,
  server,
  transcript,
} from '../support/transcript.ts'

const ads = { ads: {}, resource_api_version: 'V3' }

/** A listener that takes its routes by RDS and its certificate by SDS. */
function listener(name: string, routes: string, secret: string): Resource {
  return resource('listener', name, {
    filter_chains: [
      {
        transport_socket: {
          name: 'tls',
          typed_config: {
            '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext',
            common_tls_context: { tls_certificate_sds_secret_configs: [{ name: secret, sds_config: ads }] },
          },
        },
        filters: [
          {
            name: 'http',
            typed_config: {
              '@type':
                'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
              stat_prefix: name,
              rds: { route_config_name: routes, config_source: ads },
            } satisfies JsonObject,
          },
        ],
      },
    ],
  })
}

const world = given(
  edsCluster('x'),
  resource('endpoint', 'x'),
  edsCluster('y'),
  resource('endpoint', 'y'),
  routeTo('to-x', 'x'),
  routeTo('to-y', 'y'),
  resource('secret', 'old'),
  resource('secret', 'new'),
  listener('l', 'to-x', 'old'),
)

const settled: readonly Step[] = [
  client({ type: 'cluster' }),
  ...accepted({ type: 'cluster', resources: ['x', 'y'] }),
  client(asks('endpoint', 'x', 'y')),
  ...accepted({ type: 'endpoint', resources: ['x', 'y'] }),
  client({ type: 'listener' }),
  ...accepted({ type: 'listener', resources: ['l'] }),
  client(asks('route', 'to-x')),
  ...accepted({ type: 'route', resources: ['to-x'] }),
  client(asks('secret', 'old')),
  ...accepted({ type: 'secret', resources: ['old'] }),
  server.silent(),
]

/** The listener moves, and nothing of the old remains in the configuration. */
const moves: readonly Step[] = [
  apply(
    listener('l', 'to-y', 'new'),
    removed('cluster', 'x'),
    removed('endpoint', 'x'),
    removed('route', 'to-x'),
    removed('secret', 'old'),
  ),
  ...accepted({ type: 'listener', resources: ['l'] }),
]

for (const protocol of protocols) {
  const setting = (drainTimeMs: number): Setting => ({ protocol, server: { drainTimeMs, allowPlaintextSecrets: true } })

  transcript(
    `rules 74 and 76: while the replaced listener drains, its secret, routes, cluster and endpoints are served (${protocol})`,
    setting(600_000),
    world,
    settled,
    moves,
    // Envoy subscribes to the old and the new, for the old version of the listener lives on.
    client(asks('secret', 'old', 'new')),
    accepted({ type: 'secret', resources: protocol === 'sotw' ? ['new'] : ['old', 'new'] }),
    client(asks('route', 'to-x', 'to-y')),
    accepted({ type: 'route', resources: protocol === 'sotw' ? ['to-y'] : ['to-x', 'to-y'] }),
    server.silent(),
  )

  transcript(
    `rules 74 and 76: when it has drained, all that goes, the assignment after its cluster (${protocol})`,
    setting(300),
    world,
    settled,
    moves,
    protocol === 'sotw'
      ? accepted({ type: 'cluster', resources: ['y'] })
      : [
          ...accepted({ type: 'secret', removed: ['old'] }),
          ...accepted({ type: 'route', removed: ['to-x'] }),
          ...accepted({ type: 'cluster', removed: ['x'] }),
          ...accepted({ type: 'endpoint', removed: ['x'] }),
        ],
    server.silent(),
  )
}
