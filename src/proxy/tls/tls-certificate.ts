import { readDataSource } from '../config/data-source.ts'
import type { FieldReader } from '../config/field-reader.ts'

/** A certificate chain and its key in PEM (or both in PKCS #12), as `envoy.extensions.transport_sockets.tls.v3.TlsCertificate` says them. */
export interface TlsCertificate {
  readonly chain: Buffer | undefined
  readonly key: Buffer | undefined
  readonly pkcs12: Buffer | undefined
  readonly password: Buffer | undefined
}

export function readTlsCertificate(fields: FieldReader): TlsCertificate {
  return {
    chain: fields.message('certificate_chain', readDataSource),
    key: fields.message('private_key', readDataSource),
    pkcs12: fields.message('pkcs12', readDataSource),
    password: fields.message('password', readDataSource),
  }
}
