import { expect } from 'vitest'
import { resource } from '../support/resource.ts'
import { accepted, client, given, server, transcript } from '../support/transcript.ts'

for (const type of ['cluster', 'endpoint', 'secret', 'runtime', 'listener', 'route', 'extension'] as const) {
  const ttlMs = 1_250
  transcript(
    `rule 85: in delta a ${type} states its TTL, with its body and in the heartbeat after it`,
    { protocol: 'delta', server: { allowPlaintextSecrets: true } },
    given(resource(type, 'a', 1, { ttlMs }), resource(type, 'b')),
    client({ type, subscribe: ['a', 'b'] }),
    accepted({
      type,
      resources: [resource(type, 'a', 1, { ttlMs }), 'b'],
      where: ({ resources }) => {
        expect(resources.map(({ name, ttlMs: ttl }) => [name, ttl])).toEqual([
          ['a', ttlMs],
          ['b', undefined],
        ])
      },
    }),
    server({
      type,
      resources: [{ name: 'a', body: false }],
      where: ({ resources }) => expect(resources[0]?.ttlMs).toBe(ttlMs),
    }),
  )
}

transcript(
  'rule 85: a virtual host with a TTL comes again in full, for without a body it would be one that does not exist',
  'delta',
  given(resource('virtualHost', 'r/shop', { domains: ['shop.test'] }, { ttlMs: 1_250, aliases: ['r/shop.test'] })),
  client({ type: 'virtualHost', subscribe: ['r/shop.test'] }),
  accepted({ type: 'virtualHost', resources: ['r/shop'] }),
  accepted({
    type: 'virtualHost',
    resources: ['r/shop'],
    where: ({ resources }) => expect(resources[0]?.bytes).toBeDefined(),
  }),
)
