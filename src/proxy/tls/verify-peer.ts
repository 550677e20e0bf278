import { createHash, type X509Certificate } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import { hasAcceptedName, namesOf } from './certificate-names.ts'
import type { NameMatcher, ValidationContext } from './validation-context.ts'

/** Why a peer is not taken for whom it says it is: what Envoy counts it as. */
export type PeerFault = 'fail_verify_no_cert' | 'fail_verify_error' | 'fail_verify_san' | 'fail_verify_cert_hash'

/**
 * @param certificate what the peer has shown, asked for once: Node gives it only to who asks first
 * @param names that are asked for beside the context's: those that `auto_san_validation` makes of the request
 */
export function verifyPeer(
  socket: TLSSocket,
  certificate: X509Certificate | undefined,
  validation: ValidationContext,
  names: readonly NameMatcher[] = [],
): PeerFault | undefined {
  if (certificate === undefined) return 'fail_verify_no_cert'
  if (!isChainTrusted(socket, validation)) return 'fail_verify_error'
  const asked = names.length > 0 ? names : validation.names
  if (asked.length > 0 && !hasAcceptedName(namesOf(certificate), asked)) return 'fail_verify_san'
  if (!isHashAccepted(certificate, validation)) return 'fail_verify_cert_hash'
  return undefined
}

function isChainTrusted(socket: TLSSocket, validation: ValidationContext): boolean {
  if (validation.trustedCa === undefined && !validation.usesSystemRoots) return true
  if (validation.acceptsUntrusted || socket.authorized) return true
  return validation.allowsExpired && String(socket.authorizationError) === 'CERT_HAS_EXPIRED'
}

function isHashAccepted(certificate: X509Certificate, { certificateHashes, spkiHashes }: ValidationContext): boolean {
  if (certificateHashes.length === 0 && spkiHashes.length === 0) return true
  if (certificateHashes.includes(sha256Of(certificate))) return true
  const key = certificate.publicKey.export({ type: 'spki', format: 'der' })
  return spkiHashes.includes(createHash('sha256').update(key).digest('base64'))
}

/** Of the DER, in lower-case hex. */
export function sha256Of(certificate: X509Certificate): string {
  return certificate.fingerprint256.replaceAll(':', '').toLowerCase()
}
