import { expect } from 'vitest'
import type { Resource } from '../../src/resource/resource.ts'
import { resource } from '../support/resource.ts'
import { accepted, apply, client, given, server, transcript } from '../support/transcript.ts'
import type { WireResponse } from '../support/wire-client.ts'

const type = 'virtualHost'

/** A virtual host as the pipeline makes it: its domains are its aliases. */
function host(name: string, domain: string, revision: number): Resource {
  const fields = { domains: [domain], virtual_clusters: [{ name: `${revision}` }] }
  return resource(type, name, fields, { aliases: [`r/${domain}`] })
}

const hasAlias =
  (alias: string) =>
  ({ resources }: WireResponse): void => {
    for (const one of resources) expect([one.name, ...one.aliases]).toContain(alias)
  }

transcript(
  'rule 50: a virtual host asked for by a host has the asked string among its aliases',
  'delta',
  given(host('r/shop', 'shop.example', 1)),
  client({ type }),
  accepted({ type }),
  client({ type, subscribe: ['r/shop.example'] }),
  accepted({ type, resources: ['r/shop'], where: hasAlias('r/shop.example') }),
  server.silent(),
  apply(host('r/shop', 'shop.example', 2)),
  accepted({ type, resources: ['r/shop'], where: hasAlias('r/shop.example') }),
)

transcript(
  'rule 50: a host that falls under a wildcard domain has the asked string among the aliases too',
  'delta',
  given(host('r/all', '*.shop.example', 1)),
  client({ type, subscribe: ['r/www.shop.example'] }),
  accepted({ type, resources: ['r/all'], where: hasAlias('r/www.shop.example') }),
)

transcript(
  'rule 50: an unknown host is answered with its name as alias and no body, and pushed when it appears',
  'delta',
  given(host('r/shop', 'shop.example', 1)),
  client({ type, subscribe: ['r/nobody.example'] }),
  accepted({ type, resources: [{ name: 'r/nobody.example', body: false }], where: hasAlias('r/nobody.example') }),
  server.silent(),
  apply(host('r/nobody', 'nobody.example', 1)),
  accepted({ type, resources: ['r/nobody'], where: hasAlias('r/nobody.example') }),
)

transcript(
  'rule 50: a known and an unknown host are answered together',
  'delta',
  given(host('r/shop', 'shop.example', 1)),
  client({ type, subscribe: ['r/shop.example', 'r/nobody.example'] }),
  accepted({
    type,
    resources: ['r/shop', { name: 'r/nobody.example', body: false }],
    where: ({ resources }) => {
      for (const { name, aliases } of resources) {
        expect(aliases).toContain(name === 'r/shop' ? 'r/shop.example' : name)
      }
    },
  }),
  server.silent(),
)

transcript(
  'rule 50: a virtual host asked for by its own name needs no alias',
  'delta',
  given(resource(type, 'r/shop', 1)),
  client({ type, subscribe: ['r/shop'] }),
  accepted({ type, resources: [resource(type, 'r/shop', 1)] }),
)
