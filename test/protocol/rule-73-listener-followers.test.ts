import { asks, protocols } from '../support/conversation.ts'
import { resource } from '../support/resource.ts'
import { accepted, ack, apply, client, given, server, transcript } from '../support/transcript.ts'

/** Envoy asks for its certificate from a source that is written in other bytes at each revision. */
function listener(revision: number): ReturnType<typeof resource> {
  const sds_config = { ads: {}, resource_api_version: 'V3', initial_fetch_timeout: `${revision}s` }
  return resource('listener', 'l', {
    filter_chains: [
      {
        transport_socket: {
          name: 'tls',
          typed_config: {
            '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext',
            common_tls_context: { tls_certificate_sds_secret_configs: [{ name: 's', sds_config }] },
          },
        },
      },
    ],
  })
}

const world = given(listener(1), resource('listener', 'other'), resource('secret', 's'), resource('secret', 'u'))

for (const protocol of protocols) {
  transcript(
    `rule 73: a changed listener is followed by its secrets in delta, for Envoy does not ask again as in SotW (${protocol})`,
    { protocol, server: { allowPlaintextSecrets: true } },
    world,
    client({ type: 'listener' }),
    accepted({ type: 'listener', resources: ['l', 'other'] }),
    client(asks('secret', 's', 'u')),
    accepted({ type: 'secret', resources: ['s', 'u'] }),
    server.silent(),
    apply(listener(2)),
    accepted({ type: 'listener', resources: ['l'], orAlso: protocol === 'sotw' ? ['other'] : [] }),
    protocol === 'sotw' ? client(ack({ type: 'secret', names: ['s', 'u'] })) : [],
    accepted({ type: 'secret', resources: protocol === 'sotw' ? ['s', 'u'] : ['s'], version: 'same' }),
    server.silent(),
    apply(resource('listener', 'other', 2)),
    accepted({ type: 'listener', resources: ['other'], orAlso: protocol === 'sotw' ? ['l'] : [] }),
    server.silent(),
  )
}
