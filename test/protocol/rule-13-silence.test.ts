import { asks, protocols, verdicts } from '../support/conversation.ts'
import { resource } from '../support/resource.ts'
import { accepted, ack, apply, client, given, server, transcript } from '../support/transcript.ts'

for (const protocol of protocols) {
  for (const type of ['cluster', 'endpoint', 'listener', 'route', 'secret'] as const) {
    transcript(
      `rule 13: an ACK of ${type} is answered by silence (${protocol})`,
      protocol,
      given(resource(type, 'a', 1)),
      client(asks(type, 'a')),
      server({ type, resources: ['a'] }),
      client(ack()),
      server.silent(),
      verdicts(`ack ${type}`),
    )
  }

  transcript(
    `rule 13: an ACK that comes twice is answered by silence too (${protocol})`,
    protocol,
    given(resource('cluster', 'a')),
    client({ type: 'cluster' }),
    server({ type: 'cluster', resources: ['a'] }),
    client(ack()),
    client(ack()),
    server.silent(),
    verdicts('ack cluster'),
  )

  transcript(
    `rule 13: a response needs no request (${protocol})`,
    protocol,
    given(resource('cluster', 'a')),
    client({ type: 'cluster' }),
    accepted({ type: 'cluster', resources: ['a'] }),
    server.silent(),
    apply(resource('cluster', 'a', 2)),
    accepted({ type: 'cluster', resources: ['a'], version: 'new' }),
    server.silent(),
  )
}
