import { expect, it } from 'vitest'
import { loadEnvoyApi } from '../envoy-api.ts'
import { encodeOwn } from '../own-message.ts'
import { typeUrlPrefix } from '../type-url.ts'
import { redactBytes } from './redact-bytes.ts'

const api = loadEnvoyApi()
const tlsContext = 'envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext'
const listener = 'envoy.config.listener.v3.Listener'
const secret = 'the private key'

function listenerWithKey(): Uint8Array {
  const privateKey = { specifier: { case: 'inlineString', value: secret } }
  const value = encodeOwn(api, tlsContext, { commonTlsContext: { tlsCertificates: [{ privateKey }] } })
  const typedConfig = { typeUrl: `${typeUrlPrefix}${tlsContext}`, value }
  return encodeOwn(api, listener, {
    name: 'edge',
    filterChains: [
      { name: 'https', transportSocket: { name: 'tls', configType: { case: 'typedConfig', value: typedConfig } } },
    ],
  })
}

it('redacts a key inside an extension and keeps the rest', () => {
  const bytes = listenerWithKey()
  expect(Buffer.from(bytes).includes(secret)).toBe(true)
  const redacted = Buffer.from(redactBytes(api, `${typeUrlPrefix}${listener}`, bytes) ?? [])
  expect(redacted.includes(secret)).toBe(false)
  for (const kept of ['edge', 'https', tlsContext]) expect(redacted.includes(kept)).toBe(true)
})

it('keeps no field that the API does not know', () => {
  const unknownField = Buffer.concat([Buffer.from([0xfa, 0xff, 0x7f, secret.length]), Buffer.from(secret)])
  const bytes = Buffer.concat([listenerWithKey(), unknownField])
  const redacted = Buffer.from(redactBytes(api, `${typeUrlPrefix}${listener}`, bytes) ?? [])
  expect(redacted.length).toBeGreaterThan(0)
  expect(redacted.includes(secret)).toBe(false)
})

it('gives nothing of a type that the API does not know', () => {
  expect(redactBytes(api, 'type.googleapis.com/acme.v1.Unknown', Buffer.from(secret))).toBeUndefined()
})
