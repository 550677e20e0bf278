import type { FieldReader } from '../config/field-reader.ts'
import { noTlsSettings, readTlsSettings, type TlsSettings } from '../tls/tls-settings.ts'

/** TLS towards clients: `envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext`. */
export interface DownstreamTlsConfig {
  readonly tls: TlsSettings
  readonly requiresClientCertificate: boolean
  /** A client that names nobody is refused. */
  readonly requiresServerName: boolean
  /** How long a session may be resumed; undefined is OpenSSL's. */
  readonly sessionTimeoutMs: number | undefined
}

/** `transport_socket` of a filter chain; undefined for plain text. */
export function readDownstreamTransportSocket(fields: FieldReader): DownstreamTlsConfig | undefined {
  fields.ignore('name', 'the type says which one it is')
  return fields.any<DownstreamTlsConfig | undefined>('typed_config', {
    'envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer': () => undefined,
    'envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext': readDownstreamTls,
  })
}

function readDownstreamTls(fields: FieldReader): DownstreamTlsConfig {
  fields.ignore('full_scan_certs_on_sni_mismatch', 'the first certificate is shown to whoever asks for another name')
  fields.ignore('disable_stateful_session_resumption', 'sessions are kept in tickets only')
  fields.choice('ocsp_staple_policy', ['LENIENT_STAPLING'])
  return {
    tls: fields.message('common_tls_context', readTlsSettings) ?? noTlsSettings,
    requiresClientCertificate: fields.flag('require_client_certificate'),
    requiresServerName: fields.flag('require_sni'),
    sessionTimeoutMs: fields.durationMs('session_timeout'),
  }
}
