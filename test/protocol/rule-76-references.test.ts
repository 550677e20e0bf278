import type { JsonObject } from '@bufbuild/protobuf'
import type { Resource } from '../../src/resource/resource.ts'
import { asks, protocols } from '../support/conversation.ts'
import { resource } from '../support/resource.ts'
import { accepted, ack, apply, client, given, removed, server, transcript } from '../support/transcript.ts'

const extension = 'type.googleapis.com/envoy.extensions'
const inAuth = { envoy_grpc: { cluster_name: 'm' } }

function route(action: JsonObject): Resource {
  return resource('route', 'user', {
    virtual_hosts: [{ name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, route: action }] }],
  })
}

/** A listener with one network filter. */
function listener(type: string, fields: JsonObject): Resource {
  const typed_config = { '@type': `${extension}.filters.network.${type}`, stat_prefix: 's', ...fields }
  return resource('listener', 'user', { filter_chains: [{ filters: [{ name: 'filter', typed_config }] }] })
}

const manager = 'http_connection_manager.v3.HttpConnectionManager'
const filter = (type: string, fields: JsonObject): JsonObject => ({
  http_filters: [{ name: 'filter', typed_config: { '@type': `${extension}.filters.http.${type}`, ...fields } }],
})

/** What alone names the cluster `m`. */
const users: Readonly<Record<string, Resource>> = {
  'a route': route({ cluster: 'm' }),
  'a request mirror policy': route({ cluster: 'x', request_mirror_policies: [{ cluster: 'm' }] }),
  'a weighted cluster': route({
    weighted_clusters: {
      clusters: [
        { name: 'x', weight: 99 },
        { name: 'm', weight: 1 },
      ],
    },
  }),
  'a TCP proxy': listener('tcp_proxy.v3.TcpProxy', { cluster: 'm' }),
  'an external authorization': listener(manager, filter('ext_authz.v3.ExtAuthz', { grpc_service: inAuth })),
  'a rate limit service': listener(
    manager,
    filter('ratelimit.v3.RateLimit', {
      domain: 'd',
      rate_limit_service: { grpc_service: inAuth, transport_api_version: 'V3' },
    }),
  ),
  'an access log': listener(manager, {
    access_log: [
      {
        name: 'log',
        typed_config: {
          '@type': `${extension}.access_loggers.grpc.v3.HttpGrpcAccessLogConfig`,
          common_config: { log_name: 'log', grpc_service: inAuth },
        },
      },
    ],
  }),
}

for (const protocol of protocols) {
  for (const [what, user] of Object.entries(users)) {
    const type = user.typeUrl.endsWith('Listener') ? 'listener' : 'route'
    const after = resource(type, 'user', 2)
    transcript(
      `rule 76: a cluster that only ${what} names goes when its user has accepted to do without (${protocol})`,
      // That the old version of a listener drains meanwhile is a story of its own: rule 74.
      { protocol, server: { drainTimeMs: 0 } },
      given(resource('cluster', 'x'), resource('cluster', 'm'), user),
      client({ type: 'cluster' }),
      accepted({ type: 'cluster', resources: ['x', 'm'] }),
      client(asks(type, 'user')),
      accepted({ type, resources: ['user'] }),
      server.silent(),
      apply(after, removed('cluster', 'm')),
      server({ type, resources: [after] }),
      server.silent(),
      client(ack({ type })),
      accepted(protocol === 'sotw' ? { type: 'cluster', resources: ['x'] } : { type: 'cluster', removed: ['m'] }),
      server.silent(),
    )
  }
}
