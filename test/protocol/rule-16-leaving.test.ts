import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Client, credentials } from '@grpc/grpc-js'
import jspb from 'google-protobuf'
import { expect, test } from 'vitest'
import { atTestEnd } from '../support/at-test-end.ts'
import { asks, isLong, protocols } from '../support/conversation.ts'
import { eventually } from '../support/poll.ts'
import { resource } from '../support/resource.ts'
import { apply, client, given, playTranscript, server, step, type World } from '../support/transcript.ts'
import { typeUrlOf } from '../support/wire-client.ts'

function expectNobody({ cache, server: { status } }: World): void {
  expect(cache.groups()).toEqual([])
  expect(status.nodes()).toEqual([])
}

const world = given(resource('cluster', 'a'), resource('endpoint', 'a'))

for (const protocol of protocols) {
  for (const end of ['leaves', 'resets'] as const) {
    test(`rule 16: of a client that ${end} nothing stays, whenever it does (${protocol})`, () =>
      playTranscript(
        protocol,
        world,
        step('50 times: connect, subscribe, leave', async (played) => {
          for (let round = 0; round < 50; round++) {
            await client({ type: 'cluster' }).play(played)
            await server({ type: 'cluster', resources: ['a'] }).play(played)
            await client(asks('endpoint', 'a')).play(played)
            // Half of them go before the answer.
            if (round % 2 === 0) await server({ type: 'endpoint', resources: ['a'] }).play(played)
            expect(played.server.status.nodes()).toHaveLength(1)
            await client[end]().play(played)
            await eventually(() => played.server.status.nodes().length === 0, { intervalMs: 1 })
          }
          expectNobody(played)
        }),
        apply(resource('cluster', 'a', 2)),
        step('nobody is watching', expectNobody),
      ))
  }
}

const rounds = isLong ? 10_000 : 300
/** Before this many, caches and pools still fill. */
const warmUp = isLong ? 2_000 : 100

for (const end of ['leaves', 'resets'] as const) {
  test(
    `rule 16: after ${rounds} streams whose client ${end} there is ${isLong ? 'as much memory as before' : 'no stream'}`,
    { timeout: 300_000 },
    () =>
      playTranscript(
        'sotw',
        world,
        step(`${rounds} streams, one after the other`, async (played) => {
          const connect = callsTo(played.server.port, end)
          const heap = async (): Promise<number> => {
            await eventually(() => played.server.status.nodes().length === 0)
            // The transcript's own memory is not the server's.
            ;(played.events as unknown[]).length = 0
            if (isLong) collectGarbage()
            return process.memoryUsage().heapUsed
          }
          for (let round = 0; round < warmUp; round++) await connect()
          const before = await heap()
          for (let round = warmUp; round < rounds; round++) await connect()
          const grown = (await heap()) - before
          // A stream that stays holds kilobytes; over a few hundred of them the heap's own noise is as large.
          if (isLong) expect(grown / (rounds - warmUp)).toBeLessThan(500)
          expectNobody(played)
        }),
      ),
  )
}

/** A client that keeps nothing of its calls, as those of the transcripts do: each is answered once and is over. */
function callsTo(port: number, end: 'leaves' | 'resets'): () => Promise<void> {
  const writer = new jspb.BinaryWriter()
  writer.writeMessage(2, {}, () => {
    writer.writeString(1, 'envoy-1')
  })
  writer.writeString(4, typeUrlOf('cluster'))
  const request = Buffer.from(writer.getResultBuffer())
  const same = (bytes: Buffer): Buffer => bytes
  const grpc = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), {
    'grpc.use_local_subchannel_pool': 1,
    'grpc.enable_http_proxy': 0,
  })
  const path = '/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources'
  atTestEnd(() => grpc.close())
  return () =>
    new Promise((resolve) => {
      const call = grpc.makeBidiStreamRequest(path, same, same)
      call.on('error', () => {})
      call.on('data', () => {
        if (end === 'leaves') call.end()
        else call.cancel()
      })
      call.on('status', () => resolve())
      call.write(request)
    })
}

const collectGarbage = (() => {
  setFlagsFromString('--expose-gc')
  return runInNewContext('gc') as () => void
})()
