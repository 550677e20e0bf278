import type { X509Certificate } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import { namesOf } from './certificate-names.ts'
import type { PeerFault } from './verify-peer.ts'

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

/** Of the operating system's: `TLS_error:|33554536:system library:OPENSSL_internal:Connection reset by peer:TLS_error_end` */
export function tlsSystemErrorText(errno: number, text: string): string {
  const library = 2 * 2 ** 24
  return `TLS_error:|${library + errno}:system library:OPENSSL_internal:${text}:TLS_error_end`
}

export interface ShownCertificate {
  readonly socket: TLSSocket
  readonly certificate: X509Certificate | undefined
}

/** Why a certificate was not taken. */
export function verifyFailureText(fault: PeerFault, { socket, certificate }: ShownCertificate): string {
  return tlsReasonText(
    'CERTIFICATE_VERIFY_FAILED',
    125,
    `verify cert failed: ${detailOf(fault, { socket, certificate })}`,
  )
}

function detailOf(fault: PeerFault, { socket, certificate }: ShownCertificate): string {
  switch (fault) {
    case 'fail_verify_error': {
      const text = chainFaults[String(socket.authorizationError)] ?? String(socket.authorizationError)
      return `X509_verify_cert: certificate verification error at depth 0: ${text}`
    }
    case 'fail_verify_san': {
      const names = certificate === undefined ? [] : namesOf(certificate).map(({ value }) => value)
      return `SAN matcher, certificate SANs are [${names.join(', ')}]`
    }
    case 'fail_verify_cert_hash':
      return 'cert hash and spki'
    case 'fail_verify_no_cert':
      return 'no certificate'
  }
}

/** In OpenSSL's words. BoringSSL ends at the first fault that it finds, OpenSSL tells the last. */
const chainFaults: Readonly<Record<string, string>> = {
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'unable to get local issuer certificate',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'unable to get local issuer certificate',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'self signed certificate',
  SELF_SIGNED_CERT_IN_CHAIN: 'self signed certificate in certificate chain',
  CERT_HAS_EXPIRED: 'certificate has expired',
  CERT_NOT_YET_VALID: 'certificate is not yet valid',
  CERT_REVOKED: 'certificate revoked',
  CERT_SIGNATURE_FAILURE: 'certificate signature failure',
}

/** `TLS_error:|268435581:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:TLS_error_end` */
function tlsReasonText(reason: string, number: number = reasons[reason] ?? 0, more = ''): string {
  const library = 16 * 2 ** 24
  const text = more === '' ? '' : `:${more}`
  return `TLS_error:|${library + number}:SSL routines:OPENSSL_internal:${reason}${text}:TLS_error_end`
}
