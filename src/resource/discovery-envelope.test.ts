import { create, type DescMessage, fromBinary, fromJsonString, toBinary, toJson } from '@bufbuild/protobuf'
import { describe, expect, test } from 'vitest'
import { decodeNode, decodeNodeId } from './decode-node.ts'
import { readNames, responseWithoutNonce, scanDeltaRequest, scanSotwRequest, withNonce } from './discovery-envelope.ts'
import { loadEnvoyApi } from './envoy-api.ts'
import { deltaFrame, sotwFrame } from './frame.ts'

const { registry } = loadEnvoyApi()

function descOf(name: string): DescMessage {
  const desc = registry.getMessage(name)
  if (desc === undefined) throw new Error(`no message ${name}`)
  return desc
}

const discovery = 'envoy.service.discovery.v3'

/** Encoded by another library than the one that reads it. */
function encode(message: string, json: unknown): Uint8Array {
  const desc = descOf(message)
  return toBinary(desc, fromJsonString(desc, JSON.stringify(json), { registry }))
}

function decode(message: string, bytes: Uint8Array): unknown {
  const desc = descOf(message)
  return toJson(desc, fromBinary(desc, bytes), { registry, useProtoFieldName: true })
}

describe('a DiscoveryRequest', () => {
  test('is read, its names as one range', () => {
    const request = scanSotwRequest(
      encode(`${discovery}.DiscoveryRequest`, {
        version_info: 'v1',
        node: { id: 'n' },
        resource_names: ['b', 'a'],
        type_url: 'type.googleapis.com/x.Y',
        response_nonce: '7',
        error_detail: { code: 13, message: 'bad' },
        resource_locators: [{ name: 'ignored' }],
      }),
    )
    expect(request).toMatchObject({
      versionInfo: 'v1',
      typeUrl: 'type.googleapis.com/x.Y',
      responseNonce: '7',
      errorDetail: { code: 13, message: 'bad' },
    })
    expect(readNames(request.nameBytes)).toEqual(['b', 'a'])
    expect(decodeNodeId(request.node as Uint8Array)).toBe('n')
  })

  test('without error_detail is no rejection, with an empty one it is (rule 28)', () => {
    expect(scanSotwRequest(encode(`${discovery}.DiscoveryRequest`, {})).errorDetail).toBeUndefined()
    const request = encode(`${discovery}.DiscoveryRequest`, { error_detail: {} })
    expect(scanSotwRequest(request).errorDetail).toEqual({ code: 0, message: '' })
  })

  test('may write its names apart from one another', () => {
    const [a, b, type] = [{ resource_names: ['a'] }, { resource_names: ['b'] }, { type_url: 't' }].map((json) =>
      encode(`${discovery}.DiscoveryRequest`, json),
    ) as [Uint8Array, Uint8Array, Uint8Array]
    const request = scanSotwRequest(Buffer.concat([a, type, b]))
    expect(readNames(request.nameBytes)).toEqual(['a', 'b'])
    expect(request.typeUrl).toBe('t')
  })

  test.each(['fffe', 'c080', 'eda080', 'e282'])('with a name that is no text is refused: %s', (hex) => {
    const name = Buffer.from(hex, 'hex')
    const request = Buffer.concat([Buffer.from([0x1a, 1, 0x61, 0x1a, name.length]), name])
    expect(() => scanSotwRequest(request)).toThrow('not UTF-8')
  })

  test('may hold fields of a later API (rule 67)', () => {
    // Field 1000: a varint, a length-delimited, a 64-bit and a 32-bit value.
    const unknown = Buffer.from(['c03e01', 'c23e026162', 'c13e0102030405060708', 'c53e01020304'].join(''), 'hex')
    const request = encode(`${discovery}.DiscoveryRequest`, { type_url: 't' })
    expect(scanSotwRequest(Buffer.concat([unknown, request])).typeUrl).toBe('t')
  })

  test.each(['0a', '0aff', '08', 'ff', '0a05616263', '1b'])('of broken bytes %s is refused', (hex) => {
    expect(() => scanSotwRequest(Buffer.from(hex, 'hex'))).toThrow()
    expect(() => scanDeltaRequest(Buffer.from(hex, 'hex'))).toThrow()
  })
})

test('A DeltaDiscoveryRequest is read', () => {
  const request = scanDeltaRequest(
    encode(`${discovery}.DeltaDiscoveryRequest`, {
      node: { id: 'n' },
      type_url: 't',
      resource_names_subscribe: ['a', '*'],
      resource_names_unsubscribe: ['b'],
      initial_resource_versions: { a: '1', '': '2' },
      response_nonce: '7',
      error_detail: { message: 'bad' },
    }),
  )
  expect({ ...request, node: decodeNodeId(request.node as Uint8Array) }).toEqual({
    node: 'n',
    typeUrl: 't',
    subscribe: ['a', '*'],
    unsubscribe: ['b'],
    initialVersions: new Map([
      ['a', '1'],
      ['', '2'],
    ]),
    responseNonce: '7',
    errorDetail: { code: 0, message: 'bad' },
  })
})

describe('a node', () => {
  test('is read', () => {
    const metadata = {
      env: 'prod',
      n: 1.5,
      on: true,
      none: null,
      list: ['a', { b: 1 }],
      fairlead: { static: { cluster: ['xds'] } },
      __proto__x: 1,
    }
    const node = decodeNode(
      encode('envoy.config.core.v3.Node', {
        id: 'n',
        cluster: 'edge',
        metadata,
        locality: { region: 'r', zone: 'z', sub_zone: 's' },
        user_agent_name: 'envoy',
        user_agent_build_version: { version: { major_number: 1, minor_number: 40, patch: 0 } },
        extensions: [{ name: 'ignored' }],
        client_features: ['f', 'g'],
      }),
    )
    expect(node).toEqual({
      id: 'n',
      cluster: 'edge',
      metadata,
      locality: { region: 'r', zone: 'z', subZone: 's' },
      userAgentName: 'envoy',
      userAgentVersion: '1.40.0',
      clientFeatures: ['f', 'g'],
      staticNames: { cluster: ['xds'] },
    })
  })

  test('cannot set a prototype by its metadata', () => {
    const json = '{"metadata":{"__proto__":{"polluted":true}}}'
    const desc = descOf('envoy.config.core.v3.Node')
    const node = decodeNode(toBinary(desc, fromJsonString(desc, json, { registry })))
    expect((node.metadata as { polluted?: boolean }).polluted).toBeUndefined()
    expect(Object.keys(node.metadata)).toEqual(['__proto__'])
  })

  test('with bottomless metadata is refused', () => {
    let metadata: object = {}
    for (let depth = 0; depth < 90; depth++) metadata = { deeper: metadata }
    expect(() => decodeNode(encode('envoy.config.core.v3.Node', { metadata }))).toThrow('too deeply')
  })
})

describe('a response', () => {
  const typeUrl = 'type.googleapis.com/google.protobuf.Empty'
  const empty = new Uint8Array(0)

  test('of SotW is a DiscoveryResponse', () => {
    const frames = [sotwFrame(typeUrl, empty), sotwFrame(typeUrl, empty)]
    const bytes = withNonce(
      responseWithoutNonce('sotw', { version: 'v', typeUrl, frames, removed: [], identifier: 'me' }),
      '9',
    )
    const desc = descOf(`${discovery}.DiscoveryResponse`)
    expect(fromBinary(desc, bytes)).toMatchObject({
      versionInfo: 'v',
      nonce: '9',
      typeUrl,
      resources: [{ typeUrl }, { typeUrl }],
      controlPlane: { identifier: 'me' },
    })
    expect(toBinary(desc, fromBinary(desc, bytes)).length).toBe(bytes.length)
  })

  test('of delta is a DeltaDiscoveryResponse', () => {
    const frames = [deltaFrame({ name: 'a', version: '1', typeUrl, aliases: ['b'], ttlMs: 1500 })]
    const bytes = withNonce(
      responseWithoutNonce('delta', { version: 'v', typeUrl, frames, removed: ['x', 'y'], identifier: 'me' }),
      '9',
    )
    expect(decode(`${discovery}.DeltaDiscoveryResponse`, bytes)).toEqual({
      system_version_info: 'v',
      resources: [{ name: 'a', version: '1', aliases: ['b'], ttl: '1.500s' }],
      type_url: typeUrl,
      nonce: '9',
      removed_resources: ['x', 'y'],
      control_plane: { identifier: 'me' },
    })
  })
})

test('Nothing is written for what is absent', () => {
  const bytes = responseWithoutNonce('delta', { version: 'v', typeUrl: 't', frames: [], removed: [], identifier: '' })
  const desc = descOf(`${discovery}.DeltaDiscoveryResponse`)
  expect(
    Buffer.from(toBinary(desc, create(desc, { systemVersionInfo: 'v', typeUrl: 't' } as never))).equals(bytes),
  ).toBe(true)
})
