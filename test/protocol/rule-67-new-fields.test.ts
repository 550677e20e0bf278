import jspb from 'google-protobuf'
import { expect, test } from 'vitest'
import { protocols } from '../support/conversation.ts'
import { openRawStream } from '../support/raw-stream.ts'
import { resource } from '../support/resource.ts'
import { given, playTranscript, step } from '../support/transcript.ts'
import { type Protocol, typeUrlOf } from '../support/wire-client.ts'

const methods: Readonly<Record<Protocol, string>> = {
  sotw: '/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources',
  delta: '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources',
}

/** Field numbers of the requests, from the API's own files. */
const fields = {
  sotw: { node: 2, names: 3, typeUrl: 4, locators: [7] },
  delta: { node: 1, names: 3, typeUrl: 2, locators: [8, 9] },
} as const

/** `resources`, `version_info`, `type_url`, `nonce`, `control_plane`, … : all fields that a client of any age knows. */
const usual: Readonly<Record<Protocol, readonly number[]>> = { sotw: [1, 2, 4, 5, 6], delta: [1, 2, 4, 5, 6, 7] }

interface Request {
  readonly protocol: Protocol
  readonly type: 'cluster' | 'endpoint'
  readonly names?: readonly string[]
  readonly features?: readonly string[]
}

/** A request of the future: with `resource_locators` and fields that nobody has thought of, in the node too. */
function futureRequest({ protocol, type, names = [], features = [] }: Request): Uint8Array {
  const { node, names: namesField, typeUrl, locators } = fields[protocol]
  const writer = new jspb.BinaryWriter()
  const writeUnknown = (): void => {
    writer.writeString(1999, 'from the future')
    writer.writeFixed64(2000, 1)
    writer.writeDouble(2001, 0.5)
  }
  writeUnknown()
  writer.writeMessage(node, {}, () => {
    writer.writeString(1, 'envoy-1')
    writeUnknown()
    writer.writeString(2, 'edge')
    writer.writeRepeatedString(10, ['a.feature.of.the.future', ...features])
  })
  writer.writeString(typeUrl, typeUrlOf(type))
  writer.writeRepeatedString(namesField, [...names])
  for (const field of locators) {
    writer.writeMessage(field, {}, () => {
      writer.writeString(1, 'located')
      writer.writeMessage(2, {}, () => {
        writer.writeString(1, 'env')
        writer.writeString(2, 'prod')
      })
    })
  }
  writeUnknown()
  return writer.getResultBuffer()
}

function fieldsOf(bytes: Uint8Array): readonly number[] {
  const reader = new jspb.BinaryReader(bytes)
  const found = new Set<number>()
  while (reader.nextField()) {
    found.add(reader.getFieldNumber())
    reader.skipField()
  }
  return [...found].sort((a, b) => a - b)
}

for (const protocol of protocols) {
  test(`rule 67: a request with fields of the future is answered as without them (${protocol})`, () =>
    playTranscript(
      protocol,
      given(resource('cluster', 'cluster-a')),
      step('the answer has the cluster', async (world) => {
        const stream = openRawStream(world.server.port, methods[protocol])
        stream.send(futureRequest({ protocol, type: 'cluster' }))
        const answer = await stream.next()
        expect(answer.toString('latin1')).toContain('cluster-a')
        stream.end()
        expect(await stream.closed).toBe('OK')
      }),
    ))

  test(`rule 67: no response has a field that is not implemented in Envoy (${protocol})`, () =>
    playTranscript(
      protocol,
      given(resource('cluster', 'cluster-a', 1, { ttlMs: 5_000 }), resource('endpoint', 'known')),
      step('neither of what there is nor of what there is not', async (world) => {
        const stream = openRawStream(world.server.port, methods[protocol])
        for (const request of [{ type: 'cluster' }, { type: 'endpoint', names: ['known', 'unknown'] }] as const) {
          stream.send(futureRequest({ protocol, ...request }))
          for (const field of fieldsOf(await stream.next())) expect(usual[protocol]).toContain(field)
        }
      }),
    ))
}
