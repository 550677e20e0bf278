import { expect, test } from 'vitest'
import { eventually } from '../support/poll.ts'
import type { WireStream } from '../support/wire-client.ts'
import { fakeResource, snapshotOf, startXds } from '../support/xds-world.ts'

const type_url = 'type.googleapis.com/envoy.config.cluster.v3.Cluster'
const settings = { keepaliveTimeMs: 100, keepaliveTimeoutMs: 100, reconnectMs: 100 }

async function names(stream: WireStream): Promise<readonly string[]> {
  return (await stream.next()).resources.map(({ name }) => name)
}

test('rule 93: two clients with one node.id are both served, apart, and told of; one that reconnects is not', async () => {
  const { cache, server, open } = await startXds(settings)
  cache.serve(snapshotOf(fakeResource('cluster', 'a')))
  const one = open('sotw')
  one.send({ node: { id: 'twin' }, type_url })
  expect(await names(one)).toEqual(['a'])
  // It reconnects: for a moment there are two.
  const again = open('sotw')
  again.send({ node: { id: 'twin' }, type_url })
  expect(await names(again)).toEqual(['a'])
  one.cancel()
  const until = performance.now() + 700
  await eventually(() => performance.now() > until)
  expect(server.status.nodes().map(({ warnings }) => warnings)).toEqual([[]])

  const other = open('delta')
  other.send({ node: { id: 'twin' }, type_url })
  expect(await names(other)).toEqual(['a'])
  await eventually(() => server.status.nodes().every(({ warnings }) => warnings.length === 1))
  expect(server.status.nodes().map(({ warnings }) => warnings[0])).toEqual([
    expect.stringMatching(/another client has the same node\.id, at 127\.0\.0\.1:\d+/),
    expect.stringMatching(/another client has the same node\.id, at 127\.0\.0\.1:\d+/),
  ])

  // Each goes on for itself: what one rejects or leaves is not the other's.
  other.cancel()
  await eventually(() => server.status.nodes().length === 1)
  cache.serve(snapshotOf(fakeResource('cluster', 'b')))
  expect(await names(again)).toEqual(['b'])
})

test('rule 93: a node without an id is refused', async () => {
  const { open } = await startXds()
  const stream = open('sotw')
  stream.send({ node: { id: '' }, type_url })
  expect((await stream.closed).code).toBe('INVALID_ARGUMENT')
})
