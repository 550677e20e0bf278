import { resource } from '../support/resource.ts'
import { accepted, ack, apply, client, given, removed, server, transcript } from '../support/transcript.ts'

for (const type of ['endpoint', 'cluster', 'route', 'scopedRoute'] as const) {
  transcript(
    `rule 51: a ${type} that is subscribed twice is delivered twice`,
    'delta',
    given(resource(type, 'a', 1)),
    client({ type, subscribe: ['a'] }),
    accepted({ type, resources: ['a'] }),
    client({ type, subscribe: ['a'] }),
    accepted({ type, resources: ['a'] }),
    server.silent(),
  )

  transcript(
    `rule 52: an unknown ${type} is answered as removed, and pushed when it is created`,
    'delta',
    given(),
    client({ type, subscribe: ['x'] }),
    accepted({ type, removed: ['x'] }),
    server.silent(),
    apply(resource(type, 'x', 1)),
    accepted({ type, resources: ['x'] }),
    apply(removed(type, 'x')),
    accepted({ type, removed: ['x'] }),
    server.silent(),
    apply(resource(type, 'x', 1)),
    accepted({ type, resources: ['x'] }),
    server.silent(),
  )
}

transcript(
  'rule 51: a name that is subscribed again with the ACK of its resource is delivered again',
  'delta',
  given(resource('endpoint', 'a')),
  client({ type: 'endpoint', subscribe: ['a'] }),
  server({ type: 'endpoint', resources: ['a'] }),
  client(ack({ subscribe: ['a'] })),
  accepted({ type: 'endpoint', resources: ['a'] }),
  server.silent(),
)

transcript(
  'rule 52: an unknown name that is subscribed again is answered again',
  'delta',
  given(),
  client({ type: 'endpoint', subscribe: ['x'] }),
  accepted({ type: 'endpoint', removed: ['x'] }),
  client({ type: 'endpoint', subscribe: ['x'] }),
  accepted({ type: 'endpoint', removed: ['x'] }),
  server.silent(),
)

transcript(
  'rule 54: an unsubscription of a name that was never asked for is ignored',
  'delta',
  given(resource('endpoint', 'a'), resource('endpoint', 'b')),
  client({ type: 'endpoint', subscribe: ['a'] }),
  accepted({ type: 'endpoint', resources: ['a'] }),
  client({ type: 'endpoint', unsubscribe: ['b', 'never-heard-of'] }),
  server.silent(),
  client({ type: 'endpoint', unsubscribe: ['*'] }),
  server.silent(),
  apply(resource('endpoint', 'a', 2)),
  accepted({ type: 'endpoint', resources: ['a'] }),
)

transcript(
  'rule 54: an unsubscription is answered by silence, and ends the pushes',
  'delta',
  given(resource('endpoint', 'a'), resource('endpoint', 'b')),
  client({ type: 'endpoint', subscribe: ['a', 'b'] }),
  server({ type: 'endpoint', resources: ['a', 'b'] }),
  client(ack({ unsubscribe: ['a'] })),
  server.silent(),
  apply(resource('endpoint', 'a', 2), resource('endpoint', 'b', 2)),
  accepted({ type: 'endpoint', resources: ['b'] }),
  client({ type: 'endpoint', unsubscribe: ['b'] }),
  server.silent(),
  apply(removed('endpoint', 'a'), removed('endpoint', 'b')),
  server.silent(),
)
