import { resource } from '../support/resource.ts'
import { accepted, ack, apply, client, given, server, transcript } from '../support/transcript.ts'

const type = 'cluster'
const world = given(resource(type, 'a'), resource(type, 'b'))

transcript(
  'rule 44: beside a wildcard, a name that is unsubscribed is answered with its resource, which stays',
  'delta',
  world,
  client({ type, subscribe: ['*', 'a'] }),
  accepted({ type, resources: ['a', 'b'] }),
  client({ type, unsubscribe: ['a'] }),
  accepted({ type, resources: ['a'] }),
  apply(resource(type, 'a', 2)),
  accepted({ type, resources: ['a'] }),
)

transcript(
  'rule 44: beside a wildcard, a name that is unsubscribed and that the wildcard lacks is answered as removed',
  'delta',
  world,
  client({ type, subscribe: ['*', 'x'] }),
  accepted({ type, resources: ['a', 'b'], removed: ['x'] }),
  client({ type, unsubscribe: ['x'] }),
  accepted({ type, removed: ['x'] }),
  server.silent(),
)

transcript(
  'rule 44: it holds of the wildcard that was never named',
  'delta',
  world,
  client({ type }),
  accepted({ type, resources: ['a', 'b'] }),
  client({ type, subscribe: ['a', 'x'] }),
  accepted({ type, resources: ['a'], removed: ['x'] }),
  client({ type, unsubscribe: ['a', 'x'] }),
  accepted({ type, resources: ['a'], removed: ['x'] }),
  server.silent(),
)

transcript(
  'rule 45: a name that was never asked for cannot be left out of a wildcard',
  'delta',
  world,
  client({ type }),
  accepted({ type, resources: ['a', 'b'] }),
  client({ type, unsubscribe: ['a', 'never-heard-of'] }),
  server.silent(),
  apply(resource(type, 'a', 2)),
  accepted({ type, resources: ['a'] }),
)

transcript(
  'rule 45: the same with an ACK',
  'delta',
  world,
  client({ type, subscribe: ['*'] }),
  server({ type, resources: ['a', 'b'] }),
  client(ack({ unsubscribe: ['b'] })),
  server.silent(),
  apply(resource(type, 'b', 2)),
  accepted({ type, resources: ['b'] }),
)
