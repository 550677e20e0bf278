import {
  create,
  fromBinary,
  fromJson,
  type JsonObject,
  type JsonValue,
  type Message,
  toBinary,
  toJson,
} from '@bufbuild/protobuf'
import { WireType } from '@bufbuild/protobuf/wire'
import { describe, expect, test } from 'vitest'
import { loadEnvoyApi } from '../envoy-api.ts'
import { isSensitiveMessage, redactMessage } from './sensitive.ts'

const api = loadEnvoyApi()
const tls = 'envoy.extensions.transport_sockets.tls.v3'
const filters = 'envoy.extensions.filters'

function read(
  type: string,
  json: JsonObject,
): { desc: NonNullable<ReturnType<typeof api.registry.getMessage>>; message: Message } {
  const desc = api.registry.getMessage(type)
  if (!desc) throw new Error(`no ${type}`)
  return { desc, message: fromJson(desc, json, { registry: api.registry }) }
}

function isSensitive(type: string, json: JsonObject): boolean {
  const { desc, message } = read(type, json)
  return isSensitiveMessage(api, desc, message)
}

/** The redacted copy as JSON, after a trip through bytes. */
function redacted(type: string, json: JsonObject): JsonValue {
  const { desc, message } = read(type, json)
  const before = toBinary(desc, message)
  const copy = fromBinary(desc, toBinary(desc, redactMessage(api, desc, message)))
  expect(toBinary(desc, message), 'the original is left as it was').toEqual(before)
  expect(isSensitiveMessage(api, desc, message), 'redacting does not change what the original is').toBe(
    isSensitive(type, json),
  )
  return toJson(desc, copy, { registry: api.registry, useProtoFieldName: true })
}

function any(type: string, json: JsonObject): JsonObject {
  return { '@type': `type.googleapis.com/${type}`, ...json }
}

const key = { inline_string: 'hunter2' }
const hidden = { inline_string: '[redacted]' }
const hiddenBytes = { inline_bytes: Buffer.from('[redacted]').toString('base64') }
const inline = (certificate: JsonObject): JsonObject => ({
  name: 'tls',
  typed_config: any(`${tls}.DownstreamTlsContext`, { common_tls_context: { tls_certificates: [certificate] } }),
})

interface Row {
  readonly what: string
  readonly type: string
  readonly json: JsonObject
  readonly after: JsonObject
}

const rows: readonly Row[] = [
  {
    what: 'the private key of a certificate; not the chain',
    type: `${tls}.Secret`,
    json: { name: 's', tls_certificate: { certificate_chain: { inline_string: 'chain' }, private_key: key } },
    after: { name: 's', tls_certificate: { certificate_chain: { inline_string: 'chain' }, private_key: hidden } },
  },
  {
    what: 'a password beside a key in a file',
    type: `${tls}.Secret`,
    json: { name: 's', tls_certificate: { private_key: { filename: '/k' }, password: key } },
    after: { name: 's', tls_certificate: { private_key: { filename: '/k' }, password: hidden } },
  },
  {
    what: 'PKCS 12, in bytes',
    type: `${tls}.TlsCertificate`,
    json: { pkcs12: { inline_bytes: 'AQID' } },
    after: { pkcs12: hiddenBytes },
  },
  {
    what: 'a generic secret',
    type: `${tls}.Secret`,
    json: { name: 's', generic_secret: { secret: key } },
    after: { name: 's', generic_secret: { secret: hidden } },
  },
  {
    what: 'session ticket keys, each',
    type: `${tls}.Secret`,
    json: { name: 's', session_ticket_keys: { keys: [key, { filename: '/k' }, { inline_bytes: 'AQID' }] } },
    after: { name: 's', session_ticket_keys: { keys: [hidden, { filename: '/k' }, hiddenBytes] } },
  },
  {
    what: 'the TLS context of a filter chain, in its Any',
    type: 'envoy.config.listener.v3.Listener',
    json: { name: 'l', filter_chains: [{ transport_socket: inline({ private_key: key }) }] },
    after: { name: 'l', filter_chains: [{ transport_socket: inline({ private_key: hidden }) }] },
  },
  {
    what: 'the TLS context of a cluster behind the Any of another transport socket',
    type: 'envoy.config.cluster.v3.Cluster',
    json: {
      name: 'c',
      transport_socket: {
        name: 'p',
        typed_config: any('envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport', {
          transport_socket: inline({ private_key: key }),
        }),
      },
    },
    after: {
      name: 'c',
      transport_socket: {
        name: 'p',
        typed_config: any('envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport', {
          transport_socket: inline({ private_key: hidden }),
        }),
      },
    },
  },
  {
    what: 'users of basic authentication',
    type: `${filters}.http.basic_auth.v3.BasicAuth`,
    json: { users: key },
    after: { users: hidden },
  },
  {
    what: 'users of basic authentication, per route',
    type: 'envoy.config.route.v3.RouteConfiguration',
    json: {
      name: 'r',
      typed_per_filter_config: { b: any(`${filters}.http.basic_auth.v3.BasicAuthPerRoute`, { users: key }) },
    },
    after: {
      name: 'r',
      typed_per_filter_config: { b: any(`${filters}.http.basic_auth.v3.BasicAuthPerRoute`, { users: hidden }) },
    },
  },
  {
    what: 'the values, not the keys, of a map',
    type: `${filters}.http.ext_authz.v3.CheckSettings`,
    json: { context_extensions: { a: 'x', b: 'y' } },
    after: { context_extensions: { a: '[redacted]', b: '[redacted]' } },
  },
  {
    what: 'Redis passwords',
    type: `${filters}.network.redis_proxy.v3.RedisProtocolOptions`,
    json: { auth_password: key, auth_username: key },
    after: { auth_password: hidden, auth_username: hidden },
  },
  {
    what: 'the key of a gRPC client',
    type: 'envoy.config.core.v3.GrpcService',
    json: {
      google_grpc: {
        target_uri: 't',
        stat_prefix: 's',
        channel_credentials: { ssl_credentials: { private_key: key, cert_chain: { filename: '/c' } } },
      },
    },
    after: {
      google_grpc: {
        target_uri: 't',
        stat_prefix: 's',
        channel_credentials: { ssl_credentials: { private_key: hidden, cert_chain: { filename: '/c' } } },
      },
    },
  },
  {
    what: 'all that the Any of a private key provider holds, of whatever type',
    type: `${tls}.PrivateKeyProvider`,
    json: {
      provider_name: 'p',
      typed_config: any('google.protobuf.Struct', {
        value: { key: 'hunter2', pin: 1234, list: ['x', true, { a: 'b' }] },
      }),
    },
    after: {
      provider_name: 'p',
      typed_config: any('google.protobuf.Struct', {
        value: { key: '[redacted]', pin: '[redacted]', list: ['[redacted]', '[redacted]', { a: '[redacted]' }] },
      }),
    },
  },
  {
    what: 'numbers below a marked field, by clearing them',
    type: `${tls}.PrivateKeyProvider`,
    json: {
      provider_name: 'p',
      typed_config: any('envoy.config.core.v3.SocketAddress', { address: 'a', port_value: 1234 }),
    },
    after: { provider_name: 'p', typed_config: any('envoy.config.core.v3.SocketAddress', { address: '[redacted]' }) },
  },
  {
    what: 'a TypedStruct of a type that marks it',
    type: 'envoy.config.core.v3.TransportSocket',
    json: {
      name: 't',
      typed_config: any('xds.type.v3.TypedStruct', {
        type_url: `type.googleapis.com/${tls}.TlsCertificate`,
        value: { private_key: key },
      }),
    },
    after: {
      name: 't',
      typed_config: any('xds.type.v3.TypedStruct', {
        type_url: `type.googleapis.com/${tls}.TlsCertificate`,
        value: { private_key: hidden },
      }),
    },
  },
  {
    what: 'all of a TypedStruct that does not fit a type that marks something',
    type: 'envoy.config.core.v3.TransportSocket',
    json: {
      name: 't',
      typed_config: any('udpa.type.v1.TypedStruct', {
        type_url: `type.googleapis.com/${tls}.TlsCertificate`,
        value: { private_key: 'hunter2' },
      }),
    },
    after: {
      name: 't',
      typed_config: any('udpa.type.v1.TypedStruct', {
        type_url: `type.googleapis.com/${tls}.TlsCertificate`,
        value: {},
      }),
    },
  },
]

const harmless: readonly Omit<Row, 'after'>[] = [
  {
    what: 'a key by file name',
    type: `${tls}.Secret`,
    json: { name: 's', tls_certificate: { private_key: { filename: '/k', watched_directory: { path: '/d' } } } },
  },
  {
    what: 'a key by environment variable',
    type: `${tls}.Secret`,
    json: { name: 's', tls_certificate: { private_key: { environment_variable: 'K' } } },
  },
  {
    what: 'an empty key',
    type: `${tls}.Secret`,
    json: { name: 's', tls_certificate: { private_key: { inline_string: '' } } },
  },
  {
    what: 'a CA bundle',
    type: `${tls}.Secret`,
    json: { name: 's', validation_context: { trusted_ca: { inline_string: 'ca' } } },
  },
  {
    what: 'a secret by name',
    type: 'envoy.config.listener.v3.Listener',
    json: {
      name: 'l',
      filter_chains: [
        {
          transport_socket: {
            name: 't',
            typed_config: any(`${tls}.DownstreamTlsContext`, {
              common_tls_context: { tls_certificate_sds_secret_configs: [{ name: 's', sds_config: { ads: {} } }] },
            }),
          },
        },
      ],
    },
  },
  {
    what: 'a TypedStruct of another type',
    type: 'envoy.config.core.v3.TransportSocket',
    json: {
      name: 't',
      typed_config: any('xds.type.v3.TypedStruct', { type_url: 'a/no.such.Type', value: { private_key: 'k' } }),
    },
  },
  { what: 'an endpoint', type: 'envoy.config.endpoint.v3.ClusterLoadAssignment', json: { cluster_name: 'c' } },
]

describe('sensitive content', () => {
  test.each(rows)('is found and redacted: $what', ({ type, json, after }) => {
    expect(isSensitive(type, json)).toBe(true)
    const copy = redacted(type, json)
    expect(copy).toEqual(after)
    expect(JSON.stringify(copy)).not.toContain('hunter2')
  })

  test.each(harmless)('is not seen, and nothing is changed: $what', ({ type, json }) => {
    expect(isSensitive(type, json)).toBe(false)
    expect(redacted(type, json)).toEqual(redactionless(type, json))
  })

  test('a redacted resource that is redacted again does not change', () => {
    for (const { type, after } of rows) expect(redacted(type, after)).toEqual(after)
  })

  test('what the API does not know below a marked field is sensitive, and is dropped', () => {
    const { desc, message } = read(`${tls}.TlsCertificate`, { private_key: { filename: '/k' } })
    const unknown = { no: 99, wireType: WireType.LengthDelimited, data: new Uint8Array([1, 65]) }
    const source = (message as unknown as { privateKey: Message }).privateKey
    source.$unknown = [unknown]
    expect(isSensitiveMessage(api, desc, message)).toBe(true)
    const copy = redactMessage(api, desc, message) as unknown as { privateKey: Message }
    expect(copy.privateKey.$unknown ?? []).toEqual([])
  })

  test('an Any that does not decode as a type which may hold a key is taken for the worst', () => {
    const config = api.registry.getMessage('envoy.config.core.v3.TypedExtensionConfig')
    const anyDesc = api.registry.getMessage('google.protobuf.Any')
    if (!config || !anyDesc) throw new Error('no descriptors')
    const broken = (type: string): Message =>
      create(config, {
        typedConfig: create(anyDesc, { typeUrl: `a/${type}`, value: new Uint8Array([0xff]) } as never),
      } as never)
    expect(isSensitiveMessage(api, config, broken(`${tls}.TlsCertificate`))).toBe(true)
    expect(isSensitiveMessage(api, config, broken('google.protobuf.Duration'))).toBe(false)
    const copy = redactMessage(api, config, broken(`${tls}.TlsCertificate`)) as unknown as {
      typedConfig: { value: Uint8Array }
    }
    expect(copy.typedConfig.value.length).toBe(0)
  })
})

function redactionless(type: string, json: JsonObject): JsonValue {
  const { desc, message } = read(type, json)
  return toJson(desc, message, { registry: api.registry, useProtoFieldName: true })
}
