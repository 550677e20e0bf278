import type { FieldReader } from '../config/field-reader.ts'
import { readSecretReference } from '../secret/secret-reference.ts'
import type { SecretReference } from '../secret/secrets.ts'
import { readTlsCertificate, type TlsCertificate } from './tls-certificate.ts'
import { readValidationContext, type ValidationContext } from './validation-context.ts'

/** What both ends of TLS are told alike: `envoy.extensions.transport_sockets.tls.v3.CommonTlsContext`. */
export interface TlsSettings {
  readonly certificates: readonly TlsCertificate[]
  readonly certificateSecrets: readonly SecretReference[]
  readonly validation: ValidationContext | undefined
  readonly validationSecret: SecretReference | undefined
  /** In the order of preference; empty: no ALPN is spoken. */
  readonly alpn: readonly string[]
  /** Undefined: what is usual at this end. */
  readonly minVersion: TlsVersion | undefined
  readonly maxVersion: TlsVersion | undefined
  /** OpenSSL's names; empty: what is usual. */
  readonly cipherSuites: readonly string[]
  readonly ecdhCurves: readonly string[]
  readonly signatureAlgorithms: readonly string[]
}

export type TlsVersion = 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3'

export function readTlsSettings(fields: FieldReader): TlsSettings {
  const combined = fields.message('combined_validation_context', readCombined)
  const parameters = fields.message('tls_params', readParameters)
  return {
    certificates: fields.list('tls_certificates', readTlsCertificate),
    certificateSecrets: fields.list('tls_certificate_sds_secret_configs', readSecretReference),
    validation: combined?.validation ?? fields.message('validation_context', readValidationContext),
    validationSecret:
      combined?.validationSecret ?? fields.message('validation_context_sds_secret_config', readSecretReference),
    alpn: fields.strings('alpn_protocols'),
    ...(parameters ?? usual),
  }
}

type Parameters = Pick<TlsSettings, 'minVersion' | 'maxVersion' | 'cipherSuites' | 'ecdhCurves' | 'signatureAlgorithms'>

const usual: Parameters = {
  minVersion: undefined,
  maxVersion: undefined,
  cipherSuites: [],
  ecdhCurves: [],
  signatureAlgorithms: [],
}

function readCombined(fields: FieldReader): Pick<TlsSettings, 'validation' | 'validationSecret'> {
  return {
    validation: fields.message('default_validation_context', readValidationContext),
    validationSecret: fields.message('validation_context_sds_secret_config', readSecretReference),
  }
}

function readParameters(fields: FieldReader): Parameters {
  return {
    minVersion: readVersion(fields, 'tls_minimum_protocol_version'),
    maxVersion: readVersion(fields, 'tls_maximum_protocol_version'),
    cipherSuites: fields.strings('cipher_suites'),
    ecdhCurves: fields.strings('ecdh_curves'),
    signatureAlgorithms: fields.strings('signature_algorithms'),
  }
}

const versions = {
  TLS_AUTO: undefined,
  TLSv1_0: 'TLSv1',
  TLSv1_1: 'TLSv1.1',
  TLSv1_2: 'TLSv1.2',
  TLSv1_3: 'TLSv1.3',
} as const

function readVersion(fields: FieldReader, name: string): TlsVersion | undefined {
  return versions[fields.choice(name, ['TLS_AUTO', 'TLSv1_0', 'TLSv1_1', 'TLSv1_2', 'TLSv1_3'])]
}

/** No `common_tls_context` at all. */
export const noTlsSettings: TlsSettings = {
  certificates: [],
  certificateSecrets: [],
  validation: undefined,
  validationSecret: undefined,
  alpn: [],
  ...usual,
}
