import { expect } from 'vitest'
import type { Resource } from '../../src/resource/resource.ts'
import { createWorld, type UnitChange } from '../../src/snapshot/world.ts'
import { protocols } from '../support/conversation.ts'
import { resource } from '../support/resource.ts'
import { accepted, apply, client, given, type Step, server, step, transcript } from '../support/transcript.ts'

/** Two documents of two sources, as the pipeline hands them to the world and the world to the cache. */
function twoSources(): (title: string, documents: Readonly<Record<string, Resource>>, problems: string[]) => Step {
  const world = createWorld({ staticNames: {}, allowPartial: false })
  let isFirst = true
  return (title, documents, problems) =>
    step(title, ({ cache }) => {
      const changes = Object.entries(documents).map(([name, one]): UnitChange => {
        return {
          kind: 'valid',
          unit: { key: name, origin: { name }, selectors: [{}], resources: [{ ...one, origin: { name } }] },
        }
      })
      const { upserted, removed, withheld, problems: found } = world.apply(changes, { isFirst })
      isFirst = false
      expect(found.map(({ code, origin }) => `${code} in ${origin.name}`).sort()).toEqual(problems)
      cache.apply({ upserted, removed, withheld })
    })
}

for (const protocol of protocols) {
  const later = twoSources()
  transcript(
    `rule 35: a cluster that two sources define is an error before it is sent: the client keeps the first (${protocol})`,
    protocol,
    later('the first source', { 'a.yaml': resource('cluster', 'x', 1) }, []),
    client({ type: 'cluster' }),
    accepted({ type: 'cluster', resources: [resource('cluster', 'x', 1)] }),
    later('a second one has the name too', { 'b.yaml': resource('cluster', 'x', 2) }, [
      'duplicate in a.yaml',
      'duplicate in b.yaml',
    ]),
    server.silent(),
    later('the second has another name', { 'b.yaml': resource('cluster', 'y', 2) }, []),
    accepted({ type: 'cluster', resources: ['y'], orAlso: ['x'] }),
  )

  transcript(
    `rule 35: a name that is asked for twice in one request is answered once (${protocol})`,
    protocol,
    given(resource('endpoint', 'a')),
    client(
      protocol === 'sotw'
        ? { type: 'endpoint', names: ['a', 'a', 'a'] }
        : { type: 'endpoint', subscribe: ['a', 'a', 'a', 'x', 'x'] },
    ),
    accepted({ type: 'endpoint', resources: ['a'], ...(protocol === 'delta' && { removed: ['x'] }) }),
    server.silent(),
  )

  transcript(
    `rule 35: a name under a wildcard and by itself is answered once (${protocol})`,
    protocol,
    given(resource('cluster', 'a'), resource('cluster', 'b')),
    client(protocol === 'sotw' ? { type: 'cluster', names: ['*', 'a'] } : { type: 'cluster', subscribe: ['a', '*'] }),
    accepted({ type: 'cluster', resources: ['a', 'b'] }),
    apply(resource('cluster', 'a', 2)),
    accepted({ type: 'cluster', resources: ['a'], orAlso: protocol === 'sotw' ? ['b'] : [] }),
  )
}
