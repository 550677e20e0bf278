import { expect, test } from 'vitest'
import { protocols } from '../support/conversation.ts'
import { eventually } from '../support/poll.ts'
import type { WireResponse, WireStream } from '../support/wire-client.ts'
import { fakeResource, snapshotOf, startXds } from '../support/xds-world.ts'

const type_url = 'type.googleapis.com/envoy.config.cluster.v3.Cluster'
const world = snapshotOf(fakeResource('cluster', 'a'), fakeResource('cluster', 'b'))

const asks = (stream: WireStream, id: string): void => stream.send({ node: { id }, type_url })
const acks = (stream: WireStream, { nonce, version }: WireResponse): void =>
  stream.send({ type_url, response_nonce: nonce, ...(stream.protocol === 'sotw' && { version_info: version }) })

for (const protocol of protocols) {
  test(`rule 88: new streams have their first answers one after another, those who are in are not kept waiting (${protocol})`, async () => {
    const { cache, server, events, open } = await startXds({ maxEntering: 1 })
    cache.serve(world)
    const settled = open(protocol)
    asks(settled, 'settled')
    acks(settled, await settled.next())

    const [slow, second, third] = [open(protocol), open(protocol), open(protocol)]
    asks(slow, 'slow')
    const first = await slow.next()
    asks(second, 'second')
    await eventually(() => server.status.nodes().some(({ id }) => id === 'second'))
    asks(third, 'third')
    await eventually(() => server.status.nodes().some(({ id }) => id === 'third'))

    // A request and a push of one that is in go before.
    await settled.probe()
    cache.serve(snapshotOf(fakeResource('cluster', 'a')))
    await settled.next()
    expect([second, third].map((stream) => stream.pending())).toEqual([[], []])

    acks(slow, first)
    const answer = await second.next()
    // The newest, not what was in force when it asked.
    expect(answer.resources.map(({ name }) => name)).toEqual(['a'])
    expect(third.pending()).toEqual([])
    acks(second, answer)
    await third.next()
    expect(events.filter(({ kind }) => kind === 'close')).toEqual([])
  })
}

test('rule 88: a client that takes no answer keeps the others waiting for a second at most', async () => {
  const { cache, open } = await startXds({ maxEntering: 1 })
  cache.serve(world)
  const [silent, other] = [open('sotw'), open('sotw')]
  asks(silent, 'silent')
  await silent.next()
  const began = performance.now()
  asks(other, 'other')
  await other.next()
  expect(performance.now() - began).toBeLessThan(3000)
})

test('rule 88: one that goes while it waits is forgotten', async () => {
  const { cache, server, open } = await startXds({ maxEntering: 1 })
  cache.serve(world)
  const [first, gone, last] = [open('delta'), open('delta'), open('delta')]
  asks(first, 'first')
  const answer = await first.next()
  asks(gone, 'gone')
  await eventually(() => server.status.nodes().length === 2)
  gone.cancel()
  await eventually(() => server.status.nodes().length === 1)
  asks(last, 'last')
  acks(first, answer)
  await last.next()
  expect(gone.received).toEqual([])
})

test('rule 88: streams that have nothing to be told hold no place', async () => {
  const { cache, open } = await startXds({ maxEntering: 1 })
  cache.serve(world)
  const versions = { a: fakeResource('cluster', 'a').version }
  const began = performance.now()
  for (let count = 0; count < 20; count++) {
    const stream = open('delta', 'cluster')
    stream.send({
      node: { id: `n${count}` },
      type_url,
      resource_names_subscribe: ['a'],
      initial_resource_versions: versions,
    })
  }
  const stream = open('delta')
  asks(stream, 'last')
  await stream.next()
  expect(performance.now() - began).toBeLessThan(3000)
})
