import { expect, test } from 'vitest'
import { eventually } from '../support/poll.ts'
import { fakeResource, snapshotOf, startXds } from '../support/xds-world.ts'

const type_url = 'type.googleapis.com/envoy.config.cluster.v3.Cluster'
const ageMs = 1_000

test('rule 91: at the maximum age, a tenth more or less, each stream ends with a status that clients try again after', async () => {
  const { cache, server, open } = await startXds({ maxConnectionAgeMs: ageMs })
  cache.serve(snapshotOf(fakeResource('cluster', 'a')))
  const streams = Array.from({ length: 12 }, () => open('delta'))
  const began: number[] = []
  const ages: number[] = []
  for (const [index, stream] of streams.entries()) {
    stream.send({ node: { id: `n${index}` }, type_url })
    await stream.next()
    began.push(performance.now())
    void stream.closed.then(() => ages.push(performance.now() - (began[index] ?? 0)))
  }
  const ends = await Promise.all(streams.map(async ({ closed }) => await closed))
  expect([...new Set(ends.map(({ code }) => code))]).toEqual(['UNAVAILABLE'])
  expect(ends[0]?.details).toMatch(/maximum age/)
  await eventually(() => ages.length === streams.length)
  expect(Math.min(...ages)).toBeGreaterThan(ageMs * 0.8)
  expect(Math.max(...ages)).toBeLessThan(ageMs * 1.1 + 300)
  expect(Math.max(...ages) - Math.min(...ages)).toBeGreaterThan(ageMs * 0.04)
  expect(server.status.nodes()).toEqual([])
})

test('rule 91: without one, streams live on', async () => {
  const { cache, open } = await startXds()
  cache.serve(snapshotOf(fakeResource('cluster', 'a')))
  const stream = open('delta')
  stream.send({ node: { id: 'n' }, type_url })
  await stream.next()
  const until = performance.now() + ageMs
  await eventually(() => performance.now() > until)
  await stream.probe()
})
