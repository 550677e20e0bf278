import { expect } from 'vitest'
import { asks, protocols } from '../support/conversation.ts'
import { resource } from '../support/resource.ts'
import { accepted, client, given, server, transcript } from '../support/transcript.ts'

const ttlMs = 5_000
const node = { id: 'envoy-1', cluster: 'edge' }

for (const feature of ['xds.config.resource-in-sotw', 'xds.config.supports-resource-ttl']) {
  transcript(
    `rule 81: over SotW a TTL goes in the wrapper to a node with ${feature}`,
    { protocol: 'sotw', node: { ...node, client_features: [feature] } },
    given(resource('runtime', 'a', 1, { ttlMs }), resource('runtime', 'b')),
    client({ type: 'runtime', names: ['a', 'b'] }),
    accepted({
      type: 'runtime',
      resources: ['a', 'b'],
      where: ({ resources }) => {
        const told = resources.map(({ name, isWrapped, ttlMs: ttl }) => ({ name, isWrapped, ttlMs: ttl }))
        expect(told).toEqual([
          { name: 'a', isWrapped: true, ttlMs },
          { name: 'b', isWrapped: false, ttlMs: undefined },
        ])
      },
    }),
    server.silent(),
  )
}

for (const protocol of protocols) {
  transcript(
    `rule 81: to a node without the feature, ${protocol === 'sotw' ? 'no TTL is told over SotW' : 'it is told in delta'}`,
    { protocol, node },
    given(resource('runtime', 'a', 1, { ttlMs })),
    client(asks('runtime', 'a')),
    accepted({
      type: 'runtime',
      resources: ['a'],
      where: ({ resources }) => expect(resources[0]?.ttlMs).toBe(protocol === 'sotw' ? undefined : ttlMs),
    }),
    server.silent(),
  )
}
