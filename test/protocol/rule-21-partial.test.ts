import { asks, protocols } from '../support/conversation.ts'
import { resource } from '../support/resource.ts'
import { accepted, apply, client, given, server, transcript } from '../support/transcript.ts'

for (const protocol of protocols) {
  for (const type of ['endpoint', 'route', 'secret'] as const) {
    transcript(
      `rule 21: one ${type} of three changes and it alone is said (${protocol})`,
      protocol,
      given(resource(type, 'a', 1), resource(type, 'b', 1), resource(type, 'c', 1)),
      client(asks(type, 'a', 'b', 'c')),
      accepted({ type, resources: ['a', 'b', 'c'] }),
      apply(resource(type, 'b', 2)),
      accepted({ type, resources: [resource(type, 'b', 2)], version: 'new' }),
      server.silent(),
    )
  }
}
