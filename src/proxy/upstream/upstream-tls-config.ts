import type { FieldReader } from '../config/field-reader.ts'
import { noTlsSettings, readTlsSettings, type TlsSettings } from '../tls/tls-settings.ts'

/** TLS towards an upstream: `envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext`. */
export interface UpstreamTlsConfig {
  readonly tls: TlsSettings
  /** Empty: none is sent, unless the protocol options take it from the request. */
  readonly sni: string
}

export function readUpstreamTlsConfig(fields: FieldReader): UpstreamTlsConfig {
  fields.ignore('max_session_keys', 'how many sessions are kept for resumption changes no outcome')
  fields.ignore('enforce_rsa_key_usage', 'OpenSSL always checks the key usage of a certificate')
  if (fields.flag('allow_renegotiation')) fields.refuse('allow_renegotiation', 'it is not supported')
  return {
    tls: fields.message('common_tls_context', readTlsSettings) ?? noTlsSettings,
    sni: fields.string('sni'),
  }
}
