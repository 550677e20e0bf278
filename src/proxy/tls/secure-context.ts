import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { createSecureContext, rootCertificates, type SecureContext, type SecureContextOptions } from 'node:tls'
import { messageOf } from '../../errors.ts'
import { ConfigRejection } from '../config/config-rejection.ts'
import type { TlsCertificate } from './tls-certificate.ts'
import type { TlsSettings, TlsVersion } from './tls-settings.ts'
import type { ValidationContext } from './validation-context.ts'

/**
 * OpenSSL's context for the settings, with certificates of which each has another kind of key.
 * @throws ConfigRejection where a certificate, key or CA cannot be used.
 */
export function buildClientContext(
  settings: TlsSettings,
  certificates: readonly TlsCertificate[],
  validation: ValidationContext | undefined,
): SecureContext {
  checkMaterial(settings, certificates, validation)
  // Towards upstreams Envoy goes no higher than 1.2 where nothing is said (measured).
  const maxVersion = settings.maxVersion ?? settings.minVersion ?? 'TLSv1.2'
  try {
    return createSecureContext(secureContextOptions({ ...settings, maxVersion }, certificates, validation))
  } catch (error) {
    throw new ConfigRejection(`Failed to initialize TLS: ${messageOf(error)}`, { cause: error })
  }
}

/** @throws ConfigRejection in Envoy's words where a certificate, key or CA cannot be used. */
export function checkMaterial(
  { cipherSuites }: TlsSettings,
  certificates: readonly TlsCertificate[],
  validation: ValidationContext | undefined,
): void {
  const rejected = cipherSuites
    .flatMap((suites) => suites.split(/[[\]|]/))
    .filter((suite) => suite !== '' && !isCipher(suite))
  if (rejected.length > 0) {
    throw new ConfigRejection(
      `Failed to initialize cipher suites ${cipherSuites.join(':')}. The following ciphers were rejected when tried individually: ${rejected.join(', ')}`,
    )
  }
  for (const certificate of certificates) checkCertificate(certificate)
  if (validation !== undefined) checkValidation(validation)
}

export function secureContextOptions(
  settings: TlsSettings,
  certificates: readonly TlsCertificate[],
  validation: ValidationContext | undefined,
): SecureContextOptions {
  const pems = certificates.filter(({ pkcs12 }) => pkcs12 === undefined)
  const bundles = certificates.filter(({ pkcs12 }) => pkcs12 !== undefined)
  const { cipherSuites, ecdhCurves, signatureAlgorithms } = settings
  return {
    ...(pems.length > 0 && {
      cert: pems.map(({ chain }) => chain as Buffer),
      key: pems.map(({ key, password }) => ({
        pem: key as Buffer,
        ...(password !== undefined && { passphrase: password.toString() }),
      })),
    }),
    ...(bundles.length > 0 && {
      pfx: bundles.map(({ pkcs12, password }) => ({
        buf: pkcs12 as Buffer,
        ...(password !== undefined && { passphrase: password.toString() }),
      })),
    }),
    // Without a CA nobody is trusted, not those whom Node knows.
    ca: validation?.trustedCa ?? (validation?.usesSystemRoots === true ? [...rootCertificates] : []),
    ...(validation?.crl !== undefined && { crl: validation.crl }),
    minVersion: settings.minVersion ?? usualVersions.min,
    maxVersion: settings.maxVersion ?? usualVersions.max,
    ciphers: [...tls13Ciphers, ...(cipherSuites.length > 0 ? cipherSuites : usualCiphers)].map(cipherName).join(':'),
    ...(ecdhCurves.length > 0 && { ecdhCurve: ecdhCurves.join(':') }),
    ...(signatureAlgorithms.length > 0 && { sigalgs: signatureAlgorithms.join(':') }),
  }
}

/** Whether OpenSSL knows it. */
function isCipher(ciphers: string): boolean {
  try {
    createSecureContext({ ciphers, maxVersion: 'TLSv1.2' })
    return true
  } catch {
    return false
  }
}

const usualVersions: { readonly min: TlsVersion; readonly max: TlsVersion } = { min: 'TLSv1.2', max: 'TLSv1.3' }

/** `cipher_suites` says nothing of TLS 1.3, whose suites are always these. */
const tls13Ciphers = ['TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256', 'TLS_AES_128_GCM_SHA256']

/** Envoy's own for TLS 1.2. */
const usualCiphers = [
  '[ECDHE-ECDSA-AES128-GCM-SHA256|ECDHE-ECDSA-CHACHA20-POLY1305]',
  '[ECDHE-RSA-AES128-GCM-SHA256|ECDHE-RSA-CHACHA20-POLY1305]',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
]

/** Envoy's lists may group suites of equal preference, which OpenSSL knows no way to say: `[A|B]`. */
const cipherName = (name: string): string => name.replaceAll(/[[\]]/g, '').replaceAll('|', ':')

/** The first of a chain, as PEM. */
export function leafOf({ chain }: TlsCertificate): X509Certificate | undefined {
  return chain === undefined ? undefined : new X509Certificate(chain)
}

const noStartLine = ', Cause: error:0900006e:PEM routines:OPENSSL_internal:NO_START_LINE'

/** @throws ConfigRejection in Envoy's words */
function checkCertificate({ chain, key, password, pkcs12 }: TlsCertificate): void {
  if (pkcs12 !== undefined) return
  if (chain === undefined || chain.length === 0) {
    throw new ConfigRejection('Failed to load incomplete certificate from : certificate chain not set')
  }
  if (key === undefined || key.length === 0) {
    throw new ConfigRejection('Failed to load incomplete private key from path: ')
  }
  const leaf = attempt(() => new X509Certificate(chain), 'Failed to load certificate chain from <inline>')
  const secret: KeyObject = attempt(
    () => createPrivateKey({ key, ...(password !== undefined && { passphrase: password.toString() }) }),
    `Failed to load private key from <inline>${key.includes('-----BEGIN') ? '' : noStartLine}`,
  )
  if (!leaf.checkPrivateKey(secret)) {
    throw new ConfigRejection(
      'Failed to load private key from <inline>, Cause: error:0b000074:X.509 certificate routines:OPENSSL_internal:KEY_VALUES_MISMATCH',
    )
  }
}

/** @throws ConfigRejection in Envoy's words */
function checkValidation({ trustedCa, usesSystemRoots, names, allowsExpired }: ValidationContext): void {
  if (trustedCa !== undefined) {
    attempt(() => new X509Certificate(trustedCa), 'Failed to load trusted CA certificates from <inline>')
    return
  }
  if (usesSystemRoots) return
  if (names.length > 0) {
    throw new ConfigRejection(
      'SAN-based verification of peer certificates without trusted CA is insecure and not allowed',
    )
  }
  if (allowsExpired) {
    throw new ConfigRejection('Certificate validity period is always ignored without trusted CA')
  }
}

function attempt<T>(act: () => T, what: string): T {
  try {
    return act()
  } catch (error) {
    throw new ConfigRejection(what, { cause: error })
  }
}
