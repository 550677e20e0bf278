import type { JsonObject } from '@bufbuild/protobuf'
import { asks } from '../support/conversation.ts'
import { edsCluster, resource } from '../support/resource.ts'
import { accepted, ack, apply, client, given, server, transcript } from '../support/transcript.ts'

const world = given(edsCluster('a'), edsCluster('b'), resource('endpoint', 'a', 1), resource('endpoint', 'b', 1))
const both = ['a', 'b']

transcript(
  'rule 58: after a reconnect, assignments that the client has come again when their cluster was sent',
  'delta',
  world,
  client({ type: 'cluster' }),
  accepted({ type: 'cluster', resources: both }),
  client({ type: 'endpoint', subscribe: both }),
  accepted({ type: 'endpoint', resources: both }),
  client.resets(),
  apply(edsCluster('a', 2)),
  client((memory) => ({ type: 'cluster', initialVersions: memory.versions('cluster') })),
  accepted({ type: 'cluster', resources: [edsCluster('a', 2)] }),
  client((memory) => ({ type: 'endpoint', subscribe: both, initialVersions: memory.versions('endpoint') })),
  accepted({ type: 'endpoint', resources: ['a'] }),
  server.silent(),
)

transcript(
  'rule 58: the same when the assignments are asked for before the clusters',
  'delta',
  world,
  client({ type: 'cluster' }),
  accepted({ type: 'cluster', resources: both }),
  client({ type: 'endpoint', subscribe: both }),
  accepted({ type: 'endpoint', resources: both }),
  client.resets(),
  apply(edsCluster('a', 2)),
  client((memory) => ({ type: 'endpoint', subscribe: both, initialVersions: memory.versions('endpoint') })),
  client((memory) => ({ type: 'cluster', initialVersions: memory.versions('cluster') })),
  accepted({ type: 'cluster', resources: ['a'] }),
  accepted({ type: 'endpoint', resources: ['a'] }),
  server.silent(),
)

transcript(
  'rule 58: when no cluster was sent no assignment is',
  'delta',
  world,
  client({ type: 'cluster' }),
  accepted({ type: 'cluster', resources: both }),
  client({ type: 'endpoint', subscribe: both }),
  accepted({ type: 'endpoint', resources: both }),
  client.resets(),
  client((memory) => ({ type: 'cluster', initialVersions: memory.versions('cluster') })),
  accepted({ type: 'cluster' }),
  client((memory) => ({ type: 'endpoint', subscribe: both, initialVersions: memory.versions('endpoint') })),
  server.silent(),
)

function tlsCluster(revision: number): ReturnType<typeof resource> {
  const source: JsonObject = { ads: {}, resource_api_version: 'V3' }
  return resource('cluster', 'a', {
    connect_timeout: `${revision}s`,
    transport_socket: {
      name: 'tls',
      typed_config: {
        '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext',
        common_tls_context: { tls_certificate_sds_secret_configs: [{ name: 's', sds_config: source }] },
      },
    },
  })
}

transcript(
  'rule 58: secrets too come again when their cluster was sent',
  'delta',
  given(tlsCluster(1), resource('secret', 's', 1), resource('secret', 'other', 1)),
  client({ type: 'cluster' }),
  accepted({ type: 'cluster', resources: ['a'] }),
  client({ type: 'secret', subscribe: ['s', 'other'] }),
  accepted({ type: 'secret', resources: ['s', 'other'] }),
  client.resets(),
  apply(tlsCluster(2)),
  client((memory) => ({ type: 'cluster', initialVersions: memory.versions('cluster') })),
  accepted({ type: 'cluster', resources: ['a'] }),
  client((memory) => ({ type: 'secret', subscribe: ['s', 'other'], initialVersions: memory.versions('secret') })),
  accepted({ type: 'secret', resources: ['s'] }),
  server.silent(),
)

transcript(
  'rule 72: a changed cluster is followed by its assignment, unasked, and by no other',
  'delta',
  world,
  client({ type: 'cluster' }),
  accepted({ type: 'cluster', resources: both }),
  client({ type: 'endpoint', subscribe: both }),
  accepted({ type: 'endpoint', resources: both }),
  apply(edsCluster('a', 2)),
  server({ type: 'cluster', resources: ['a'] }),
  // Envoy withholds the ACK of the cluster until this is there (rule 71).
  server({ type: 'endpoint', resources: [resource('endpoint', 'a', 1)] }),
  client(ack({ type: 'endpoint' })),
  client(ack({ type: 'cluster' })),
  server.silent(),
)

transcript(
  'rule 72: in SotW, Envoy repeats the request of the assignments and is answered, though they are unchanged',
  'sotw',
  world,
  client({ type: 'cluster' }),
  accepted({ type: 'cluster', resources: both }),
  client(asks('endpoint', 'a', 'b')),
  accepted({ type: 'endpoint', resources: both }),
  server.silent(),
  apply(edsCluster('a', 2)),
  server({ type: 'cluster', resources: both }),
  client(ack({ type: 'endpoint', names: ['b', 'a'] })),
  server({ type: 'endpoint', resources: ['a'], orAlso: ['b'], version: 'same' }),
)
