import { expect } from 'vitest'
import { asks, protocols, statusOf, verdicts } from '../support/conversation.ts'
import { resource } from '../support/resource.ts'
import { accepted, ack, apply, client, given, nack, server, transcript } from '../support/transcript.ts'

for (const protocol of protocols) {
  transcript(
    `rule 7: a rejected listener leaves the ACKs of the clusters alone (${protocol})`,
    protocol,
    given(resource('cluster', 'a'), resource('listener', 'l')),
    client({ type: 'cluster' }),
    server({ type: 'cluster', resources: ['a'] }),
    client({ type: 'listener' }),
    server({ type: 'listener', resources: ['l'] }),
    client(nack('l is bad', { type: 'listener' })),
    client(ack({ type: 'cluster' })),
    server.silent(),
    verdicts('nack listener', 'ack cluster'),
    statusOf('cluster', (status, { last }) => {
      expect(status.acked).toBe(status.sent)
      expect(status.nacked).toBeUndefined()
      if (protocol === 'sotw') expect(status.acked).toBe(last('cluster'))
    }),
    statusOf('listener', (status) => {
      expect(status.acked).toBeUndefined()
      expect(status.nacked?.message).toBe('l is bad')
    }),
    apply(resource('cluster', 'a', 2)),
    accepted({ type: 'cluster', resources: ['a'] }),
    apply(resource('listener', 'l', 2)),
    accepted({ type: 'listener', resources: ['l'] }),
    server.silent(),
    verdicts('nack listener', 'ack cluster', 'ack cluster', 'ack listener'),
  )

  transcript(
    `rule 7: the nonce of one type is no answer to another (${protocol})`,
    protocol,
    given(resource('cluster', 'a'), resource('endpoint', 'a')),
    client(asks('endpoint', 'a')),
    server({ type: 'endpoint', resources: ['a'] }),
    client({ type: 'cluster' }),
    server({ type: 'cluster', resources: ['a'] }),
    client((memory) => ({
      type: 'endpoint',
      nonce: memory.last('cluster').nonce,
      ...(protocol === 'sotw' && { names: ['a'], version: memory.last('endpoint').version }),
    })),
    server.silent(),
    verdicts(),
  )
}
