import { resource } from '../support/resource.ts'
import { accepted, apply, client, given, type Step, server, transcript } from '../support/transcript.ts'

const type = 'cluster'
const world = given(resource(type, 'a'), resource(type, 'b'))

/** What comes of a change of both, and only that: so its subscription shows. */
const wants = (revision: number, ...names: readonly string[]): readonly Step[] => [
  server.silent(),
  apply(resource(type, 'a', revision), resource(type, 'b', revision)),
  ...(names.length > 0 ? accepted({ type, resources: names }) : []),
  server.silent(),
]

transcript(
  'rule 42: the example of the specification: nothing named is all, a is added to it, without * there is a, then nothing',
  'delta',
  world,
  client({ type }),
  accepted({ type, resources: ['a', 'b'] }),
  wants(2, 'a', 'b'),
  client({ type, subscribe: ['a'] }),
  accepted({ type, resources: ['a'] }),
  wants(3, 'a', 'b'),
  client({ type, unsubscribe: ['*'] }),
  wants(4, 'a'),
  client({ type, unsubscribe: ['a'] }),
  wants(5),
)

transcript(
  'rule 42: an explicit * is a wildcard, and its unsubscription leaves nothing',
  'delta',
  world,
  client({ type, subscribe: ['*'] }),
  accepted({ type, resources: ['a', 'b'] }),
  wants(2, 'a', 'b'),
  client({ type, unsubscribe: ['*'] }),
  wants(3),
)

transcript(
  'rule 42: * may come later, beside a name',
  'delta',
  world,
  client({ type, subscribe: ['a'] }),
  accepted({ type, resources: ['a'] }),
  wants(2, 'a'),
  client({ type, subscribe: ['*'] }),
  accepted({ type, resources: ['b'], orAlso: ['a'] }),
  wants(3, 'a', 'b'),
)

transcript(
  'rule 42: a name that is given first makes no wildcard of an empty request after it',
  'delta',
  world,
  client({ type, subscribe: ['a'] }),
  accepted({ type, resources: ['a'] }),
  client({ type }),
  wants(2, 'a'),
)

transcript(
  'rule 43: a first message that only unsubscribes is a wildcard still',
  'delta',
  world,
  client({ type, unsubscribe: ['x'] }),
  accepted({ type, resources: ['a', 'b'] }),
  wants(2, 'a', 'b'),
)

transcript(
  'rule 43: an unsubscription of something else does not end the wildcard that was never named',
  'delta',
  world,
  client({ type }),
  accepted({ type, resources: ['a', 'b'] }),
  client({ type, unsubscribe: ['x'] }),
  wants(2, 'a', 'b'),
  client({ type, unsubscribe: ['*'] }),
  wants(3),
)
