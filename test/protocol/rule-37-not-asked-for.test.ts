import { verdicts } from '../support/conversation.ts'
import { resource } from '../support/resource.ts'
import { accepted, ack, apply, client, given, server, transcript } from '../support/transcript.ts'

const changed = resource('endpoint', 'a', 2)

transcript(
  'rule 37: a resource that came when it was no longer asked for is sent again when it is',
  'sotw',
  given(resource('endpoint', 'a'), resource('endpoint', 'b')),
  client({ type: 'endpoint', names: ['a', 'b'] }),
  accepted({ type: 'endpoint', resources: ['a', 'b'] }),
  apply(changed),
  server({ type: 'endpoint', resources: [changed] }),
  // The client had left a out before this came: it ignores it, and accepts the response.
  client((memory) => ({
    type: 'endpoint',
    names: ['b'],
    version: memory.all()[0]?.version ?? '',
    nonce: memory.all()[0]?.nonce ?? '',
  })),
  client(ack({ names: ['b'] })),
  server.silent(),
  verdicts('ack endpoint', 'ack endpoint'),
  client(ack({ names: ['a', 'b'] })),
  accepted({ type: 'endpoint', resources: [changed], version: 'same' }),
  server.silent(),
)

transcript(
  'rule 37: in delta too, what came after its unsubscription is sent again when it is asked for',
  'delta',
  given(resource('endpoint', 'a'), resource('endpoint', 'b')),
  client({ type: 'endpoint', subscribe: ['a', 'b'] }),
  accepted({ type: 'endpoint', resources: ['a', 'b'] }),
  apply(changed),
  server({ type: 'endpoint', resources: [changed] }),
  client({ type: 'endpoint', unsubscribe: ['a'] }),
  client(ack()),
  server.silent(),
  client({ type: 'endpoint', subscribe: ['a'] }),
  accepted({ type: 'endpoint', resources: [changed] }),
  server.silent(),
)

transcript(
  'rule 37: what came by a wildcard is sent again when it is asked for by name',
  'delta',
  given(resource('cluster', 'a'), resource('cluster', 'b')),
  client({ type: 'cluster' }),
  accepted({ type: 'cluster', resources: ['a', 'b'] }),
  client({ type: 'cluster', subscribe: ['a'] }),
  accepted({ type: 'cluster', resources: ['a'] }),
  server.silent(),
)
