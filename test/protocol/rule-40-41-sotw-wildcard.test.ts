import { resource } from '../support/resource.ts'
import { accepted, ack, apply, client, given, type Step, server, transcript } from '../support/transcript.ts'

const world = given(resource('cluster', 'a'), resource('cluster', 'b'))

/** It is pushed changes of both. */
const wantsBoth = (revision: number): readonly Step[] => [
  server.silent(),
  apply(resource('cluster', 'b', revision)),
  ...accepted({ type: 'cluster', resources: ['a', resource('cluster', 'b', revision)] }),
  server.silent(),
]
const wantsOnlyA = (revision: number): readonly Step[] => [
  server.silent(),
  apply(resource('cluster', 'b', revision)),
  server.silent(),
  apply(resource('cluster', 'a', revision)),
  ...accepted({ type: 'cluster', resources: [resource('cluster', 'a', revision)] }),
  server.silent(),
]
const wantsNothing = (revision: number): readonly Step[] => [
  server.silent(),
  apply(resource('cluster', 'a', revision), resource('cluster', 'b', revision)),
  server.silent(),
]

transcript(
  'rules 40 and 41: the example of the specification: [] is all, [*, a] too, [a] is a, and [] is then nothing',
  'sotw',
  world,
  client({ type: 'cluster' }),
  accepted({ type: 'cluster', resources: ['a', 'b'] }),
  wantsBoth(2),
  client(ack({ names: ['*', 'a'] })),
  // a is newly named (rules 26, 37).
  accepted({ type: 'cluster', resources: ['a', 'b'], version: 'same' }),
  wantsBoth(3),
  client(ack({ names: ['a'] })),
  wantsOnlyA(4),
  client(ack({ names: [] })),
  wantsNothing(5),
)

transcript(
  'rule 40: an explicit * is a wildcard',
  'sotw',
  world,
  client({ type: 'cluster', names: ['*'] }),
  accepted({ type: 'cluster', resources: ['a', 'b'] }),
  wantsBoth(2),
)

transcript(
  'rule 40: an explicit * is a wildcard of assignments and routes too',
  'sotw',
  given(resource('endpoint', 'a'), resource('route', 'r')),
  client({ type: 'endpoint', names: ['*'] }),
  accepted({ type: 'endpoint', resources: ['a'] }),
  client({ type: 'route', names: ['*'] }),
  accepted({ type: 'route', resources: ['r'] }),
  apply(resource('endpoint', 'b')),
  accepted({ type: 'endpoint', resources: ['b'] }),
)

transcript(
  'rule 40: an empty list is no wildcard once the type has named something',
  'sotw',
  world,
  client({ type: 'cluster', names: ['a'] }),
  accepted({ type: 'cluster', resources: ['a'] }),
  client(ack({ names: [] })),
  wantsNothing(2),
)

transcript(
  'rule 40: an empty list after an explicit * is nothing',
  'sotw',
  world,
  client({ type: 'cluster', names: ['*'] }),
  accepted({ type: 'cluster', resources: ['a', 'b'] }),
  client(ack({ names: [] })),
  wantsNothing(2),
)

transcript(
  'rule 40: what one type named makes nothing of the empty list of another',
  'sotw',
  given(resource('cluster', 'a'), resource('listener', 'l')),
  client({ type: 'cluster', names: ['a'] }),
  accepted({ type: 'cluster', resources: ['a'] }),
  client({ type: 'listener' }),
  accepted({ type: 'listener', resources: ['l'] }),
)

transcript(
  'rule 40: on the next stream an empty list is a wildcard again',
  'sotw',
  world,
  client({ type: 'cluster', names: ['a'] }),
  accepted({ type: 'cluster', resources: ['a'] }),
  client.leaves(),
  client({ type: 'cluster' }),
  accepted({ type: 'cluster', resources: ['a', 'b'] }),
)

transcript(
  'rule 41: [*, a] → [a] drops the wildcard and keeps a, [] then drops a, and [a] has it again',
  'sotw',
  world,
  client({ type: 'cluster', names: ['*', 'a'] }),
  accepted({ type: 'cluster', resources: ['a', 'b'] }),
  wantsBoth(2),
  client(ack({ names: ['a'] })),
  wantsOnlyA(3),
  client(ack({ names: [] })),
  wantsNothing(4),
  client(ack({ names: ['a'] })),
  accepted({ type: 'cluster', resources: [resource('cluster', 'a', 4)] }),
)

transcript(
  'rule 41: [a] → [*, a] adds the wildcard and answers it',
  'sotw',
  world,
  client({ type: 'cluster', names: ['a'] }),
  accepted({ type: 'cluster', resources: ['a'] }),
  client(ack({ names: ['*', 'a'] })),
  accepted({ type: 'cluster', resources: ['a', 'b'] }),
  wantsBoth(2),
)
