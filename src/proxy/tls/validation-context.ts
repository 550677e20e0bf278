import { readDataSource } from '../config/data-source.ts'
import type { FieldReader } from '../config/field-reader.ts'
import { readStringMatcher, type TextTest } from '../config/string-matcher.ts'

/** Whom a peer has to be, as `envoy.extensions.transport_sockets.tls.v3.CertificateValidationContext` says it. */
export interface ValidationContext {
  /** Undefined: certificates are not checked against any CA. */
  readonly trustedCa: Buffer | undefined
  readonly usesSystemRoots: boolean
  readonly crl: Buffer | undefined
  /** One of these must be the hash of the certificate's public key; base64 of SHA-256. */
  readonly spkiHashes: readonly string[]
  /** One of these must be the hash of the certificate; SHA-256 in lower-case hex without colons. */
  readonly certificateHashes: readonly string[]
  /** One of these must match one of the certificate's names. */
  readonly names: readonly NameMatcher[]
  readonly allowsExpired: boolean
  readonly acceptsUntrusted: boolean
}

export interface NameMatcher {
  readonly type: NameType
  readonly matches: TextTest
  /** Of an exact matcher: a wildcard name of a certificate (`*.a.example`) may stand for it. */
  readonly exact: string | undefined
}

/** What kind of subject alternative name; `any` for the untyped matchers. */
export type NameType = 'any' | 'EMAIL' | 'DNS' | 'URI' | 'IP_ADDRESS'

export const noValidation: ValidationContext = {
  trustedCa: undefined,
  usesSystemRoots: false,
  crl: undefined,
  spkiHashes: [],
  certificateHashes: [],
  names: [],
  allowsExpired: false,
  acceptsUntrusted: false,
}

export function readValidationContext(fields: FieldReader): ValidationContext {
  const names = fields.list('match_typed_subject_alt_names', readTypedName)
  return {
    trustedCa: fields.message('trusted_ca', readDataSource),
    usesSystemRoots: fields.message('system_root_certs', () => true) ?? false,
    crl: fields.message('crl', readDataSource),
    spkiHashes: fields.strings('verify_certificate_spki'),
    certificateHashes: fields.strings('verify_certificate_hash').map((hash) => hash.replaceAll(':', '').toLowerCase()),
    // Typed ones make the untyped ones void.
    names: names.length > 0 ? ignoring(fields, names) : fields.list('match_subject_alt_names', readUntypedName),
    allowsExpired: fields.flag('allow_expired_certificate'),
    acceptsUntrusted:
      fields.choice('trust_chain_verification', ['VERIFY_TRUST_CHAIN', 'ACCEPT_UNTRUSTED']) === 'ACCEPT_UNTRUSTED',
  }
}

/** What a static context says and what came of a secret, together: lists are added, single values of the secret win. */
export function mergeValidationContexts(fixed: ValidationContext, secret: ValidationContext): ValidationContext {
  return {
    trustedCa: secret.trustedCa ?? fixed.trustedCa,
    usesSystemRoots: secret.usesSystemRoots || fixed.usesSystemRoots,
    crl: secret.crl ?? fixed.crl,
    spkiHashes: [...fixed.spkiHashes, ...secret.spkiHashes],
    certificateHashes: [...fixed.certificateHashes, ...secret.certificateHashes],
    names: [...fixed.names, ...secret.names],
    allowsExpired: fixed.allowsExpired || secret.allowsExpired,
    acceptsUntrusted: fixed.acceptsUntrusted || secret.acceptsUntrusted,
  }
}

function ignoring(fields: FieldReader, names: readonly NameMatcher[]): readonly NameMatcher[] {
  fields.ignore('match_subject_alt_names', 'Envoy goes by the typed matchers where there are both')
  return names
}

function readTypedName(fields: FieldReader): NameMatcher {
  const type = fields.choice('san_type', ['DNS', 'EMAIL', 'URI', 'IP_ADDRESS'])
  if (!fields.has('san_type')) fields.refuse('san_type', 'SAN_TYPE_UNSPECIFIED is not supported')
  return { type, ...(fields.message('matcher', readMatcher) ?? never) }
}

function readUntypedName(fields: FieldReader): NameMatcher {
  return { type: 'any', ...readMatcher(fields) }
}

type Matcher = Pick<NameMatcher, 'matches' | 'exact'>

const never: Matcher = { matches: () => false, exact: undefined }

function readMatcher(fields: FieldReader): Matcher {
  return { exact: fields.has('exact') ? fields.string('exact') : undefined, matches: readStringMatcher(fields) }
}
