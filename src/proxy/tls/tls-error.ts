/** OpenSSL's numbers of what Node says went wrong, as BoringSSL, which Envoy has, writes them. */
const reasons: Readonly<Record<string, number>> = {
  CERTIFICATE_VERIFY_FAILED: 125,
  NO_SHARED_CIPHER: 178,
  PEER_DID_NOT_RETURN_A_CERTIFICATE: 192,
  UNKNOWN_PROTOCOL: 218,
  UNSUPPORTED_PROTOCOL: 240,
  WRONG_VERSION_NUMBER: 247,
  HTTP_REQUEST: 155,
  NO_APPLICATION_PROTOCOL: 307,
}

/** What the alerts of TLS are called: their numbers are 1,000 higher as errors. */
const alerts: Readonly<Record<string, number>> = {
  SSLV3_ALERT_UNEXPECTED_MESSAGE: 10,
  SSLV3_ALERT_BAD_RECORD_MAC: 20,
  SSLV3_ALERT_HANDSHAKE_FAILURE: 40,
  SSLV3_ALERT_BAD_CERTIFICATE: 42,
  SSLV3_ALERT_UNSUPPORTED_CERTIFICATE: 43,
  SSLV3_ALERT_CERTIFICATE_REVOKED: 44,
  SSLV3_ALERT_CERTIFICATE_EXPIRED: 45,
  SSLV3_ALERT_CERTIFICATE_UNKNOWN: 46,
  SSLV3_ALERT_ILLEGAL_PARAMETER: 47,
  TLSV1_ALERT_UNKNOWN_CA: 48,
  TLSV1_ALERT_ACCESS_DENIED: 49,
  TLSV1_ALERT_DECODE_ERROR: 50,
  TLSV1_ALERT_DECRYPT_ERROR: 51,
  TLSV1_ALERT_PROTOCOL_VERSION: 70,
  TLSV1_ALERT_INSUFFICIENT_SECURITY: 71,
  TLSV1_ALERT_INTERNAL_ERROR: 80,
  TLSV1_UNRECOGNIZED_NAME: 112,
  TLSV1_CERTIFICATE_REQUIRED: 116,
  TLSV1_ALERT_NO_APPLICATION_PROTOCOL: 120,
}

/** Of an error of Node's TLS, as `upstream_transport_failure_reason` says it. */
export function tlsFailureText(error: Error & { readonly code?: string | undefined }): string {
  const reason = (error.code ?? '').replace(/^ERR_SSL_/, '').replace(/^TLSV13_ALERT_CERTIFICATE/, 'TLSV1_CERTIFICATE')
  const alert = alerts[reason]
  return tlsReasonText(reason, alert === undefined ? (reasons[reason] ?? 0) : 1000 + alert)
}

/** `TLS_error:|268435581:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:TLS_error_end` */
export function tlsReasonText(reason: string, number: number = reasons[reason] ?? 0, more = ''): string {
  const library = 16 * 2 ** 24
  const text = more === '' ? '' : `:${more}`
  return `TLS_error:|${library + number}:SSL routines:OPENSSL_internal:${reason}${text}:TLS_error_end`
}
