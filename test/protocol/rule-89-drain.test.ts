import { expect, test } from 'vitest'
import { eventually } from '../support/poll.ts'
import { fakeResource, snapshotOf, startXds } from '../support/xds-world.ts'

const type_url = 'type.googleapis.com/envoy.config.cluster.v3.Cluster'
const drainMs = 1_000
const clients = 8

test('rule 89: a drain ends streams one by one over its time, with a status that clients try again after', async () => {
  const { cache, server, open } = await startXds()
  cache.serve(snapshotOf(fakeResource('cluster', 'a')))
  const streams = Array.from({ length: clients }, () => open('sotw'))
  for (const [index, stream] of streams.entries()) stream.send({ node: { id: `n${index}` }, type_url })
  for (const stream of streams) {
    const { nonce, version } = await stream.next()
    stream.send({ type_url, response_nonce: nonce, version_info: version })
    await stream.probe()
  }
  const ends: number[] = []
  for (const stream of streams) void stream.closed.then(() => ends.push(performance.now()))

  const began = performance.now()
  const drained = server.drain(drainMs)
  // Meanwhile it serves those who are still there.
  cache.serve(snapshotOf(fakeResource('cluster', 'a', 'changed')))
  await streams.at(-1)?.next()
  const codes = await Promise.all(streams.map(async ({ closed }) => (await closed).code))
  await drained
  expect(codes).toEqual(Array.from({ length: clients }, () => 'UNAVAILABLE'))
  expect(performance.now() - began).toBeLessThan(drainMs + 1_000)
  await eventually(() => ends.length === clients)
  const [first = 0, last = 0] = [ends[0], ends.at(-1)]
  expect(last - first).toBeGreaterThan(drainMs * 0.5)
  // No two of three come at once.
  const together = ends.filter((end, index) => index > 0 && end - (ends[index - 1] ?? 0) < drainMs / clients / 10)
  expect(together.length).toBeLessThan(clients / 2)
})

test('rule 89: while it drains, it takes no new client', async () => {
  const { cache, server, open } = await startXds()
  cache.serve(snapshotOf(fakeResource('cluster', 'a')))
  const before = open('sotw')
  before.send({ node: { id: 'before' }, type_url })
  await before.next()
  const drained = server.drain(500)
  const after = open('sotw')
  after.send({ node: { id: 'after' }, type_url })
  expect((await after.closed).code).toBe('UNAVAILABLE')
  expect(after.received).toEqual([])
  await drained
})
