import { connect } from 'node:http2'
import jspb from 'google-protobuf'
import { expect, test } from 'vitest'
import { atTestEnd } from '../support/at-test-end.ts'
import { asks, protocols } from '../support/conversation.ts'
import { eventually } from '../support/poll.ts'
import { resource } from '../support/resource.ts'
import {
  accepted,
  ack,
  apply,
  client,
  given,
  nack,
  playTranscript,
  server,
  step,
  stream,
  transcript,
} from '../support/transcript.ts'
import { typeUrlOf } from '../support/wire-client.ts'

const patient = { ackWaitMs: { cluster: 600_000, other: 600_000 } }

for (const protocol of protocols) {
  const others = protocol === 'sotw' ? { names: ['b'] } : { unsubscribe: ['a'] }

  transcript(
    `rule 79: what a client no longer wants when it accepts the last response is not sent (${protocol})`,
    { protocol, server: patient },
    given(resource('route', 'a'), resource('route', 'b')),
    client(asks('route', 'a', 'b')),
    server({ type: 'route', resources: ['a', 'b'] }),
    // It waits for the verdict.
    apply(resource('route', 'a', 2)),
    server.silent(),
    client(ack(others)),
    server.silent(),
    apply(resource('route', 'b', 2)),
    accepted({ type: 'route', resources: ['b'] }),
  )

  transcript(
    `rule 79: of what waits, only that which is still wanted is sent (${protocol})`,
    { protocol, server: patient },
    given(resource('route', 'a'), resource('route', 'b')),
    client(asks('route', 'a', 'b')),
    server({ type: 'route', resources: ['a', 'b'] }),
    apply(resource('route', 'a', 2), resource('route', 'b', 2)),
    server.silent(),
    client(nack('b is bad', others)),
    accepted({ type: 'route', resources: [resource('route', 'b', 2)] }),
  )

  const [slow, quick] = [
    stream('slow', { id: 'slow', cluster: 'edge' }),
    stream('quick', { id: 'quick', cluster: 'edge' }),
  ]
  const changes = 50
  transcript(
    `rule 80: a client that is busy is told the newest state alone, and one that is not every state (${protocol})`,
    { protocol, server: patient },
    given(resource('endpoint', 'a')),
    ...[slow, quick].flatMap((one) => [
      one.client(asks('endpoint', 'a')),
      one.server({ type: 'endpoint', resources: ['a'] }),
    ]),
    quick.client(ack()),
    ...Array.from({ length: changes }, (_, index) => resource('endpoint', 'a', index + 2)).flatMap((changed) => [
      apply(changed),
      quick.server({ type: 'endpoint', resources: [changed] }),
      quick.client(ack()),
    ]),
    slow.server.silent(),
    slow.client(ack()),
    slow.server({ type: 'endpoint', resources: [resource('endpoint', 'a', changes + 1)] }),
    slow.client(ack()),
    slow.server.silent(),
  )
}

test('rule 80: for a client that stops reading nothing queues, and others are told everything', () => {
  const pad = 'x'.repeat(200_000)
  const large = (revision: number) => resource('cluster', 'a', { alt_stat_name: `${revision}${pad}` })
  const quick = stream('quick', { id: 'quick', cluster: 'edge' })
  const changes = 200
  return playTranscript(
    { protocol: 'sotw', server: { ackWaitMs: { cluster: 0, other: 0 } } },
    given(large(0)),
    step('a client subscribes and never reads', async (world) => {
      neverReads(world.server.port)
      await eventually(() => world.server.status.nodes().some(({ id }) => id === 'stalled'))
    }),
    quick.client({ type: 'cluster' }),
    quick.server({ type: 'cluster', resources: ['a'] }),
    quick.client(ack()),
    ...Array.from({ length: changes }, (_, index) => [
      apply(large(index + 1)),
      quick.server({ type: 'cluster', resources: ['a'] }),
      quick.client(ack()),
    ]).flat(),
    step('it was handed a few responses, and not 40 MB', (world) => {
      const stalled = world.events.flatMap((event) =>
        event.kind === 'node' && event.node.id === 'stalled' ? [event.streamId] : [],
      )
      expect(stalled).toHaveLength(1)
      const sent = world.events.filter((event) => event.kind === 'sent' && event.streamId === stalled[0])
      expect(sent.length).toBeGreaterThan(0)
      expect(sent.length).toBeLessThan(20)
    }),
  )
})

/** Subscribes to all clusters, and takes nothing from its socket: a client of grpc-js would read ahead. */
function neverReads(port: number): void {
  const session = connect(`http://127.0.0.1:${port}`)
  session.on('error', () => {})
  const call = session.request({
    ':method': 'POST',
    ':path': '/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources',
    'content-type': 'application/grpc',
    te: 'trailers',
  })
  call.on('error', () => {})
  const writer = new jspb.BinaryWriter()
  writer.writeMessage(2, {}, () => {
    writer.writeString(1, 'stalled')
    writer.writeString(2, 'edge')
  })
  writer.writeString(4, typeUrlOf('cluster'))
  const message = writer.getResultBuffer()
  const frame = Buffer.alloc(5 + message.length)
  frame.writeUInt32BE(message.length, 1)
  frame.set(message, 5)
  call.write(frame)
  atTestEnd(() => session.destroy())
}
