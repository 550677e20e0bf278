import { expect } from 'vitest'
import { resource } from '../support/resource.ts'
import { accepted, ack, apply, client, given, server, step, transcript } from '../support/transcript.ts'

const count = 60_000
const pad = 'x'.repeat(80)
const names = Array.from({ length: count }, (_, index) => `${pad}-${index}`)
const current = resource('endpoint', `${pad}-0`)

transcript(
  'rule 18: a delta request that lists 60,000 names with their versions is taken',
  'delta',
  given(current, resource('endpoint', `${pad}-1`, 2), resource('cluster', 'a')),
  client({
    type: 'endpoint',
    subscribe: names.slice(0, 2),
    initialVersions: Object.fromEntries(names.map((name, index) => [name, index === 0 ? current.version : 'old'])),
  }),
  accepted({ type: 'endpoint', resources: [`${pad}-1`] }),
  server.silent(),
)

transcript(
  'rule 18: a delta wildcard is told of all of 60,000 names that are gone',
  'delta',
  given(resource('cluster', 'a')),
  client({ type: 'cluster', initialVersions: Object.fromEntries(names.map((name) => [name, 'old'])) }),
  step('the answer, in as many parts as it takes', async (world) => {
    const side = world.client('client')
    const gone = new Set<string>()
    const brought: string[] = []
    while (gone.size < count || brought.length === 0) {
      const { removed, resources } = await side.take()
      expect(removed.reduce((sum, name) => sum + name.length, 0)).toBeLessThan(4 * 1024 * 1024)
      for (const name of removed) gone.add(name)
      brought.push(...resources.map(({ name }) => name))
      side.say(ack())
    }
    expect(brought).toEqual(['a'])
  }),
  server.silent(),
)

transcript(
  'rule 18: a SotW request of 60,000 names is taken',
  'sotw',
  given(current),
  client({ type: 'endpoint', names }),
  accepted({ type: 'endpoint', resources: [current] }),
  apply(resource('endpoint', `${pad}-59999`)),
  accepted({ type: 'endpoint', resources: [`${pad}-59999`] }),
)
