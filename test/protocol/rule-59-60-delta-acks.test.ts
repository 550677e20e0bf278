import { expect } from 'vitest'
import { protocols, statusOf, verdicts } from '../support/conversation.ts'
import { resource } from '../support/resource.ts'
import { accepted, ack, apply, client, given, nack, server, transcript } from '../support/transcript.ts'

for (const type of ['cluster', 'listener'] as const) {
  transcript(
    `rule 59: the first wildcard of ${type}s is answered though the client has them all`,
    'delta',
    given(resource(type, 'a'), resource(type, 'b')),
    client({ type }),
    accepted({ type, resources: ['a', 'b'] }),
    client.resets(),
    client((memory) => ({ type, initialVersions: memory.versions(type) })),
    accepted({ type }),
    server.silent(),
  )

  transcript(
    `rule 59: the first wildcard of ${type}s is answered though there are none`,
    'delta',
    given(),
    client({ type }),
    accepted({ type }),
    server.silent(),
    apply(resource(type, 'a')),
    accepted({ type, resources: ['a'] }),
  )
}

for (const protocol of protocols) {
  transcript(
    `rule 60: a version is the client's when it is accepted, not when it is sent (${protocol})`,
    protocol,
    given(resource('cluster', 'a')),
    client({ type: 'cluster' }),
    server({ type: 'cluster', resources: ['a'] }),
    server.silent(),
    statusOf('cluster', ({ sent, acked }) => {
      expect(sent).toBeDefined()
      expect(acked).toBeUndefined()
    }),
    client(ack()),
    server.silent(),
    statusOf('cluster', ({ sent, acked }) => expect(acked).toBe(sent)),
    apply(resource('cluster', 'a', 2)),
    server({ type: 'cluster', resources: ['a'] }),
    client(nack('a is bad')),
    server.silent(),
    statusOf('cluster', ({ sent, acked, nacked }) => {
      expect(nacked?.version).toBe(sent)
      expect(acked, 'the last accepted version is the truth').not.toBe(sent)
      expect(acked).toBeDefined()
    }),
  )

  transcript(
    `rule 60: v1 accepted, v2 rejected, back to v1: v1 is sent, for v2 may be half applied (${protocol})`,
    protocol,
    given(resource('cluster', 'a')),
    client({ type: 'cluster' }),
    accepted({ type: 'cluster', resources: ['a'] }),
    apply(resource('cluster', 'a', 2)),
    server({ type: 'cluster', resources: ['a'] }),
    client(nack('a is bad')),
    server.silent(),
    apply(resource('cluster', 'a')),
    accepted({ type: 'cluster', resources: [resource('cluster', 'a')] }),
    server.silent(),
    verdicts('ack cluster', 'nack cluster', 'ack cluster'),
  )
}
