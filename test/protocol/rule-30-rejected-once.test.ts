import { asks, protocols, verdicts } from '../support/conversation.ts'
import { resource } from '../support/resource.ts'
import { apply, client, given, nack, type Step, server, stream, transcript } from '../support/transcript.ts'

const versions = [2, 3, 4, 5]

for (const protocol of protocols) {
  for (const type of ['cluster', 'endpoint'] as const) {
    const rejects: readonly Step[] = versions.flatMap((version) => [
      apply(resource(type, 'a', version)),
      server({ type, resources: [resource(type, 'a', version)] }),
      client(nack(`${version} is bad`)),
      server.silent(),
    ])
    // Another client never says a word of its responses: that it is told the next one shows that the waits are over.
    const mute = stream('mute', { id: 'mute', cluster: 'edge' })
    transcript(
      `rule 30: of a client that rejects everything each version of a ${type} is sent once, also when time goes by (${protocol})`,
      { protocol, server: { ackWaitMs: { cluster: 60, other: 60 }, transitionTimeoutMs: 20 } },
      given(resource(type, 'a'), resource('listener', 'l')),
      client(asks(type, 'a')),
      server({ type, resources: ['a'] }),
      client(nack('1 is bad')),
      server.silent(),
      ...rejects,
      mute.client(asks('listener', 'l')),
      mute.server({ type: 'listener', resources: ['l'] }),
      apply(resource('listener', 'l', 2)),
      mute.server({ type: 'listener', resources: ['l'] }),
      server.silent(),
      verdicts(`nack ${type}`, ...versions.map(() => `nack ${type}`)),
    )
  }

  transcript(
    `rule 30: a rejection that is said again brings no answer (${protocol})`,
    protocol,
    given(resource('cluster', 'a')),
    client({ type: 'cluster' }),
    server({ type: 'cluster', resources: ['a'] }),
    client(nack('a is bad')),
    client(nack('a is still bad')),
    client(nack('and still')),
    server.silent(),
    verdicts('nack cluster'),
  )

  transcript(
    `rule 30: a change of another type does not bring the rejected content again (${protocol})`,
    protocol,
    given(resource('cluster', 'a'), resource('listener', 'l')),
    client({ type: 'cluster' }),
    server({ type: 'cluster', resources: ['a'] }),
    client(nack('a is bad', { type: 'cluster' })),
    client({ type: 'listener' }),
    server({ type: 'listener', resources: ['l'] }),
    apply(resource('secret', 's', 1)),
    server.silent(),
  )
}
