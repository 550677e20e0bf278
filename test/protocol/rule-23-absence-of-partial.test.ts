import { asks } from '../support/conversation.ts'
import { edsCluster, resource } from '../support/resource.ts'
import { accepted, apply, client, given, removed, server, transcript } from '../support/transcript.ts'

const empty = resource('endpoint', 'a')

for (const type of ['endpoint', 'route', 'secret'] as const) {
  transcript(
    `rule 23: a ${type} that is gone is not said to be gone: its user goes, or it stays`,
    'sotw',
    given(resource(type, 'a', 1), resource(type, 'b', 1)),
    client(asks(type, 'a', 'b')),
    accepted({ type, resources: ['a', 'b'] }),
    apply(removed(type, 'a')),
    server.silent(),
    apply(resource(type, 'b', 2)),
    accepted({ type, resources: ['b'] }),
  )
}

transcript(
  'rule 23: an assignment that goes while its cluster lives becomes an empty one',
  'sotw',
  given(edsCluster('a'), resource('endpoint', 'a', 1), edsCluster('b'), resource('endpoint', 'b', 1)),
  client(asks('endpoint', 'a', 'b')),
  accepted({ type: 'endpoint', resources: [resource('endpoint', 'a', 1), 'b'] }),
  apply(removed('endpoint', 'a')),
  accepted({ type: 'endpoint', resources: [empty] }),
  server.silent(),
)
