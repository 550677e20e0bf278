import { asks, protocols } from '../support/conversation.ts'
import { resource } from '../support/resource.ts'
import { accepted, apply, client, given, server, transcript } from '../support/transcript.ts'

for (const protocol of protocols) {
  for (const type of ['cluster', 'endpoint', 'route', 'listener'] as const) {
    transcript(
      `rule 25: of ${type}s asked for, the known one is not withheld for the unknown one (${protocol})`,
      protocol,
      given(resource(type, 'known')),
      client(asks(type, 'known', 'unknown')),
      accepted({ type, resources: ['known'], ...(protocol === 'delta' && { removed: ['unknown'] }) }),
      server.silent(),
      apply(resource(type, 'unknown')),
      accepted({
        type,
        resources: ['unknown'],
        // Full state there (rule 20), only the news elsewhere.
        orAlso: protocol === 'sotw' && (type === 'cluster' || type === 'listener') ? ['known'] : [],
      }),
    )

    transcript(
      `rule 25: of ${type}s that exist, the one asked for is not withheld for the other (${protocol})`,
      protocol,
      given(resource(type, 'a'), resource(type, 'never-asked-for')),
      client(asks(type, 'a')),
      accepted({ type, resources: ['a'] }),
      server.silent(),
      apply(resource(type, 'never-asked-for', 2)),
      server.silent(),
    )
  }
}
