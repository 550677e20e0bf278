import { expect, test } from 'vitest'
import { resource } from '../support/resource.ts'
import {
  accepted,
  ack,
  apply,
  client,
  given,
  playTranscript,
  removed,
  server,
  step,
  transcript,
} from '../support/transcript.ts'

const type = 'endpoint'
const three = given(resource(type, 'a'), resource(type, 'b'), resource(type, 'c'))

transcript(
  'rule 55: of initial versions the same is silence, the older is sent, the gone is removed',
  'delta',
  three,
  client({ type, subscribe: ['a', 'b', 'c'] }),
  accepted({ type, resources: ['a', 'b', 'c'] }),
  client.resets(),
  apply(resource(type, 'b', 2), removed(type, 'c')),
  client((memory) => ({ type, subscribe: ['a', 'b', 'c'], initialVersions: memory.versions(type) })),
  accepted({ type, resources: [resource(type, 'b', 2)], removed: ['c'] }),
  server.silent(),
  apply(resource(type, 'a', 2)),
  accepted({ type, resources: ['a'] }),
)

transcript(
  'rule 55: a client that has all of what it names is answered by silence',
  'delta',
  three,
  client({ type, subscribe: ['a', 'b'] }),
  accepted({ type, resources: ['a', 'b'] }),
  client.resets(),
  client((memory) => ({ type, subscribe: ['a', 'b'], initialVersions: memory.versions(type) })),
  client({ type, subscribe: ['c'] }),
  accepted({ type, resources: ['c'] }),
  server.silent(),
)

transcript(
  'rule 55: a name without an initial version is sent beside those that have one',
  'delta',
  three,
  client({ type, subscribe: ['a'] }),
  accepted({ type, resources: ['a'] }),
  client.resets(),
  client((memory) => ({ type, subscribe: ['a', 'b', 'x'], initialVersions: memory.versions(type) })),
  accepted({ type, resources: ['b'], removed: ['x'] }),
)

transcript(
  'rule 55: initial versions count in the first message of a type only',
  'delta',
  three,
  client({ type, subscribe: ['a'] }),
  accepted({ type, resources: ['a'] }),
  client((memory) => ({ type, subscribe: ['b'], initialVersions: { b: memory.versions(type)['a'] ?? '', c: 'old' } })),
  accepted({ type, resources: ['b'] }),
  server.silent(),
)

test('rule 55: the versions of one server hold on another, and after a restart', async () => {
  let versions: Readonly<Record<string, string>> = {}
  const both = [resource('cluster', 'a', 1), resource('cluster', 'b', 1)]
  await playTranscript(
    'delta',
    given(...both),
    client({ type: 'cluster' }),
    accepted({ type: 'cluster', resources: ['a', 'b'] }),
    step('its versions are kept', (world) => {
      versions = world.client('client').versions('cluster')
    }),
  )
  expect(Object.keys(versions).sort()).toEqual(['a', 'b'])
  await playTranscript(
    'delta',
    given(resource('secret', 's', 1), ...both.reverse()),
    client(() => ({ type: 'cluster', initialVersions: versions })),
    accepted({ type: 'cluster' }),
    apply(resource('cluster', 'a', 2)),
    accepted({ type: 'cluster', resources: ['a'] }),
  )
})

transcript(
  'rule 56: a wildcard is told what went while it was away',
  'delta',
  given(resource('cluster', 'a'), resource('cluster', 'b')),
  client({ type: 'cluster' }),
  accepted({ type: 'cluster', resources: ['a', 'b'] }),
  client.resets(),
  apply(removed('cluster', 'b')),
  client((memory) => ({ type: 'cluster', initialVersions: memory.versions('cluster') })),
  accepted({ type: 'cluster', removed: ['b'] }),
  server.silent(),
)

transcript(
  'rule 56: names in the initial versions that are no longer subscribed are not sent, then or later',
  'delta',
  three,
  client({ type, subscribe: ['a'], initialVersions: { a: 'old', b: 'old' } }),
  accepted({ type, resources: ['a'] }),
  apply(resource(type, 'b', 2)),
  server.silent(),
)

transcript(
  'rule 57: a client that comes back without initial versions gets everything, and no error',
  'delta',
  given(resource('cluster', 'a'), resource(type, 'a'), resource(type, 'b')),
  client({ type: 'cluster' }),
  accepted({ type: 'cluster', resources: ['a'] }),
  client({ type, subscribe: ['a', 'b'] }),
  accepted({ type, resources: ['a', 'b'] }),
  client.resets(),
  client({ type: 'cluster' }),
  server({ type: 'cluster', resources: ['a'] }),
  client(ack()),
  client({ type, subscribe: ['a', 'b'] }),
  accepted({ type, resources: ['a', 'b'] }),
  server.silent(),
)
