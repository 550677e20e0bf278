import { expect } from 'vitest'
import { asks, protocols } from '../support/conversation.ts'
import { resource } from '../support/resource.ts'
import { accepted, apply, client, given, server, step, transcript } from '../support/transcript.ts'

const ttlMs = 1_500
const node = { id: 'envoy-1', cluster: 'edge', client_features: ['xds.config.supports-resource-ttl'] }

for (const protocol of protocols) {
  transcript(
    `rule 83: without its TTL it comes again, and no heartbeat follows (${protocol})`,
    { protocol, node },
    given(resource('route', 'r', 1, { ttlMs })),
    client(asks('route', 'r')),
    accepted({ type: 'route', resources: ['r'], where: ({ resources }) => expect(resources[0]?.ttlMs).toBe(ttlMs) }),
    apply(resource('route', 'r', 1)),
    accepted({
      type: 'route',
      resources: [resource('route', 'r', 1)],
      version: 'new',
      where: ({ resources }) => expect(resources[0]?.ttlMs).toBeUndefined(),
    }),
    step('a TTL passes', () => new Promise((resolve) => setTimeout(resolve, ttlMs))),
    server.silent(),
  )

  transcript(
    `rule 83: a TTL that is set later is told, and heartbeats begin (${protocol})`,
    { protocol, node },
    given(resource('route', 'r', 1)),
    client(asks('route', 'r')),
    accepted({ type: 'route', resources: ['r'] }),
    apply(resource('route', 'r', 1, { ttlMs })),
    accepted({
      type: 'route',
      resources: ['r'],
      version: 'new',
      where: ({ resources }) => expect(resources[0]?.ttlMs).toBe(ttlMs),
    }),
    accepted({ type: 'route', resources: ['r'], version: 'same' }),
  )
}
