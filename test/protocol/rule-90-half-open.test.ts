import { expect, test } from 'vitest'
import { eventually } from '../support/poll.ts'
import { startTcpProxy } from '../support/tcp-proxy.ts'
import { openStream } from '../support/wire-client.ts'
import { fakeResource, snapshotOf, startXds } from '../support/xds-world.ts'

const type_url = 'type.googleapis.com/envoy.config.cluster.v3.Cluster'

test('rule 90: a stream on a network that is silently dead is given up after a probe, and all that it held', async () => {
  const { cache, server, events } = await startXds({ keepaliveTimeMs: 300, keepaliveTimeoutMs: 300 })
  cache.serve(snapshotOf(fakeResource('cluster', 'a')))
  const proxy = await startTcpProxy(server.port)
  const stream = openStream({ port: proxy.port, protocol: 'sotw' })
  stream.send({ node: { id: 'far' }, type_url })
  await stream.next()
  // As long as the network is there, a silent stream is left alone.
  const quietUntil = performance.now() + 1_200
  await eventually(() => performance.now() > quietUntil)
  expect(server.status.nodes()).toHaveLength(1)

  proxy.freeze()
  const began = performance.now()
  await eventually(() => server.status.nodes().length === 0)
  expect(performance.now() - began).toBeLessThan(3_000)
  expect(cache.watches).toBe(0)
  expect(events.filter(({ kind }) => kind === 'close')).toHaveLength(1)
})
