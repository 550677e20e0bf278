import { asks, protocols } from '../support/conversation.ts'
import { resource } from '../support/resource.ts'
import { accepted, ack, apply, client, given, server, transcript } from '../support/transcript.ts'

const unknown = 'type.googleapis.com/foo.Bar'

for (const protocol of protocols) {
  transcript(
    `rule 17: an unknown type is answered empty, and the stream goes on (${protocol})`,
    protocol,
    given(resource('listener', 'l')),
    client({ type: unknown }),
    server({ type: unknown }),
    client(ack()),
    server.silent(),
    server.warns(/foo\.Bar/),
    client({ type: 'listener' }),
    accepted({ type: 'listener', resources: ['l'] }),
    apply(resource('listener', 'l', 2)),
    accepted({ type: 'listener', resources: ['l'] }),
  )

  transcript(
    `rule 17: a name of an unknown type ends nothing (${protocol})`,
    protocol,
    given(resource('listener', 'l')),
    client({ type: 'listener' }),
    accepted({ type: 'listener', resources: ['l'] }),
    client(asks(unknown, 'x')),
    protocol === 'delta' ? accepted({ type: unknown, removed: ['x'] }) : [],
    server.silent(),
    apply(resource('listener', 'l', 2)),
    accepted({ type: 'listener', resources: ['l'] }),
  )
}
