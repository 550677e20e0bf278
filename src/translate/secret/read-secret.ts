import { createHash, createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import type { SecretContent } from '../../config/kinds/secret-content.ts'
import type { SecretForm } from '../../config/kinds/secret-form.ts'
import type { FileState } from '../contract.ts'

/** Something wrong with a file that a Secret names. It quotes nothing of what the file holds. */
export interface FileProblem {
  readonly severity: 'error' | 'warning'
  /** Of the Secret's form: `certificate.key`. */
  readonly path: string
  readonly message: string
  readonly fix: string
}

export interface ReadSecret {
  /** Undefined when there is nothing in it that a client could use. */
  readonly content?: SecretContent
  /** When the first of its certificates ends, in milliseconds since 1970. */
  readonly expiresAtMs?: number
  /** The certificate is of another time: what was right before serves better. */
  readonly isOutOfDate: boolean
  readonly problems: readonly FileProblem[]
}

/** How long before the end of a certificate people are told. */
export const expiryWarningsMs: readonly number[] = [14 * 86_400_000, 86_400_000]

/** Reads what the files of a Secret hold, and checks what Envoy or its clients would refuse. */
export function readSecret(
  { certificate, ca }: SecretForm,
  stateOf: (file: string) => FileState,
  nowMs: number,
): ReadSecret {
  if (certificate !== undefined) {
    return readPair(stateOf(certificate.chain.file), stateOf(certificate.key.file), nowMs)
  }
  return ca === undefined ? nothing([]) : readAuthorities(stateOf(ca.file), nowMs)
}

function readPair(chainFile: FileState, keyFile: FileState, nowMs: number): ReadSecret {
  const problems: FileProblem[] = []
  const chain = certificatesIn(chainFile, 'certificate.chain', problems)
  const key = keyIn(keyFile, problems)
  const [leaf] = chain ?? []
  if (chain === undefined || leaf === undefined || key === undefined) return nothing(problems)
  if (!leaf.checkPrivateKey(key)) return nothing([...problems, mismatch(chain, key)])
  const weak = weaknessOf(key)
  if (weak !== undefined) return nothing([...problems, weak])
  problems.push(...brokenLinks(chain))
  const time = timeOf([leaf], 'certificate.chain', nowMs)
  const pem = {
    kind: 'certificate',
    // Only the certificates: what else stands in the file, such as its key, is not sent where nobody looks for a key.
    chain: textOf(chain),
    key: key.export({ type: 'pkcs8', format: 'pem' }) as string,
  } as const
  return {
    content: { digest: digestOf(pem.chain, pem.key), dnsNames: dnsNamesOf(leaf), pem },
    ...time,
    problems: [...problems, ...time.problems],
  }
}

function readAuthorities(file: FileState, nowMs: number): ReadSecret {
  const problems: FileProblem[] = []
  const found = certificatesIn(file, 'ca', problems)
  if (found === undefined) return nothing(problems)
  // Of a bundle some may have ended: those that have not still vouch for others.
  const living = found.filter((certificate) => Date.parse(certificate.validTo) > nowMs)
  const time = timeOf(living.length > 0 ? living : found, 'ca', nowMs)
  const certificates = textOf(found)
  return {
    content: { digest: digestOf(certificates), dnsNames: [], pem: { kind: 'ca', certificates } },
    ...time,
    problems: [...problems, ...time.problems],
  }
}

const nothing = (problems: readonly FileProblem[]): ReadSecret => ({ isOutOfDate: false, problems })

/** As PEM says it; what stands between them is for people. */
const block = /-----BEGIN ([A-Z0-9 ]+)-----[\s\S]*?-----END \1-----/g

/** Undefined where one of them, or the file, cannot be read. */
function certificatesIn(
  file: FileState,
  path: string,
  problems: FileProblem[],
): readonly X509Certificate[] | undefined {
  const text = textIn(file, path, problems)
  if (text === undefined) return undefined
  const blocks = [...text.matchAll(block)].filter(([, label]) => /^(X509 )?CERTIFICATE$/.test(label ?? ''))
  const read = blocks.map(([pem], index): X509Certificate | undefined => {
    try {
      return new X509Certificate(pem)
    } catch {
      const which = blocks.length > 1 ? `The certificate number ${index + 1} of the file` : 'The certificate'
      problems.push(wrong(path, `${which} cannot be read.`, 'Write it again from where it was issued.'))
      return undefined
    }
  })
  if (read.length > 0) return read.every((one) => one !== undefined) ? read : undefined
  const fix = 'Write PEM: it begins with `-----BEGIN CERTIFICATE-----`.'
  problems.push(wrong(path, 'The file holds no certificate in PEM.', fix))
  return undefined
}

function keyIn(file: FileState, problems: FileProblem[]): KeyObject | undefined {
  const path = 'certificate.key'
  const text = textIn(file, path, problems)
  if (text === undefined) return undefined
  const [pem] = [...text.matchAll(block)].find(([, label]) => label?.endsWith('PRIVATE KEY')) ?? []
  if (pem === undefined) {
    const fix = 'Write PEM: it begins with `-----BEGIN PRIVATE KEY-----`.'
    problems.push(wrong(path, 'The file holds no private key in PEM.', fix))
    return undefined
  }
  if (/ENCRYPTED/.test(pem)) {
    const fix = 'Store it without a passphrase, in a file that only the server can read.'
    problems.push(wrong(path, 'The private key is encrypted.', fix))
    return undefined
  }
  try {
    return createPrivateKey(pem)
  } catch {
    // Without the reason that the library gives: it could quote the key.
    problems.push(wrong(path, 'The private key cannot be read.', 'Write it again from where it was made.'))
    return undefined
  }
}

function textIn(file: FileState, path: string, problems: FileProblem[]): string | undefined {
  if (file.kind === 'read') return Buffer.from(file.bytes).toString('latin1')
  problems.push(wrong(path, `The file cannot be used: ${file.why}.`, file.fix))
  return undefined
}

function mismatch(chain: readonly X509Certificate[], key: KeyObject): FileProblem {
  const at = chain.findIndex((certificate) => certificate.checkPrivateKey(key))
  if (at > 0) {
    const message = `The key is that of the certificate number ${at + 1} of the file.`
    return wrong('certificate.chain', message, 'Put that one first, and after each the one that issued it.')
  }
  return wrong('certificate.key', 'The key is not that of the certificate.', 'Give the files of one pair.')
}

const curves = ['prime256v1', 'secp384r1', 'secp521r1']

/** What Envoy refuses (measured). */
function weaknessOf({ asymmetricKeyType: type, asymmetricKeyDetails: details }: KeyObject): FileProblem | undefined {
  const path = 'certificate.key'
  const fix = 'Issue one with an RSA key of at least 2048 bits, or an EC key of P-256.'
  const bits = details?.modulusLength ?? 0
  if (type === 'rsa') return bits < 2048 ? wrong(path, `Envoy refuses an RSA key of ${bits} bits.`, fix) : undefined
  if (type === 'ec' && curves.includes(details?.namedCurve ?? '')) return undefined
  const what = type === 'ec' ? `an EC key of the curve ${details?.namedCurve ?? '(unnamed)'}` : `a key of type ${type}`
  return wrong(path, `Envoy refuses ${what}.`, fix)
}

/** Clients that do not know what lies between go by the order. */
function brokenLinks(chain: readonly X509Certificate[]): readonly FileProblem[] {
  return chain.slice(1).flatMap((certificate, index): FileProblem[] => {
    const issued = chain[index]
    if (issued === undefined || issued.checkIssued(certificate)) return []
    const message = `The certificate number ${index + 2} of the file did not issue the one before it.`
    const fix = 'Put after each certificate the one that issued it: some clients trust it only so.'
    return [{ ...wrong('certificate.chain', message, fix), severity: 'warning' }]
  })
}

type Time = Pick<ReadSecret, 'isOutOfDate' | 'problems'> & { readonly expiresAtMs: number }

function timeOf(certificates: readonly X509Certificate[], path: string, nowMs: number): Time {
  const expiresAtMs = Math.min(...certificates.map(({ validTo }) => Date.parse(validTo)))
  const beginsAtMs = Math.max(...certificates.map(({ validFrom }) => Date.parse(validFrom)))
  const fix = 'Renew it: the new files are taken as soon as they are there.'
  if (expiresAtMs <= nowMs) {
    const message = `The certificate ended at ${timeText(expiresAtMs)}: clients refuse it.`
    return { expiresAtMs, isOutOfDate: true, problems: [wrong(path, message, fix)] }
  }
  if (beginsAtMs > nowMs) {
    const message = `The certificate is good only from ${timeText(beginsAtMs)} on: clients refuse it until then.`
    const wait = 'Issue one that is good now, or look at the clock of this machine.'
    return { expiresAtMs, isOutOfDate: true, problems: [wrong(path, message, wait)] }
  }
  const isNear = expiryWarningsMs.some((before) => expiresAtMs - nowMs <= before)
  const message = `The certificate ends at ${timeText(expiresAtMs)}.`
  return {
    expiresAtMs,
    isOutOfDate: false,
    problems: isNear ? [{ ...wrong(path, message, fix), severity: 'warning' }] : [],
  }
}

const timeText = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`

function wrong(path: string, message: string, fix: string): FileProblem {
  return { severity: 'error', path, message, fix }
}

const textOf = (certificates: readonly X509Certificate[]): string => certificates.map(String).join('')

/** Of a key too: what it is the hash of is too long to be guessed. */
function digestOf(...texts: readonly string[]): string {
  const hash = createHash('sha256')
  for (const text of texts) hash.update(text).update('\0')
  return hash.digest('hex').slice(0, 32)
}

/** By which clients ask for it. Those that are no names, such as IP addresses, nobody can ask for. */
function dnsNamesOf({ subjectAltName = '' }: X509Certificate): readonly string[] {
  const names = [...subjectAltName.matchAll(/(?:^|, )DNS:([^,"\s]+)/g)].map(([, name = '']) => name.toLowerCase())
  return [...new Set(names)].filter((name) => /^(\*\.)?[a-z0-9_]([-a-z0-9_.]*[a-z0-9_])?$/.test(name)).sort()
}
