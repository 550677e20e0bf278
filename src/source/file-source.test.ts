import { linkSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import pino from 'pino'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { readSource, type SourceReader, summaryOf } from '../../test/support/source-reader.ts'
import { describeSource } from '../../test/support/source-suite.ts'
import { maxFileBytes } from './file-listing.ts'
import { createFileSource, type FileSourceOptions } from './file-source.ts'
import type { Unreadable } from './source.ts'

const log = pino({ level: 'silent' })

/** Long enough that no look of the clock's explains a change that a test sees: an event must. */
const pollNever = 600_000

function put(path: string, text: string | Uint8Array): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
}

/** Makes `link` point to `target`, atomically. */
function swapLink(target: string, link: string): void {
  symlinkSync(target, `${link}.tmp`)
  renameSync(`${link}.tmp`, link)
}

describeSource('a directory', async () => {
  const base = mkdtempSync(join(tmpdir(), 'fairlead-file-'))
  const root = join(base, 'config')
  const files = new Map<string, string>()
  let release = 0
  /** A new directory with all files, which the root's link then points to. */
  const publish = (): void => {
    const directory = `release-${++release}`
    mkdirSync(join(base, directory))
    for (const [name, text] of files) put(join(base, directory, `${name}.yaml`), text)
    if (!isFailed) swapLink(directory, root)
  }
  let isFailed = false
  publish()
  return {
    source: createFileSource({ path: root, log, pollMs: 1_000 }),
    idOf: (name) => `file:${name}.yaml`,
    async put(name, text) {
      files.set(name, text)
      put(join(root, `${name}.yaml`), text)
    },
    async remove(name) {
      files.delete(name)
      unlinkSync(join(root, `${name}.yaml`))
    },
    async apply({ put = {}, remove = [] }) {
      for (const [name, text] of Object.entries(put)) files.set(name, text)
      for (const name of remove) files.delete(name)
      publish()
    },
    async fail() {
      isFailed = true
      swapLink('config', root)
    },
    async recover() {
      isFailed = false
      swapLink(`release-${release}`, root)
    },
    close: async () => rmSync(base, { recursive: true }),
  }
})

describe('a directory with files', () => {
  let base: string
  let root: string
  const unread = (path: string): Unreadable => ({ id: `file:${path}`, origin: { name: join(root, path) } })
  let readers: SourceReader[]

  beforeEach(() => {
    base = mkdtempSync(join(tmpdir(), 'fairlead-file-'))
    root = join(base, 'config')
    readers = []
  })

  afterEach(async () => {
    for (const reader of readers) await reader.close()
    rmSync(base, { recursive: true })
  })

  const read = (options: Partial<FileSourceOptions> = {}): SourceReader => {
    const reader = readSource(createFileSource({ path: root, log, pollMs: pollNever, ...options }))
    readers.push(reader)
    return reader
  }

  const readWatched = async (options: Partial<FileSourceOptions> = {}): Promise<SourceReader> => {
    const reader = read(options)
    await reader.nextRead()
    return reader
  }

  test('documents are found at any depth and named by their path', async () => {
    put(join(root, 'cart.yaml'), 'a')
    put(join(root, 'edge/listener/http.yml'), 'b')
    put(join(root, 'edge/route.json'), 'c')
    const reader = read()
    const update = await reader.nextRead()
    expect(update.upserted).toEqual([
      { id: 'file:cart.yaml', text: 'a', origin: { name: join(root, 'cart.yaml') } },
      { id: 'file:edge/listener/http.yml', text: 'b', origin: { name: join(root, 'edge/listener/http.yml') } },
      { id: 'file:edge/route.json', text: 'c', origin: { name: join(root, 'edge/route.json') } },
    ])
    put(join(root, 'edge/new/deep/one.yaml'), 'd')
    expect(summaryOf(await reader.next())).toEqual({ put: { 'file:edge/new/deep/one.yaml': 'd' }, removed: [] })
    put(join(root, 'edge/new/deep/one.yaml'), 'e')
    expect(summaryOf(await reader.next())).toEqual({ put: { 'file:edge/new/deep/one.yaml': 'e' }, removed: [] })
    rmSync(join(root, 'edge'), { recursive: true })
    await reader.readUntil(() => reader.texts.size === 1)
  })

  test.each([
    '.cart.yaml',
    'cart.yaml~',
    '.cart.yaml.swp',
    'cart.yaml.swp',
    'cart.yaml.tmp',
    'cart.txt',
    '.git/cart.yaml',
    '..data/cart.yaml',
    'old.tmp/cart.yaml',
    'old~/cart.yaml',
  ])('%s is not read', async (name) => {
    put(join(root, name), 'x')
    put(join(root, 'real.yaml'), 'y')
    const reader = read()
    expect(summaryOf(await reader.next())).toEqual({ put: { 'file:real.yaml': 'y' }, removed: [] })
    put(join(root, name), 'x2')
    put(join(root, 'marker.yaml'), 'z')
    expect(summaryOf(await reader.next())).toEqual({ put: { 'file:marker.yaml': 'z' }, removed: [] })
  })

  test('a file that is replaced by a rename is one update', async () => {
    put(join(root, 'cart.yaml'), '1')
    const reader = await readWatched()
    put(join(root, '.cart.new'), '2')
    renameSync(join(root, '.cart.new'), join(root, 'cart.yaml'))
    expect(summaryOf(await reader.next())).toEqual({ put: { 'file:cart.yaml': '2' }, removed: [] })
    put(join(root, '.cart.new'), '3')
    renameSync(join(root, '.cart.new'), join(root, 'cart.yaml'))
    expect(summaryOf(await reader.next())).toEqual({ put: { 'file:cart.yaml': '3' }, removed: [] })
  })

  test('the swapped data link of a ConfigMap is one update, each time', async () => {
    put(join(root, '..2001/a.yaml'), '1')
    put(join(root, '..2001/b.yaml'), '1')
    symlinkSync('..2001', join(root, '..data'))
    symlinkSync('..data/a.yaml', join(root, 'a.yaml'))
    symlinkSync('..data/b.yaml', join(root, 'b.yaml'))
    const reader = await readWatched()
    for (const [turn, text] of ['2', '3', '4'].entries()) {
      put(join(root, `..300${turn}/a.yaml`), text)
      put(join(root, `..300${turn}/b.yaml`), text)
      swapLink(`..300${turn}`, join(root, '..data'))
      expect(summaryOf(await reader.next())).toEqual({ put: { 'file:a.yaml': text, 'file:b.yaml': text }, removed: [] })
    }
  })

  test('a root whose link is swapped is one update, each time', async () => {
    for (const release of ['1', '2', '3']) {
      put(join(base, release, 'a.yaml'), `a${release}`)
      put(join(base, release, `only-${release}.yaml`), 'x')
    }
    symlinkSync('1', root)
    const reader = await readWatched()
    swapLink('2', root)
    expect(summaryOf(await reader.next())).toEqual({
      put: { 'file:a.yaml': 'a2', 'file:only-2.yaml': 'x' },
      removed: ['file:only-1.yaml'],
    })
    swapLink('3', root)
    expect(summaryOf(await reader.next())).toEqual({
      put: { 'file:a.yaml': 'a3', 'file:only-3.yaml': 'x' },
      removed: ['file:only-2.yaml'],
    })
    put(join(base, '3/a.yaml'), 'changed')
    expect(summaryOf(await reader.next())).toEqual({ put: { 'file:a.yaml': 'changed' }, removed: [] })
  })

  test('a root that is deleted leaves the source empty, and one that is made again is read and watched', async () => {
    put(join(root, 'a.yaml'), '1')
    put(join(root, 'b.yaml'), '1')
    const reader = await readWatched()
    renameSync(root, join(base, 'away'))
    const gone = await reader.nextRead()
    expect(summaryOf(gone)).toEqual({ put: {}, removed: ['file:a.yaml', 'file:b.yaml'] })
    expect(gone.isEmpty).toBe(true)
    put(join(base, 'fresh/a.yaml'), '2')
    renameSync(join(base, 'fresh'), root)
    expect(summaryOf(await reader.next())).toEqual({ put: { 'file:a.yaml': '2' }, removed: [] })
    put(join(root, 'a.yaml'), '3')
    expect(summaryOf(await reader.next())).toEqual({ put: { 'file:a.yaml': '3' }, removed: [] })
  })

  test('a root that does not exist yet is unreachable until it does', async () => {
    const reader = read()
    const { problem } = await reader.nextUnreachable()
    expect(problem.message).toBe(`${root} does not exist`)
    put(join(base, 'fresh/a.yaml'), '1')
    renameSync(join(base, 'fresh'), root)
    expect(summaryOf(await reader.next())).toEqual({ put: { 'file:a.yaml': '1' }, removed: [] })
  })

  test('a root whose parent does not exist yet is found by the regular look', async () => {
    const reader = read({ path: join(base, 'parent/config'), pollMs: 20 })
    await reader.nextUnreachable()
    put(join(base, 'parent/config/a.yaml'), '1')
    await reader.readUntil(() => reader.texts.get('file:a.yaml') === '1')
  })

  test('the root may be a single file of any name', async () => {
    put(join(root, 'mesh.conf'), '1')
    const path = join(root, 'mesh.conf')
    const reader = read({ path, idPrefix: 'file:2:' })
    expect((await reader.nextRead()).upserted).toEqual([{ id: 'file:2:mesh.conf', text: '1', origin: { name: path } }])
    put(path, '2')
    expect(summaryOf(await reader.next())).toEqual({ put: { 'file:2:mesh.conf': '2' }, removed: [] })
    put(join(root, 'next'), '3')
    renameSync(join(root, 'next'), path)
    expect(summaryOf(await reader.next())).toEqual({ put: { 'file:2:mesh.conf': '3' }, removed: [] })
  })

  test('a file that is reached in two ways is read once, by its real path', async () => {
    put(join(root, 'z/real.yaml'), '1')
    symlinkSync('z', join(root, 'a'))
    symlinkSync('z/real.yaml', join(root, 'alias.yaml'))
    linkSync(join(root, 'z/real.yaml'), join(root, 'z/zweit.yaml'))
    expect(summaryOf(await read().next())).toEqual({ put: { 'file:z/real.yaml': '1' }, removed: [] })
  })

  test('links that lead back to where they are end', async () => {
    put(join(root, 'sub/a.yaml'), '1')
    symlinkSync('..', join(root, 'sub/up'))
    symlinkSync('.', join(root, 'self'))
    expect(summaryOf(await read().next())).toEqual({ put: { 'file:sub/a.yaml': '1' }, removed: [] })
  })

  test('what a link outside of the root points to is read and watched', async () => {
    put(join(base, 'elsewhere/a.yaml'), '1')
    mkdirSync(root)
    symlinkSync('../elsewhere', join(root, 'linked'))
    const reader = await readWatched()
    expect([...reader.texts.keys()]).toEqual(['file:linked/a.yaml'])
    put(join(base, 'elsewhere/a.yaml'), '2')
    expect(summaryOf(await reader.next())).toEqual({ put: { 'file:linked/a.yaml': '2' }, removed: [] })
  })

  test('a file that stops being UTF-8 is a problem and keeps what it held', async () => {
    put(join(root, 'a.yaml'), '1')
    const reader = await readWatched()
    put(join(root, 'a.yaml'), Uint8Array.of(0x61, 0xff))
    expect(await reader.next()).toMatchObject({
      upserted: [],
      removed: [],
      unreadable: [unread('a.yaml')],
      problems: [{ severity: 'error', code: 'unreadable', origin: { name: join(root, 'a.yaml') } }],
      isEmpty: false,
    })
    put(join(root, 'a.yaml'), '2')
    expect(await reader.next()).toMatchObject({ upserted: [{ text: '2' }], unreadable: [], problems: [] })
  })

  test('a file that is too large is a problem', async () => {
    put(join(root, 'a.yaml'), new Uint8Array(maxFileBytes + 1).fill(0x20))
    expect(await read().next()).toMatchObject({
      upserted: [],
      unreadable: [unread('a.yaml')],
      problems: [{ code: 'too-large', origin: { name: join(root, 'a.yaml') } }],
      isEmpty: false,
    })
  })

  test('a document whose link breaks is a problem and keeps what it held', async () => {
    put(join(base, 'target'), '1')
    mkdirSync(root)
    symlinkSync('../target', join(root, 'a.yaml'))
    const reader = await readWatched()
    rmSync(join(base, 'target'))
    expect(await reader.next()).toMatchObject({
      removed: [],
      unreadable: [unread('a.yaml')],
      problems: [{ severity: 'error', code: 'unreadable' }],
    })
  })

  test('documents below a directory that cannot be reached any more keep what they held', async () => {
    put(join(base, 'mount/a.yaml'), '1')
    mkdirSync(root)
    symlinkSync('../mount', join(root, 'linked'))
    const reader = await readWatched()
    renameSync(join(base, 'mount'), join(base, 'away'))
    swapLink('../mount', join(root, 'linked'))
    expect(await reader.next()).toMatchObject({ removed: [], unreadable: [unread('linked/a.yaml')], isEmpty: false })
    rmSync(join(root, 'linked'))
    expect(await reader.next()).toMatchObject({ removed: ['file:linked/a.yaml'], unreadable: [], isEmpty: true })
  })

  test('a link to nothing that never led to a document is only a warning', async () => {
    mkdirSync(root)
    symlinkSync('nowhere', join(root, 'notes'))
    expect(await read().next()).toMatchObject({ unreadable: [], problems: [{ severity: 'warning' }], isEmpty: true })
  })

  test('a set that is written file by file, each within the settling time, is one update', async () => {
    mkdirSync(root)
    const reader = await readWatched({ settleMs: 300 })
    const next = reader.nextRead()
    for (let index = 0; index < 10; index++) {
      put(join(root, `${index}.yaml`), `${index}`)
      // Time enough for a look between any two: what is tested is that it waits.
      await setTimeout(20)
    }
    expect((await next).upserted).toHaveLength(10)
  })
  test('a look that takes long on a busy machine, and shows half of a change, is not taken for the last', async () => {
    mkdirSync(root)
    const reader = await readWatched({ settleMs: 300 })
    let nowMs = performance.now()
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => (nowMs += 10_000))
    const next = reader.nextRead()
    for (let index = 0; index < 10; index++) {
      put(join(root, `${index}.yaml`), `${index}`)
      await setTimeout(20)
    }
    expect((await next).upserted).toHaveLength(10)
    clock.mockRestore()
  })
})
