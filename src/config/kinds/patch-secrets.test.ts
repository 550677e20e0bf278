import { describe, expect, test } from 'vitest'
import { loadEnvoyApi } from '../../resource/envoy-api.ts'
import { parseDocument } from '../parse-document.ts'

const api = loadEnvoyApi()
const tls = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3'
const pem = '-----BEGIN EC PRIVATE KEY-----'

function isSensitive(change: string, type = 'cluster', at = ''): boolean | undefined {
  const text = `kind: Patch\nname: p\ntarget: {type: ${type}, name: cart}\n${at}${change}\n`
  const { documents, problems } = parseDocument(api, { id: 'file:p', text, origin: { name: 'p' } })
  expect(problems).toEqual([])
  return documents[0]?.resources[0]?.isSensitive
}

const context = (key: string): string =>
  `{'@type': ${tls}.UpstreamTlsContext, common_tls_context: {tls_certificates: [{private_key: ${key}}]}}`

describe('a Patch is sensitive', () => {
  test.each([
    [
      'where a message that it names has a key',
      `merge: {transport_socket: {name: tls, typed_config: ${context('{inline_string: k}')}}}`,
    ],
    [
      'in a step, too',
      `jsonPatch: [{op: add, path: /transport_socket, value: {name: tls, typed_config: ${context('{inline_bytes: aw==}')}}}]`,
    ],
    [
      'where what it changes has a password',
      `merge: {typed_extension_protocol_options: {x: {'@type': type.googleapis.com/envoy.extensions.filters.network.redis_proxy.v3.RedisProtocolOptions, auth_password: {inline_string: p}}}}`,
    ],
    ['where something looks like a key', `jsonPatch: [{op: replace, path: /x, value: "${pem}"}]`],
    [
      'where that is in base64',
      `merge: {metadata: {filter_metadata: {x: {y: ${Buffer.from(pem).toString('base64')}}}}}`,
    ],
  ])('%s', (_, change) => {
    expect(isSensitive(change)).toBe(true)
  })

  test.each([
    ['for a key in a file', `merge: {transport_socket: {name: tls, typed_config: ${context('{filename: /a.key}')}}}`],
    ['for a certificate', `merge: {metadata: {filter_metadata: {x: {y: "-----BEGIN CERTIFICATE-----"}}}}`],
    ['for what is removed', `jsonPatch: [{op: remove, path: /transport_socket}]`],
    ['for a number', `merge: {per_connection_buffer_limit_bytes: 1024}`],
  ])('but not %s', (_, change) => {
    expect(isSensitive(change)).toBe(false)
  })
})

const below = '/transport_socket/typed_config/common_tls_context/tls_certificates'
const merged = (tls: string): string => `merge: {transport_socket: {typed_config: {common_tls_context: ${tls}}}}`
const certificate = (content: string): string => merged(`{tls_certificates: [${content}]}`)
const lua = (change: string): string => `{name: lua, typed_config: ${change}}`
const luaType = "'@type': type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua"
const grpc = '/eds_cluster_config/eds_config/api_config_source/grpc_services/0/google_grpc/channel_credentials'

describe('below what has no type in it, a Patch is sensitive', () => {
  test.each([
    ['for a password', certificate('{password: {inline_string: hunter2}}')],
    ['for a key in DER', certificate('{private_key: {inline_bytes: MIIEvQIBADANBgkqhkiG}}')],
    ['in the other spelling', certificate('{privateKey: {inlineBytes: MIIEvQIBADANBgkqhkiG}}')],
    ['for PKCS#12', certificate('{pkcs12: {inline_bytes: MIIKcwIBAzCC}}')],
    [
      'for keys of session tickets',
      'merge: {x: {typed_config: {session_ticket_keys: {keys: [{inline_bytes: aw==}]}}}}',
    ],
    ['for a field that is marked somewhere', 'merge: {x: {typed_config: {backend_token: t}}}'],
    ['for a whole entry of a list', `jsonPatch: [{op: add, path: ${below}/0, value: {password: {inline_string: p}}}]`],
    ['for the map in a field', `jsonPatch: [{op: add, path: ${below}/0/password, value: {inline_string: hunter2}}]`],
    ['for the content itself', `jsonPatch: [{op: replace, path: ${below}/0/password/inline_string, value: hunter2}]`],
    [
      'for what a step compares with',
      `jsonPatch: [{op: test, path: ${below}/0/password/inline_string, value: hunter2}]`,
    ],
    ['for a field that the API does not know', 'merge: {transport_sockets: {inline_string: hunter2}}'],
    [
      'for a message that names no type of a TypedStruct',
      "merge: {transport_socket: {typed_config: {'@type': type.googleapis.com/xds.type.v3.TypedStruct, value: {password: {inline_string: p}}}}}",
    ],
  ])('%s', (_, change) => {
    expect(isSensitive(change)).toBe(true)
  })

  test('for whatever it writes into a secret', () => {
    expect(isSensitive('merge: {tls_certificate: {private_key: {inline_bytes: aw==}}}', 'secret')).toBe(true)
    const step = 'jsonPatch: [{op: add, path: /generic_secret/secret, value: {inline_string: s}}]'
    expect(isSensitive(step, 'secret')).toBe(true)
    expect(isSensitive('jsonPatch: [{op: remove, path: /tls_certificate/ocsp_staple}]', 'secret')).toBe(false)
  })

  test('for a marked field that a step leads to', () => {
    const step = (value: string): string =>
      `jsonPatch: [{op: add, path: ${grpc}/ssl_credentials/private_key, value: ${value}}]`
    expect(isSensitive(step('{inline_string: k}'))).toBe(true)
    expect(isSensitive(step('{filename: /a.key}'))).toBe(false)
  })

  test.each([
    ['for names of files', certificate('{private_key: {filename: /a.key}, password: {environment_variable: P}}')],
    ['for names of secrets', merged('{tls_certificate_sds_secret_configs: [{name: shop}]}')],
    ['for a setting', merged('{tls_params: {tls_minimum_protocol_version: TLSv1_3}}')],
    ['for what is taken away', merged('{tls_certificates: null}')],
  ])('but not %s', (_, change) => {
    expect(isSensitive(change)).toBe(false)
  })
})

describe('content that the API does not mark is none where its type is known', () => {
  test.each([
    ['a body of a route', 'merge: {direct_response: {body: {inline_string: hello}}}', 'route', '{route: r}'],
    [
      'a body that a step leads to',
      'jsonPatch: [{op: add, path: /direct_response/body/inline_string, value: hello}]',
      'route',
      '{route: r}',
    ],
    [
      'a body below a virtual host',
      'merge: {routes: [{direct_response: {body: {inline_string: hello}}}]}',
      'route',
      '{virtualHost: v}',
    ],
    [
      'a filter',
      `insertBefore: ${lua(`{${luaType}, default_source_code: {inline_string: x}}`)}`,
      'listener',
      '{httpFilter: router}',
    ],
    ['metadata', 'merge: {metadata: {filter_metadata: {x: {inline_string: y}}}}', 'cluster', ''],
  ])('%s', (_, change, type, at) => {
    expect(isSensitive(change, type, at && `at: ${at}\n`)).toBe(false)
  })

  test('but a filter that is merged into has none', () => {
    const change = `merge: ${lua('{default_source_code: {inline_string: x}}')}`
    expect(isSensitive(change, 'listener', 'at: {httpFilter: lua}\n')).toBe(true)
  })
})
