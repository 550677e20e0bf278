import { verdicts } from '../support/conversation.ts'
import { resource } from '../support/resource.ts'
import { accepted, ack, apply, client, given, nack, server, transcript } from '../support/transcript.ts'

const type = 'endpoint'
const world = given(resource(type, 'a'), resource(type, 'b'), resource(type, 'x'))

transcript(
  'rule 62: a request without a nonce is no ACK: the response before it stays pending',
  'delta',
  world,
  client({ type, subscribe: ['a'] }),
  server({ type, resources: ['a'] }),
  client({ type, subscribe: ['b'] }),
  server({ type, resources: ['b'], orAlso: ['a'] }),
  client({ type, unsubscribe: ['b'] }),
  server.silent(),
  verdicts(),
  client((memory) => ({ type, nonce: memory.all()[0]?.nonce ?? '' })),
  server.silent(),
  verdicts('ack endpoint'),
  client(ack()),
  server.silent(),
  verdicts('ack endpoint', 'ack endpoint'),
)

transcript(
  'rule 62: a push waits for the ACK of the last one, and a request without a nonce does not end the wait',
  { protocol: 'delta', server: { ackWaitMs: { cluster: 600_000, other: 600_000 } } },
  world,
  client({ type, subscribe: ['a'] }),
  server({ type, resources: ['a'] }),
  apply(resource(type, 'a', 2)),
  client({ type, unsubscribe: ['never-heard-of'] }),
  server.silent(),
  client(ack()),
  accepted({ type, resources: [resource(type, 'a', 2)] }),
)

transcript(
  'rule 63: a rejection that subscribes is answered',
  'delta',
  world,
  client({ type, subscribe: ['a'] }),
  server({ type, resources: ['a'] }),
  client(nack('a is bad', { subscribe: ['x'] })),
  accepted({ type, resources: ['x'] }),
  server.silent(),
  verdicts('nack endpoint', 'ack endpoint'),
)

transcript(
  'rule 63: a rejection that unsubscribes is heard',
  'delta',
  world,
  client({ type, subscribe: ['a', 'b'] }),
  server({ type, resources: ['a', 'b'] }),
  client(nack('a is bad', { unsubscribe: ['a'] })),
  server.silent(),
  verdicts('nack endpoint'),
  apply(resource(type, 'a', 2), resource(type, 'b', 2)),
  accepted({ type, resources: ['b'] }),
)

transcript(
  'rule 63: one request can accept, subscribe and unsubscribe',
  'delta',
  world,
  client({ type, subscribe: ['a', 'b'] }),
  server({ type, resources: ['a', 'b'] }),
  client(ack({ subscribe: ['x'], unsubscribe: ['b'] })),
  accepted({ type, resources: ['x'] }),
  server.silent(),
  verdicts('ack endpoint', 'ack endpoint'),
  apply(resource(type, 'a', 2), resource(type, 'b', 2), resource(type, 'x', 2)),
  accepted({ type, resources: ['a', 'x'] }),
)

transcript(
  'rule 64: a name that one message subscribes and unsubscribes ends unsubscribed',
  'delta',
  world,
  client({ type, subscribe: ['b'] }),
  accepted({ type, resources: ['b'] }),
  client({ type, subscribe: ['a'], unsubscribe: ['a'] }),
  server.silent(),
  apply(resource(type, 'a', 2)),
  server.silent(),
)

transcript(
  'rule 64: so does one that was subscribed before',
  'delta',
  world,
  client({ type, subscribe: ['a', 'b'] }),
  accepted({ type, resources: ['a', 'b'] }),
  client({ type, subscribe: ['a'], unsubscribe: ['a'] }),
  server.silent(),
  apply(resource(type, 'a', 2)),
  server.silent(),
)

transcript(
  'rule 64: and one of the first message, which is no wildcard for it',
  'delta',
  world,
  client({ type, subscribe: ['a', 'b'], unsubscribe: ['a'] }),
  accepted({ type, resources: ['b'] }),
  server.silent(),
  apply(resource(type, 'a', 2)),
  server.silent(),
)
