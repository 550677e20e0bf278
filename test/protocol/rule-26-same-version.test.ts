import { resource } from '../support/resource.ts'
import { accepted, ack, client, given, server, transcript } from '../support/transcript.ts'

for (const type of ['cluster', 'listener'] as const) {
  transcript(
    `rule 26: a newly named ${type} is answered at an unchanged version, in full state`,
    'sotw',
    given(resource(type, 'a'), resource(type, 'b')),
    client({ type, names: ['a'] }),
    accepted({ type, resources: ['a'] }),
    client(ack({ names: ['a', 'b'] })),
    accepted({ type, resources: ['a', 'b'], version: 'same' }),
    server.silent(),
  )
}

for (const type of ['endpoint', 'route', 'secret', 'runtime', 'extension'] as const) {
  transcript(
    `rule 26: a newly named ${type} is answered at an unchanged version`,
    'sotw',
    given(resource(type, 'a', 1), resource(type, 'b', 1)),
    client({ type, names: ['a'] }),
    accepted({ type, resources: ['a'] }),
    client(ack({ names: ['a', 'b'] })),
    accepted({ type, resources: ['b'], version: 'same' }),
    server.silent(),
  )
}

transcript(
  'rule 26: a name newly given with the ACK itself is answered too',
  'sotw',
  given(resource('endpoint', 'a'), resource('endpoint', 'b')),
  client({ type: 'endpoint', names: ['a'] }),
  server({ type: 'endpoint', resources: ['a'] }),
  client(ack({ names: ['b', 'a'] })),
  accepted({ type: 'endpoint', resources: ['b'], version: 'same' }),
  server.silent(),
)

transcript(
  'rule 26: in delta a newly named resource is answered though nothing changed',
  'delta',
  given(resource('cluster', 'a'), resource('cluster', 'b')),
  client({ type: 'cluster', subscribe: ['a'] }),
  accepted({ type: 'cluster', resources: ['a'] }),
  client({ type: 'cluster', subscribe: ['b'] }),
  accepted({ type: 'cluster', resources: ['b'] }),
  server.silent(),
)
