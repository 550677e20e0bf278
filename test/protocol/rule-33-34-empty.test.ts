import { expect } from 'vitest'
import { resource } from '../support/resource.ts'
import { accepted, apply, client, forNodes, given, removed, server, transcript } from '../support/transcript.ts'
import type { WireResponse } from '../support/wire-client.ts'

const hasVersion = ({ version }: WireResponse): void => expect(version).not.toBe('')

for (const type of ['cluster', 'listener'] as const) {
  for (const version of [undefined, ''] as const) {
    transcript(
      `rule 33: no ${type} at all has a version, and is answered to version ${version === undefined ? 'unset' : "''"}`,
      'sotw',
      given(),
      client({ type, ...(version !== undefined && { version }) }),
      accepted({ type, where: hasVersion }),
      server.silent(),
      apply(resource(type, 'a')),
      accepted({ type, resources: ['a'], version: 'new' }),
      apply(removed(type, 'a')),
      accepted({ type, version: 'new', where: hasVersion }),
    )
  }

  transcript(
    `rule 33: with sotwResume too, an empty version is not the version of no ${type}`,
    { protocol: 'sotw', server: { sotwResume: true } },
    given(),
    client({ type, version: '' }),
    accepted({ type }),
  )

  transcript(
    `rule 34: the first wildcard of ${type}s is answered though its group has none`,
    'sotw',
    given(forNodes({ cluster: 'cart' }, resource(type, 'a'))),
    client({ type }),
    accepted({ type }),
    server.silent(),
  )

  transcript(
    `rule 34: an explicit wildcard of ${type}s is answered though there are none`,
    'sotw',
    given(),
    client({ type, names: ['*'] }),
    accepted({ type }),
    server.silent(),
  )
}
