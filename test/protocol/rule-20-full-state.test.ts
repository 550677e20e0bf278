import { expect } from 'vitest'
import { resource } from '../support/resource.ts'
import { accepted, apply, client, given, server, transcript } from '../support/transcript.ts'

for (const type of ['cluster', 'listener', 'scopedRoute'] as const) {
  const hundred = Array.from({ length: 100 }, (_, index) => resource(type, `${type}-${index}`))
  const changed = resource(type, `${type}-7`, 2)
  const after = hundred.map((one) => (one.name === changed.name ? changed : one))

  transcript(
    `rule 20: one ${type} of a hundred changes and all hundred are said`,
    'sotw',
    given(...hundred),
    client({ type }),
    accepted({ type, resources: hundred }),
    apply(changed),
    accepted({ type, resources: after, version: 'new' }),
  )

  transcript(
    `rule 20: full state is that of the subscription: of ${type}s asked for by name, those`,
    'sotw',
    given(...hundred),
    client({ type, names: [`${type}-7`, `${type}-8`] }),
    accepted({ type, resources: [`${type}-7`, `${type}-8`] }),
    apply(changed),
    accepted({ type, resources: [changed, `${type}-8`], version: 'new' }),
    apply(resource(type, `${type}-9`, 2)),
    server.silent(),
  )

  transcript(
    `rule 20: in delta only the ${type} that changed is said`,
    'delta',
    given(...hundred),
    client({ type }),
    accepted({ type, resources: hundred }),
    apply(changed),
    accepted({ type, resources: [changed], where: ({ removed }) => expect(removed).toEqual([]) }),
  )
}
