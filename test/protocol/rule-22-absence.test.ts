import { protocols } from '../support/conversation.ts'
import { resource } from '../support/resource.ts'
import { accepted, apply, client, forNodes, given, removed, server, transcript } from '../support/transcript.ts'

for (const type of ['cluster', 'listener'] as const) {
  transcript(
    `rule 22: a ${type} is removed by its absence from the next full state`,
    'sotw',
    given(resource(type, 'a'), resource(type, 'b')),
    client({ type }),
    accepted({ type, resources: ['a', 'b'] }),
    apply(removed(type, 'b')),
    accepted({ type, resources: ['a'] }),
  )

  for (const protocol of protocols) {
    const edge = { cluster: 'edge' }
    transcript(
      `rule 22: a group that becomes empty while its source lives is told so, for ${type}s (${protocol})`,
      protocol,
      given(forNodes(edge, resource(type, 'a')), forNodes({ cluster: 'cart' }, resource(type, 'c'))),
      client({ type }),
      accepted({ type, resources: ['a'] }),
      apply(removed(type, 'a', edge)),
      accepted({ type, ...(protocol === 'delta' && { removed: ['a'] }) }),
      server.silent(),
      apply(forNodes(edge, resource(type, 'a'))),
      accepted({ type, resources: ['a'] }),
    )
  }
}
