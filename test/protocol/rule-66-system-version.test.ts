import { expect } from 'vitest'
import { resource } from '../support/resource.ts'
import { accepted, apply, client, given, server, transcript } from '../support/transcript.ts'

const type = 'endpoint'

transcript(
  'rule 66: what is sent follows from the versions of resources: a system version that changes sends nothing by itself',
  'delta',
  given(resource(type, 'a'), resource(type, 'b')),
  client({ type, subscribe: ['a'] }),
  accepted({ type, resources: ['a'] }),
  // Another member makes it another set of assignments.
  apply(resource(type, 'b', 2), resource(type, 'c')),
  server.silent(),
  client.resets(),
  client((memory) => ({ type, subscribe: ['a', 'c'], initialVersions: memory.versions(type) })),
  accepted({
    type,
    resources: ['c'],
    where: (response, memory) => expect(response.version).not.toBe(memory.all()[0]?.version),
  }),
)

transcript(
  'rule 66: the system version in the place of a resource version is an older version, no more',
  'delta',
  given(resource(type, 'a')),
  client({ type, subscribe: ['a'] }),
  accepted({ type, resources: ['a'] }),
  client.resets(),
  client((memory) => ({ type, subscribe: ['a'], initialVersions: { a: memory.last().version } })),
  accepted({ type, resources: ['a'] }),
)
