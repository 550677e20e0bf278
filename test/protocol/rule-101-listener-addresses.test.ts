import { asks, protocols } from '../support/conversation.ts'
import { resource } from '../support/resource.ts'
import { accepted, ack, apply, client, given, nack, server, transcript } from '../support/transcript.ts'

const at = (name: string, ...ports: readonly number[]): ReturnType<typeof resource> => {
  const [address, ...more] = ports.map((port_value) => ({ socket_address: { address: '127.0.0.1', port_value } }))
  return resource('listener', name, {
    address: address ?? null,
    additional_addresses: more.map((additional) => ({ address: additional })),
  })
}

for (const protocol of protocols) {
  const isSotw = protocol === 'sotw'

  transcript(
    `rule 101: a listener that leaves its address to another goes in the response in which that one comes, and comes back after (${protocol})`,
    protocol,
    given(at('l', 80), at('k', 90)),
    client(asks('listener')),
    accepted({ type: 'listener', resources: [at('k', 90), at('l', 80)] }),
    apply(at('l', 81), at('m', 80)),
    server(
      isSotw
        ? { type: 'listener', resources: [at('k', 90), at('m', 80)] }
        : { type: 'listener', resources: [at('m', 80)], removed: ['l'] },
    ),
    server.silent(),
    client(ack({ type: 'listener' })),
    accepted({ type: 'listener', resources: [at('l', 81)], orAlso: isSotw ? ['k', 'm'] : [] }),
    server.silent(),
  )

  transcript(
    `rule 101: listeners that exchange their addresses all go first (${protocol})`,
    protocol,
    given(at('l', 80), at('m', 81, 82), at('k', 90)),
    client(asks('listener')),
    accepted({ type: 'listener', resources: ['k', 'l', 'm'] }),
    apply(at('l', 82), at('m', 80, 81)),
    server(isSotw ? { type: 'listener', resources: ['k'] } : { type: 'listener', removed: ['l', 'm'] }),
    server.silent(),
    client(ack({ type: 'listener' })),
    accepted({ type: 'listener', resources: [at('l', 82), at('m', 80, 81)], orAlso: isSotw ? ['k'] : [] }),
    server.silent(),
  )

  transcript(
    `rule 101: a listener that is rejected where another one left takes nothing away for good (${protocol})`,
    protocol,
    given(at('l', 80)),
    client(asks('listener')),
    accepted({ type: 'listener', resources: ['l'] }),
    apply(at('l', 81), at('m', 80)),
    server(
      isSotw
        ? { type: 'listener', resources: [at('m', 80)] }
        : { type: 'listener', resources: [at('m', 80)], removed: ['l'] },
    ),
    client(nack('Error adding/updating listener(s) m: no such thing', { type: 'listener' })),
    accepted({ type: 'listener', resources: [at('l', 81)] }),
    server.silent(),
  )

  transcript(
    `rule 30: a listener that is rejected for its address is sent again when the other one leaves that, and not before (${protocol})`,
    protocol,
    given(at('l', 80)),
    client(asks('listener')),
    accepted({ type: 'listener', resources: ['l'] }),
    apply(at('m', 80)),
    server({ type: 'listener', resources: [at('m', 80)], orAlso: isSotw ? ['l'] : [] }),
    client(
      nack(
        "Error adding/updating listener(s) m: error adding listener: 'm' has duplicate address '127.0.0.1:80' as existing listener",
        { type: 'listener' },
      ),
    ),
    server.silent(),
    apply(at('k', 90)),
    accepted({ type: 'listener', resources: [at('k', 90)], orAlso: isSotw ? ['l'] : [] }),
    server.silent(),
    apply(at('l', 81)),
    server(
      isSotw
        ? { type: 'listener', resources: [at('k', 90), at('m', 80)] }
        : { type: 'listener', resources: [at('m', 80)], removed: ['l'] },
    ),
    client(ack({ type: 'listener' })),
    accepted({ type: 'listener', resources: [at('l', 81)], orAlso: isSotw ? ['k', 'm'] : [] }),
    server.silent(),
  )
}
