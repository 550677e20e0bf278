import { expect, test } from 'vitest'
import { typeUrlOf, type WireResponse } from '../support/wire-client.ts'
import { fakeResource, node, snapshotOf, startXds, textOf } from '../support/xds-world.ts'

const contents = (response: WireResponse): string[] =>
  response.resources.map(({ name, bytes }) => `${name}=${textOf(bytes)}`)

test('A SotW client on ADS gets clusters in full and only the changed assignment', async () => {
  const { cache, open } = await startXds()
  const clusters = [fakeResource('cluster', 'a'), fakeResource('cluster', 'b')]
  cache.serve(snapshotOf(...clusters, fakeResource('endpoint', 'a', '1'), fakeResource('endpoint', 'b', '1')))
  const stream = open('sotw')
  stream.send({ node, type_url: typeUrlOf('cluster') })
  const cds = await stream.next()
  expect(contents(cds)).toEqual(['a=', 'b='])
  stream.send({ type_url: cds.typeUrl, version_info: cds.version, response_nonce: cds.nonce })
  stream.send({ type_url: typeUrlOf('endpoint'), resource_names: ['b', 'a'] })
  const eds = await stream.next()
  expect(contents(eds)).toEqual(['a=1', 'b=1'])
  const { typeUrl: type_url, version: version_info, nonce: response_nonce } = eds
  stream.send({ type_url, version_info, response_nonce, resource_names: ['b', 'a'] })
  await stream.probe()
  cache.serve(snapshotOf(...clusters, fakeResource('endpoint', 'a', '2'), fakeResource('endpoint', 'b', '1')))
  const push = await stream.next()
  expect(contents(push)).toEqual(['a=2'])
  expect(Number(push.nonce)).toBeGreaterThan(Number(eds.nonce))
  await stream.probe()
  expect(stream.pending()).toEqual([])
})

test('A delta client on ADS gets changes and removals, and after a reconnect nothing that it has', async () => {
  const { cache, open } = await startXds()
  cache.serve(snapshotOf(fakeResource('cluster', 'a', '1'), fakeResource('cluster', 'b', '1')))
  const stream = open('delta')
  stream.send({ node, type_url: typeUrlOf('cluster') })
  const first = await stream.next()
  expect(contents(first)).toEqual(['a=1', 'b=1'])
  stream.send({ type_url: first.typeUrl, response_nonce: first.nonce })
  await stream.probe()
  cache.serve(snapshotOf(fakeResource('cluster', 'a', '2')))
  const change = await stream.next()
  expect(contents(change)).toEqual(['a=2'])
  expect(change.removed).toEqual(['b'])
  const again = open('delta')
  const version = change.resources[0]?.version as string
  again.send({ node, type_url: typeUrlOf('cluster'), initial_resource_versions: { a: version, gone: 'x' } })
  const resumed = await again.next()
  expect(resumed.resources).toEqual([])
  expect(resumed.removed).toEqual(['gone'])
})

test('A client that leaves takes its watch with it', async () => {
  const { cache, open, server } = await startXds()
  cache.serve(snapshotOf())
  const stream = open('sotw')
  stream.send({ node, type_url: typeUrlOf('listener') })
  expect((await stream.next()).resources).toEqual([])
  expect(cache.watches).toBe(1)
  expect(server.status.nodes().map(({ id }) => id)).toEqual(['test-id'])
  stream.cancel()
  await expect.poll(() => cache.watches).toBe(0)
  expect(server.status.nodes()).toEqual([])
})

test('A first request without a node ends the stream with INVALID_ARGUMENT', async () => {
  const { cache, open } = await startXds()
  cache.serve(snapshotOf())
  const stream = open('sotw')
  stream.send({ type_url: typeUrlOf('cluster') })
  expect(await stream.closed).toEqual({ code: 'INVALID_ARGUMENT', details: expect.stringContaining('node is missing') })
})

test('A server that closes leaves no stream and no watch', async () => {
  const { cache, open, server } = await startXds()
  cache.serve(snapshotOf())
  const stream = open('delta')
  stream.send({ node, type_url: typeUrlOf('cluster') })
  await stream.next()
  await server.close()
  expect((await stream.closed).code).toBe('UNAVAILABLE')
  expect(cache.watches).toBe(0)
})
