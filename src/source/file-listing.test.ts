import { mkdtempSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { isSameListing, type Listing, listFiles } from './file-listing.ts'

const root = mkdtempSync(join(tmpdir(), 'fairlead-listing-'))
const file = join(root, 'a.yaml')

afterAll(() => rmSync(root, { recursive: true }))

function textOf(listing: Listing): string | undefined {
  const content = listing.kind === 'listed' ? listing.files[0]?.content : undefined
  return content?.kind === 'text' ? content.text : undefined
}

test('a file that changes within the grain of the clock, keeping its size, is read again', async () => {
  let last: Listing | undefined
  for (let turn = 0; turn < 200; turn++) {
    writeFileSync(file, `${turn % 10}`)
    const listing = await listFiles(root, last)
    expect(textOf(listing)).toBe(`${turn % 10}`)
    expect(isSameListing(last, listing)).toBe(false)
    last = listing
  }
})

test('a file is read again unless it has been quiet for so long that its times can be trusted', async () => {
  writeFileSync(file, 'now')
  const listing = await listFiles(root, undefined)
  if (listing.kind !== 'listed') throw new Error(listing.kind)
  const remember = (isCertain: boolean | undefined): Listing => ({
    ...listing,
    files: listing.files.map((entry) => ({
      ...entry,
      content: { kind: 'text', text: 'as remembered' },
      isCertain: isCertain ?? entry.isCertain,
    })),
  })
  expect(textOf(await listFiles(root, remember(undefined)))).toBe('now')
  expect(textOf(await listFiles(root, remember(true)))).toBe('as remembered')
})

test('a file whose size and modification time were put back is read again', async () => {
  const longAgo = new Date('2020-01-01T00:00:00Z')
  writeFileSync(file, 'before')
  utimesSync(file, longAgo, longAgo)
  const before = await listFiles(root, undefined)
  writeFileSync(file, 'behind')
  utimesSync(file, longAgo, longAgo)
  expect(statSync(file).size).toBe(6)
  expect(textOf(await listFiles(root, before))).toBe('behind')
})

test('a file that was touched but not changed makes an equal listing', async () => {
  writeFileSync(file, 'same')
  const before = await listFiles(root, undefined)
  utimesSync(file, new Date(), new Date())
  expect(isSameListing(before, await listFiles(root, before))).toBe(true)
})

test('a root that does not exist is missing, also below a file', async () => {
  expect(await listFiles(join(root, 'none'), undefined)).toEqual({ kind: 'missing' })
  expect(await listFiles(join(file, 'none'), undefined)).toEqual({ kind: 'missing' })
})
