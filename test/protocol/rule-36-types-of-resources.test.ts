import { type DescMessage, fromBinary } from '@bufbuild/protobuf'
import { expect } from 'vitest'
import { asks, protocols } from '../support/conversation.ts'
import { envoyApi, resource } from '../support/resource.ts'
import { accepted, client, given, transcript } from '../support/transcript.ts'
import { typeUrlOf, type WireResponse } from '../support/wire-client.ts'

const ttl = { ttlMs: 5_000 }
const words = ['cluster', 'endpoint', 'secret', 'extension', 'runtime', 'listener', 'scopedRoute', 'route'] as const

/** Each decodes as a message of the response's own type. */
function decodes({ typeUrl, resources }: WireResponse): void {
  const desc = envoyApi.registry.getMessage(typeUrl.slice(typeUrl.indexOf('/') + 1)) as DescMessage
  for (const { typeUrl: own, bytes } of resources) {
    expect(own).toBe(typeUrl)
    fromBinary(desc, bytes ?? new Uint8Array())
  }
}

for (const protocol of protocols) {
  for (const type of words) {
    transcript(
      `rule 36: every ${type} is an Any of the response's type (${protocol})`,
      protocol,
      given(resource(type, 'a', 1), resource(type, 'b', 2, ttl)),
      client(asks(type, 'a', 'b')),
      accepted({
        type,
        resources: ['a', 'b'],
        where: (response) => {
          expect(response.typeUrl).toBe(typeUrlOf(type))
          decodes(response)
          for (const { isWrapped } of response.resources) expect(isWrapped).toBe(protocol === 'delta')
        },
      }),
    )
  }
}

for (const feature of ['xds.config.resource-in-sotw', 'envoy.lb.some_other_feature']) {
  const isKnown = feature === 'xds.config.resource-in-sotw'
  transcript(
    `rule 36: a node with the feature ${feature} gets ${isKnown ? 'a TTL in the wrapper' : 'no wrapper'} in SotW`,
    { protocol: 'sotw', node: { id: 'envoy-1', cluster: 'edge', client_features: [feature] } },
    given(resource('runtime', 'a', 1, ttl)),
    client({ type: 'runtime', names: ['a'] }),
    accepted({
      type: 'runtime',
      resources: ['a'],
      where: (response) => {
        decodes(response)
        const [a] = response.resources
        expect(a?.isWrapped).toBe(isKnown)
        expect(a?.ttlMs).toBe(isKnown ? ttl.ttlMs : undefined)
      },
    }),
  )
}
