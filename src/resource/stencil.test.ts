import { type DescMessage, fromJson, type JsonValue, toBinary } from '@bufbuild/protobuf'
import { describe, expect, test } from 'vitest'
import { loadEnvoyApi } from './envoy-api.ts'
import { cutStencil, fillStencil } from './stencil.ts'

const api = loadEnvoyApi()

function descOf(name: string): DescMessage {
  const desc = api.registry.getMessage(name)
  if (desc === undefined) throw new Error(`there is no ${name}`)
  return desc
}

const encoded = (desc: DescMessage, json: JsonValue): Uint8Array =>
  toBinary(desc, fromJson(desc, json, { registry: api.registry }))

const any = (name: string, fields: Record<string, JsonValue>): JsonValue => ({
  '@type': `type.googleapis.com/${name}`,
  ...fields,
})

const tcpProxy = 'envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy'

/** A listener that has two names in many places. */
const listener = (name: string, service: string): JsonValue => ({
  name,
  address: { socketAddress: { address: '127.0.0.1', portValue: 80 } },
  metadata: { filterMetadata: { shop: { owner: `${service} of ${name}`, weights: [1, 2.5, name] } } },
  perConnectionBufferLimitBytes: 32768,
  filterChains: ['', '/more'].map((more) => ({
    filterChainMatch: { serverNames: [service, 'other', name + more], destinationPort: 8080 },
    filters: [
      {
        name: 'tcp',
        typedConfig: any(tcpProxy, { statPrefix: `${name}${more}/${service}/${name}`, cluster: service + more }),
      },
    ],
  })),
})

const names = ['cart', 'x'.repeat(127), 'x'.repeat(128), 'ü'.repeat(9000), 'blank']

describe('a message with texts taken out of it', () => {
  test.each(names)('is with others what encoding it with those gives (%#)', (name) => {
    const desc = descOf('envoy.config.listener.v3.Listener')
    const stencil = cutStencil(api, desc, encoded(desc, listener('<blank 0>', '<blank 1>')), ['<blank 0>', '<blank 1>'])
    if (stencil === undefined) throw new Error('it cannot be cut')
    for (const service of names) {
      const filled = fillStencil(stencil, [name, service])
      expect(Buffer.from(filled).equals(encoded(desc, listener(name, service)))).toBe(true)
    }
  })

  test('is the message itself where it has none of them', () => {
    const desc = descOf('envoy.config.listener.v3.Listener')
    const bytes = encoded(desc, listener('a', 'b'))
    const stencil = cutStencil(api, desc, bytes, ['<blank 0>'])
    expect(stencil && fillStencil(stencil, ['other'])).toEqual(bytes)
  })

  test.each<[where: string, message: string, json: JsonValue]>([
    ['bytes', 'envoy.config.core.v3.DataSource', { inlineBytes: Buffer.from('a <blank 0>').toString('base64') }],
    ['the key of a map', 'envoy.config.core.v3.Metadata', { filterMetadata: { '<blank 0>': { a: 1 } } }],
  ])('is none where one of them is in %s', (_, message, json) => {
    const desc = descOf(message)
    expect(cutStencil(api, desc, encoded(desc, json), ['<blank 0>'])).toBeUndefined()
  })

  test('is none where one of them is in a message that is not known', () => {
    const desc = descOf('google.protobuf.Any')
    const known = encoded(desc, any(tcpProxy, { statPrefix: 'a', cluster: '<blank 0>' }))
    const unknown = Buffer.from(Buffer.from(known).toString('latin1').replace('TcpProxy', 'TcpProxi'), 'latin1')
    expect(cutStencil(api, desc, known, ['<blank 0>'])).toBeDefined()
    expect(cutStencil(api, desc, unknown, ['<blank 0>'])).toBeUndefined()
  })
})
