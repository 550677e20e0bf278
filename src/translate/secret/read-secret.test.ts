import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { createAuthority } from '../../../test/support/certificates.ts'
import type { SecretForm } from '../../config/kinds/secret-form.ts'
import type { FileState } from '../contract.ts'
import { readSecret } from './read-secret.ts'

const dayMs = 86_400_000
const authority = await createAuthority()
const shop = await authority.issue({
  name: 'shop',
  sans: ['shop.example', '*.Shop.example', '10.0.0.1'],
  validForMs: 90 * dayMs,
})
const other = await authority.issue({ name: 'other', validForMs: 90 * dayMs })

const pair: SecretForm = {
  kind: 'Secret',
  name: 'shop',
  certificate: { chain: { file: 'chain' }, key: { file: 'key' } },
}
const bundle: SecretForm = { kind: 'Secret', name: 'people', ca: { file: 'ca' } }

function read(form: SecretForm, files: Readonly<Record<string, string | undefined>>, inDays = 0) {
  const stateOf = (file: string): FileState => {
    const text = files[file]
    if (text === undefined) return { kind: 'failed', why: 'it does not exist', fix: 'Write it.' }
    return { kind: 'read', bytes: Buffer.from(text) }
  }
  return readSecret(form, stateOf, Date.now() + inDays * dayMs)
}

const told = ({ problems }: ReturnType<typeof read>): readonly string[] =>
  problems.map(({ severity, path, message }) => `${severity} ${path}: ${message}`)

describe('a certificate and its key', () => {
  test('are sent as they are, with the names that clients ask for', () => {
    const { content, problems } = read(pair, { chain: `a comment\n${shop.certificate}`, key: shop.key })
    expect(problems).toEqual([])
    expect(content?.dnsNames).toEqual(['*.shop.example', 'shop.example'])
    expect(content?.pem).toMatchObject({ kind: 'certificate', key: expect.stringContaining('BEGIN PRIVATE KEY') })
    expect(JSON.stringify(content?.pem)).toContain('BEGIN CERTIFICATE')
  })

  test('a key in the file of the certificate is not sent where nobody looks for keys', () => {
    const both = `${shop.certificate}\n${shop.key}`
    const { content, problems } = read(pair, { chain: both, key: both })
    expect(problems).toEqual([])
    expect(content?.pem).toMatchObject({ chain: expect.not.stringContaining('PRIVATE') })
  })

  test('another one has another digest, and the same one the same', () => {
    const digest = read(pair, { chain: shop.certificate, key: shop.key }).content?.digest
    expect(read(pair, { chain: `${shop.certificate}\n\n`, key: shop.key }).content?.digest).toBe(digest)
    expect(read(pair, { chain: other.certificate, key: other.key }).content?.digest).not.toBe(digest)
  })

  const small = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey.export({ type: 'pkcs8', format: 'pem' })
  const encrypted = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({
    type: 'pkcs8',
    format: 'pem',
    cipher: 'aes-256-cbc',
    passphrase: 'x',
  })
  const broken = shop.certificate.replace(/M.{20}/, 'MIIAAAAAAAAAAAAAAAAAA')
  test.each([
    ['absent', undefined, shop.key, 'certificate.chain: The file cannot be used: it does not exist.'],
    ['empty', '', shop.key, 'certificate.chain: The file holds no certificate in PEM.'],
    ['broken', broken, shop.key, 'certificate.chain: The certificate cannot be read.'],
    [
      'half of a chain',
      `${shop.certificate}\n${broken}`,
      shop.key,
      'certificate.chain: The certificate number 2 of the file cannot be read.',
    ],
    ['no key', shop.certificate, shop.certificate, 'certificate.key: The file holds no private key in PEM.'],
    ['an encrypted key', shop.certificate, String(encrypted), 'certificate.key: The private key is encrypted.'],
    ['of two pairs', shop.certificate, other.key, 'certificate.key: The key is not that of the certificate.'],
    ['of a weak key', shop.certificate, String(small), 'certificate.key: The key is not that of the certificate.'],
    [
      'in the wrong order',
      `${authority.certificate}\n${shop.certificate}`,
      shop.key,
      'certificate.chain: The key is that of the certificate number 2 of the file.',
    ],
  ])('that are %s give nothing to send, and say why', (_, chain, key, message) => {
    const result = read(pair, { chain, key })
    expect(result.content).toBeUndefined()
    expect(told(result)).toEqual([`error ${message}`])
    expect(result.problems.every(({ fix }) => fix !== '')).toBe(true)
  })

  test('nothing that is told of a broken key quotes it', () => {
    const secret = shop.key.split('\n')[1] as string
    const result = read(pair, { chain: shop.certificate, key: shop.key.replace(/(PRIVATE KEY-----\n)./, '$1!') })
    expect(result.content).toBeUndefined()
    expect(JSON.stringify(result)).not.toContain(secret.slice(4, 30))
  })

  test('a chain out of order works, and is told', () => {
    const result = read(pair, { chain: `${shop.certificate}\n${other.certificate}`, key: shop.key })
    expect(result.content).toBeDefined()
    expect(told(result)).toEqual([
      'warning certificate.chain: The certificate number 2 of the file did not issue the one before it.',
    ])
  })

  test.each([
    [75, undefined, false],
    [77, 'warning', false],
    [89.5, 'warning', false],
    [91, 'error', true],
    [-2, 'error', true],
  ])('of which %d of 90 days have passed are told as %s', (days, severity, isOutOfDate) => {
    const result = read(pair, { chain: shop.certificate, key: shop.key }, days)
    expect(result.content).toBeDefined()
    expect(result.isOutOfDate).toBe(isOutOfDate)
    expect(result.problems.map((problem) => problem.severity)).toEqual(severity === undefined ? [] : [severity])
  })
})

describe('a CA', () => {
  test('is all certificates of its file', async () => {
    const ca = `${authority.certificate}\n${(await createAuthority('another')).certificate}`
    const { content, problems } = read(bundle, { ca })
    expect(problems).toEqual([])
    expect(content).toMatchObject({ dnsNames: [], pem: { kind: 'ca' } })
    expect(JSON.stringify(content).match(/BEGIN CERTIFICATE/g)).toHaveLength(2)
  })

  test('of which one has ended vouches by the others, and of which all have is told', () => {
    const ended = shop.certificate
    const ca = `${authority.certificate}\n${ended}`
    expect(told(read(bundle, { ca: ended }, 100))).toEqual([
      expect.stringMatching(/^error ca: The certificate ended at /),
    ])
    expect(read(bundle, { ca }, -0.5).problems).toEqual([])
  })
})
