import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createAuthority, writeAuthorities, writeCertificate } from '../test/support/certificates.ts'
import { tempDir } from '../test/support/temp.ts'
import { type Attachments, createAttachments } from './attachments.ts'
import { contentIn } from './config/kinds/secret-content.ts'
import { parseDocument } from './config/parse-document.ts'
import { loadEnvoyApi } from './resource/envoy-api.ts'
import type { Unit } from './snapshot/unit.ts'

const api = loadEnvoyApi()
const authority = await createAuthority()
const dayMs = 86_400_000

const shop = (file = 'shop'): string => `
kind: Secret
name: shop
certificate: {chain: {file: ${file}.crt}, key: {file: ${file}.key}}
`

interface Bed extends Attachments {
  readonly inForce: Map<string, Unit>
  /** Reads a text as the file `secrets.yaml`, and takes it into force. */
  readonly read: (text: string) => {
    readonly digest: string | undefined
    readonly told: readonly string[]
    readonly invalid: number
  }
}

function bed(directory: string | undefined, options: { allowed?: readonly string[]; now?: () => number } = {}): Bed {
  const inForce = new Map<string, Unit>()
  const attachments = createAttachments({
    api,
    parse: (document, held) => parseDocument(api, document, { held }),
    inForce,
    directoryOf: () => directory,
    allowed: options.allowed ?? [],
    ...(options.now && { now: options.now }),
    pollMs: 50,
  })
  const read: Bed['read'] = (text) => {
    const origin = { name: 'secrets.yaml' }
    const { documents, invalid, problems } = attachments.parse({ id: 'file:secrets.yaml', origin, text }, [])
    for (const unit of documents) inForce.set(unit.key, unit)
    return {
      digest: contentIn(api, documents[0]?.resources ?? [])?.digest,
      told: problems.map(({ severity, path, message }) => `${severity} ${path}: ${message}`),
      invalid: invalid.length,
    }
  }
  return { ...attachments, inForce, read }
}

async function issue(directory: string, name: string, validForMs = 90 * dayMs): Promise<void> {
  writeCertificate(directory, name, await authority.issue({ name, validForMs }))
}

async function nextChange(attachments: Attachments, act: () => void | Promise<void>): Promise<readonly string[]> {
  const abort = new AbortController()
  const changes = attachments.changes(abort.signal)[Symbol.asyncIterator]()
  const next = changes.next()
  await act()
  const { value } = await next
  abort.abort()
  await changes.next()
  return value as readonly string[]
}

test('what was right stays while its files are wrong, and takes effect again when they are right', async () => {
  const directory = tempDir()
  await issue(directory, 'shop')
  const { read } = bed(directory)
  const first = read(shop())
  expect(first).toMatchObject({ told: [], invalid: 0, digest: expect.any(String) })
  const { key } = await authority.issue({ name: 'stranger' })
  writeFileSync(join(directory, 'shop.key'), key)
  expect(read(shop())).toEqual({
    digest: undefined,
    told: ['error certificate.key: The key is not that of the certificate.'],
    invalid: 1,
  })
  await issue(directory, 'shop')
  const last = read(shop())
  expect(last).toMatchObject({ told: [], invalid: 0 })
  expect(last.digest).not.toBe(first.digest)
})

test('a Secret whose files were never right is there without content, so that all else can be served', () => {
  expect(bed(tempDir()).read(shop())).toEqual({
    digest: undefined,
    told: [
      'error certificate.chain: The file cannot be used: it does not exist.',
      'error certificate.key: The file cannot be used: it does not exist.',
    ],
    invalid: 0,
  })
})

test('one that has ended does not take the place of one that is good, and the one in force goes on at its end', async () => {
  const directory = tempDir()
  await issue(directory, 'shop')
  let now = Date.now()
  const { read, changes, forget } = bed(directory, { now: () => now })
  const { digest } = read(shop())
  await issue(directory, 'old', -1000)
  expect(read(shop('old'))).toMatchObject({ digest: undefined, invalid: 1 })
  expect(read(shop())).toMatchObject({ digest, told: [] })
  // Nothing but the clock moves: the document is read anew at each time when there is something to tell.
  const told: string[] = []
  for (const days of [77, 89.5, 91]) {
    const ids = await nextChange({ parse: read as never, changes, forget }, () => {
      now = Date.now() + days * dayMs
    })
    expect(ids).toEqual(['file:secrets.yaml'])
    const result = read(shop())
    expect(result).toMatchObject({ digest, invalid: 0 })
    told.push(...result.told.map((text) => text.slice(0, text.indexOf(':'))))
  }
  expect(told).toEqual(['warning certificate.chain', 'warning certificate.chain', 'error certificate.chain'])

  // It was the clock that was wrong, and somebody mends it.
  await nextChange({ parse: read as never, changes, forget }, () => {
    now = Date.now()
  })
  expect(read(shop())).toMatchObject({ digest, invalid: 0, told: [] })
})

test('a file that changes in place, by a rename, or by the link of a ConfigMap, has its document read anew', async () => {
  const directory = tempDir()
  await issue(directory, 'shop')
  const inPlace = bed(directory)
  inPlace.read(shop())
  const { certificate, key } = await authority.issue({ name: 'next' })
  const ids = ['file:secrets.yaml']
  expect(await nextChange(inPlace, () => writeFileSync(join(directory, 'shop.crt'), certificate))).toEqual(ids)
  expect(await nextChange(inPlace, () => writeFileSync(join(directory, 'shop.key'), key))).toEqual(ids)
  expect(await nextChange(inPlace, () => issue(directory, 'shop'))).toEqual(ids)

  const mounted = tempDir()
  for (const version of ['one', 'two']) {
    mkdirSync(join(mounted, `..${version}`))
    await issue(join(mounted, `..${version}`), 'shop')
  }
  symlinkSync('..one', join(mounted, '..data'))
  for (const file of ['shop.crt', 'shop.key']) symlinkSync(`..data/${file}`, join(mounted, file))
  const linked = bed(mounted)
  const { digest } = linked.read(shop())
  expect(
    await nextChange(linked, () => {
      symlinkSync('..two', join(mounted, '..new'))
      renameSync(join(mounted, '..new'), join(mounted, '..data'))
    }),
  ).toEqual(ids)
  const swapped = linked.read(shop())
  expect(swapped.told).toEqual([])
  expect(swapped.digest).not.toBe(digest)
  expect(await nextChange(linked, () => rmSync(join(mounted, 'shop.key')))).toEqual(ids)
})

test('the files of a document that is gone are watched no more, nor is the end of its certificate', async () => {
  const directory = tempDir()
  await issue(directory, 'shop')
  await issue(directory, 'other')
  let now = Date.now()
  const { parse, changes, forget } = bed(directory, { now: () => now })
  const read = (id: string, name: string): unknown =>
    parse({ id, origin: { name: id }, text: shop(name).replace('name: shop', `name: ${name}`) }, [])
  read('gone', 'shop')
  read('there', 'other')
  forget('gone')
  const ids = await nextChange({ parse, changes, forget }, async () => {
    now = Date.now() + 89.5 * dayMs
    await issue(directory, 'shop')
  })
  expect(ids).toEqual(['there'])
})

test('a file outside of its directory is refused however it is reached, unless it is allowed', async () => {
  const [directory, outside] = [tempDir(), tempDir()]
  await issue(outside, 'shop')
  for (const file of ['shop.crt', 'shop.key']) symlinkSync(join(outside, file), join(directory, `link-${file}`))
  const refused = [
    'error certificate.chain: The file cannot be used: it lies outside of the directory of the document.',
    'error certificate.key: The file cannot be used: it lies outside of the directory of the document.',
  ]
  for (const file of [join(outside, 'shop'), `../${outside.split('/').at(-1)}/shop`, `${directory}/link-shop`]) {
    expect(bed(directory).read(shop(file)).told).toEqual(refused)
    expect(bed(directory, { allowed: [outside] }).read(shop(file))).toMatchObject({ told: [], invalid: 0 })
  }
  expect(bed(undefined).read(shop()).told[0]).toContain('a document that is in no directory')
  expect(bed(undefined, { allowed: [outside] }).read(shop(join(outside, 'shop'))).told).toEqual([])
})

test('what is no file, or far too large, is told and never read', () => {
  const directory = tempDir()
  mkdirSync(join(directory, 'shop.crt'))
  writeFileSync(join(directory, 'shop.key'), Buffer.alloc(1024 * 1024 + 1))
  expect(bed(directory).read(shop()).told).toEqual([
    'error certificate.chain: The file cannot be used: it is no file.',
    'error certificate.key: The file cannot be used: it has more than 1 MiB.',
  ])
})

test('a CA is read with its bundle, and other documents of the text are left alone', () => {
  const directory = tempDir()
  writeAuthorities(directory, 'ca', [authority])
  const { read, inForce } = bed(directory)
  const text = 'kind: Secret\nname: people\nca: {file: ca.pem}\n---\nkind: Service\nname: cart\nendpoints: []\n'
  expect(read(text).invalid).toBe(0)
  expect([...inForce.values()].map((unit) => unit.resources.map(({ name }) => name))).toEqual([
    ['people', 'people'],
    ['cart'],
  ])
})
