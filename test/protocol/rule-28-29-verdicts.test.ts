import { expect } from 'vitest'
import { protocols, statusOf, verdicts } from '../support/conversation.ts'
import { resource } from '../support/resource.ts'
import { accepted, ack, apply, client, given, nack, server, transcript } from '../support/transcript.ts'

transcript(
  'rule 28: an error_detail is a rejection, though the version is the one that was sent',
  'sotw',
  given(resource('cluster', 'a')),
  client({ type: 'cluster' }),
  server({ type: 'cluster', resources: ['a'] }),
  client(ack({ error: 'a is bad' })),
  server.silent(),
  verdicts('nack cluster'),
  statusOf('cluster', ({ acked, nacked, sent }) => {
    expect(acked).toBeUndefined()
    expect(nacked).toMatchObject({ version: sent, message: 'a is bad' })
  }),
)

for (const protocol of protocols) {
  transcript(
    `rule 28: an error_detail without a message is a rejection too (${protocol})`,
    protocol,
    given(resource('cluster', 'a')),
    client({ type: 'cluster' }),
    server({ type: 'cluster', resources: ['a'] }),
    client(nack('')),
    server.silent(),
    verdicts('nack cluster'),
  )

  transcript(
    `rule 28: a rejection is over when a later response is accepted (${protocol})`,
    protocol,
    given(resource('cluster', 'a')),
    client({ type: 'cluster' }),
    server({ type: 'cluster', resources: ['a'] }),
    client(nack('a is bad')),
    server.silent(),
    apply(resource('cluster', 'a', 2)),
    accepted({ type: 'cluster', resources: ['a'] }),
    server.silent(),
    verdicts('nack cluster', 'ack cluster'),
    statusOf('cluster', ({ acked, nacked, sent }) => {
      expect(acked).toBe(sent)
      expect(nacked).toBeUndefined()
    }),
  )
}

transcript(
  'rule 29: an old version with the right nonce and no error_detail is no rejection',
  'sotw',
  given(resource('endpoint', 'a'), resource('endpoint', 'b')),
  client({ type: 'endpoint', names: ['a'] }),
  accepted({ type: 'endpoint', resources: ['a'] }),
  apply(resource('endpoint', 'a', 2)),
  server({ type: 'endpoint', resources: ['a'] }),
  client((memory) => ack({ version: memory.all()[0]?.version ?? '', names: ['a', 'b'] })(memory, 'sotw')),
  accepted({ type: 'endpoint', resources: ['b'] }),
  server.silent(),
  verdicts('ack endpoint', 'ack endpoint', 'ack endpoint'),
)
