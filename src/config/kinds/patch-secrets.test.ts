import { describe, expect, test } from 'vitest'
import { loadEnvoyApi } from '../../resource/envoy-api.ts'
import { parseDocument } from '../parse-document.ts'

const api = loadEnvoyApi()
const tls = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3'
const pem = '-----BEGIN EC PRIVATE KEY-----'

function isSensitive(change: string, type = 'cluster'): boolean | undefined {
  const text = `kind: Patch\nname: p\ntarget: {type: ${type}, name: cart}\n${change}\n`
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
