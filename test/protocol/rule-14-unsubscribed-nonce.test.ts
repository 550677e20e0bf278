import { verdicts } from '../support/conversation.ts'
import { resource } from '../support/resource.ts'
import { accepted, ack, apply, client, given, server, transcript } from '../support/transcript.ts'

for (const type of ['cluster', 'listener', 'endpoint', 'route'] as const) {
  transcript(
    `rules 14 and 27: ${type} [a] → [] → [a] with the last nonce brings a again at the same version`,
    'sotw',
    given(resource(type, 'a')),
    client({ type, names: ['a'] }),
    accepted({ type, resources: ['a'] }),
    client(ack({ names: [] })),
    server.silent(),
    client(ack({ names: ['a'] })),
    accepted({ type, resources: ['a'], version: 'same' }),
    server.silent(),
    verdicts(`ack ${type}`, `ack ${type}`),
  )
}

transcript(
  'rule 14: what changed while nothing was asked for comes with the re-subscription',
  'sotw',
  given(resource('endpoint', 'a')),
  client({ type: 'endpoint', names: ['a'] }),
  accepted({ type: 'endpoint', resources: ['a'] }),
  client(ack({ names: [] })),
  server.silent(),
  apply(resource('endpoint', 'a', 2)),
  server.silent(),
  client(ack({ names: ['a'] })),
  accepted({ type: 'endpoint', resources: [resource('endpoint', 'a', 2)] }),
)
