// Before @peculiar/x509, whose parts find one another by the metadata that it polyfills.
import 'reflect-metadata'
import { webcrypto } from 'node:crypto'
import { renameSync, writeFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { join } from 'node:path'
import * as x509 from '@peculiar/x509'

x509.cryptoProvider.set(webcrypto)

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const dayMs = 86_400_000

export interface IssueOptions {
  /** The subject's common name. */
  readonly name: string
  /** Subject alternative names: DNS names, IP addresses, or URIs (`spiffe://…`). `localhost` and 127.0.0.1 by default. */
  readonly sans?: readonly string[]
  /** How long from now it is good, in milliseconds; a day by default, negative for one that is over. */
  readonly validForMs?: number
}

/** A certificate and its key, as PEM. */
export interface Certificate {
  readonly certificate: string
  readonly key: string
  /** As TLS peers know it: lower-case hex without colons. */
  readonly serialNumber: string
}

export interface CertificateAuthority {
  /** Its own certificate, as PEM. */
  readonly certificate: string
  /** For servers and clients alike. Each has a key and a serial number of its own. */
  issue(options: IssueOptions): Promise<Certificate>
}

/** A CA of one test. Nothing is written anywhere: see `writeCertificate`. */
export async function createAuthority(name = 'fairlead test CA'): Promise<CertificateAuthority> {
  const keys = (await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair
  const own = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: newSerialNumber(),
    name: `CN=${name}`,
    notBefore: new Date(Date.now() - dayMs),
    notAfter: new Date(Date.now() + 30.5 * dayMs),
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return {
    certificate: own.toString('pem'),
    issue: (options) => issue(own, keys.privateKey, options),
  }
}

async function issue(
  authority: x509.X509Certificate,
  signingKey: webcrypto.CryptoKey,
  { name, sans = ['localhost', '127.0.0.1'], validForMs = dayMs }: IssueOptions,
): Promise<Certificate> {
  const keys = (await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: newSerialNumber(),
    subject: `CN=${name}`,
    issuer: authority.subject,
    notBefore: new Date(Date.now() - dayMs),
    notAfter: new Date(Date.now() + validForMs),
    signingAlgorithm: algorithm,
    publicKey: keys.publicKey,
    signingKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
      new x509.SubjectAlternativeNameExtension(sans.map((value) => ({ type: sanType(value), value }))),
      await x509.AuthorityKeyIdentifierExtension.create(authority),
    ],
  })
  const key = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey))
  return {
    certificate: certificate.toString('pem'),
    key: x509.PemConverter.encode(key, 'PRIVATE KEY'),
    serialNumber: certificate.serialNumber.toLowerCase(),
  }
}

function sanType(value: string): 'ip' | 'url' | 'dns' {
  if (isIP(value) !== 0) return 'ip'
  return value.includes('://') ? 'url' : 'dns'
}

/** 16 bytes; the first neither 0 nor above 127, so that every reader shows it in the same way. */
function newSerialNumber(): string {
  const bytes = Buffer.from(webcrypto.getRandomValues(new Uint8Array(16)))
  bytes[0] = ((bytes[0] as number) & 0x3f) | 0x40
  return bytes.toString('hex')
}

export interface CertificateFiles {
  readonly certificate: string
  readonly key: string
}

/**
 * Writes `NAME.crt` and `NAME.key` into a directory, each by an atomic rename: written again under the same name it is
 * a rotation as operators do it.
 */
export function writeCertificate(dir: string, name: string, { certificate, key }: Certificate): CertificateFiles {
  const files = { certificate: join(dir, `${name}.crt`), key: join(dir, `${name}.key`) }
  replaceFile(files.key, key)
  replaceFile(files.certificate, certificate)
  return files
}

/** Writes `NAME.pem`: the CA bundle that vouches for what these authorities issue. */
export function writeAuthorities(dir: string, name: string, authorities: readonly CertificateAuthority[]): string {
  const file = join(dir, `${name}.pem`)
  replaceFile(file, authorities.map(({ certificate }) => `${certificate.trimEnd()}\n`).join(''))
  return file
}

function replaceFile(path: string, text: string): void {
  writeFileSync(`${path}.tmp`, text, { mode: 0o600 })
  renameSync(`${path}.tmp`, path)
}
