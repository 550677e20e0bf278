import { verdicts } from '../support/conversation.ts'
import { resource } from '../support/resource.ts'
import { accepted, ack, apply, client, given, server, transcript } from '../support/transcript.ts'

const world = given(resource('endpoint', 'a'), resource('endpoint', 'x'))

transcript(
  'rule 10: a stale nonce does not hold up a subscription',
  'delta',
  world,
  client({ type: 'endpoint', subscribe: ['a'] }),
  accepted({ type: 'endpoint', resources: ['a'] }),
  apply(resource('endpoint', 'a', 2)),
  server({ type: 'endpoint', resources: ['a'] }),
  client((memory) => ({ type: 'endpoint', nonce: memory.all()[0]?.nonce ?? '', subscribe: ['x'] })),
  server({ type: 'endpoint', resources: ['x'], orAlso: ['a'] }),
  verdicts('ack endpoint'),
  client(ack()),
  server.silent(),
)

transcript(
  'rule 10: a nonce that nobody sent does not hold up a subscription',
  'delta',
  world,
  client({ type: 'endpoint', subscribe: ['a'] }),
  accepted({ type: 'endpoint', resources: ['a'] }),
  client({ type: 'endpoint', nonce: 'nobody sent this', subscribe: ['x'] }),
  accepted({ type: 'endpoint', resources: ['x'] }),
)

transcript(
  'rule 10: a stale nonce does not hold up an unsubscription',
  'delta',
  world,
  client({ type: 'endpoint', subscribe: ['a', 'x'] }),
  accepted({ type: 'endpoint', resources: ['a', 'x'] }),
  apply(resource('endpoint', 'x', 2)),
  accepted({ type: 'endpoint', resources: ['x'] }),
  client((memory) => ({ type: 'endpoint', nonce: memory.all()[0]?.nonce ?? '', unsubscribe: ['x'] })),
  server.silent(),
  apply(resource('endpoint', 'x', 3)),
  server.silent(),
)
