import { resource } from '../support/resource.ts'
import { accepted, ack, client, given, server, transcript } from '../support/transcript.ts'

for (const type of ['cluster', 'listener', 'endpoint', 'route'] as const) {
  const isFull = type === 'cluster' || type === 'listener'
  transcript(
    `rule 27: a ${type} that was left out and is named again is sent again at the same version`,
    'sotw',
    given(resource(type, 'a'), resource(type, 'b')),
    client({ type, names: ['a', 'b'] }),
    accepted({ type, resources: ['a', 'b'] }),
    client(ack({ names: ['b'] })),
    server.silent(),
    client(ack({ names: ['a', 'b'] })),
    accepted({ type, resources: isFull ? ['a', 'b'] : ['a'], version: 'same' }),
    server.silent(),
  )

  transcript(
    `rule 27: a ${type} that was unsubscribed and is subscribed again is sent again`,
    'delta',
    given(resource(type, 'a')),
    client({ type, subscribe: ['a'] }),
    accepted({ type, resources: ['a'] }),
    client({ type, unsubscribe: ['a'] }),
    server.silent(),
    client({ type, subscribe: ['a'] }),
    accepted({ type, resources: ['a'] }),
    server.silent(),
  )
}
