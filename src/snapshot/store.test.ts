import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import * as nodeFs from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { documentText } from '../config/document-text.ts'
import { ControlPlaneError } from '../errors.ts'
import type { Log } from '../log.ts'
import { loadEnvoyApi } from '../resource/envoy-api.ts'
import { encodeOwn } from '../resource/own-message.ts'
import { buildResource, type Resource } from '../resource/resource.ts'
import { resourceTypes } from '../resource/type-url.ts'
import { HistoryDirectory } from './history/directory.ts'
import type { HistoryFs } from './history/fs.ts'
import { frameRecord, readRecords } from './history/log.ts'
import { readHistory } from './history/reader.ts'
import { decodeRecord, encodeRecord, historyFormat } from './history/record.ts'
import { diffRevisions, type RevisionView } from './history/view.ts'
import { createHistory, type History, type HistoryOptions } from './store.ts'
import type { Unit } from './unit.ts'

const api = loadEnvoyApi()
const key = `-----BEGIN PRIVATE KEY-----${'c2VjcmV0IGtleSBtYXRlcmlhbA'.repeat(3)}`

let root: string
let directory: string
const open: History[] = []

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'fairlead-history-'))
  directory = join(root, 'snapshots')
})

afterEach(async () => {
  for (const history of open.splice(0)) await history.close()
  rmSync(root, { recursive: true, force: true })
})

function fakeLog(): Log & { readonly said: string[] } {
  const said: string[] = []
  const say = (fields: unknown, message: string): void => {
    said.push(`${message} ${JSON.stringify(fields)}`)
  }
  const log = { debug: say, info: say, warn: say, error: say, said, child: () => log }
  return log as unknown as Log & { readonly said: string[] }
}

interface StartOptions extends Partial<Omit<HistoryOptions, 'place'>> {
  readonly directory?: string
  readonly fs?: HistoryFs
}

async function start({ directory: path = directory, fs, ...options }: StartOptions = {}): Promise<History> {
  const history = await createHistory({ place: new HistoryDirectory(path, fs), api, log: fakeLog(), ...options })
  open.push(history)
  return history
}

/** As after SIGKILL: what is on disk now, without the lock's owner. */
function copyOf(path: string, name = 'copy'): string {
  const copy = join(root, name)
  rmSync(copy, { recursive: true, force: true })
  cpSync(path, copy, { recursive: true, filter: (file) => !basename(file).startsWith('lock') })
  return copy
}

function cluster(name: string, timeout = 1, line = 1): Resource {
  return buildResource({
    typeUrl: resourceTypes.cluster.typeUrl,
    name,
    bytes: encodeOwn(api, 'envoy.config.cluster.v3.Cluster', { name, connectTimeout: { seconds: BigInt(timeout) } }),
    origin: { name: 'config/a.yaml', line, column: 3 },
    references: [{ typeUrl: resourceTypes.endpoint.typeUrl, name, path: 'eds_cluster_config.service_name' }],
    aliases: [`${name}-alias`],
    ttlMs: 0,
  })
}

function secret(name: string): Resource {
  const bytes = encodeOwn(api, 'envoy.extensions.transport_sockets.tls.v3.Secret', {
    name,
    type: {
      case: 'tlsCertificate',
      value: { privateKey: { specifier: { case: 'inlineString', value: key } } },
    },
  })
  const origin = { name: 'config/secret.yaml', line: 2 }
  return buildResource({ typeUrl: resourceTypes.secret.typeUrl, name, bytes, origin, isSensitive: true })
}

function unit(name: string, resources: readonly Resource[], selectors: Unit['selectors'] = []): Unit {
  return { key: `file:${name}`, origin: { name: `config/${name}`, line: 1 }, selectors, resources }
}

const cause = { documents: ['config/a.yaml'] }
const upsert = (history: History, ...units: Unit[]): number => history.append({ upserted: units, removed: [], cause })
const segmentsOf = (path: string): string[] => readdirSync(path).filter((name) => name.endsWith('.log'))
const numbers = (history: History): number[] => history.list().map((summary) => summary.revision)

describe('restore', () => {
  it('has nothing to restore where nothing was written', async () => {
    const history = await start()
    expect(history.restored).toBeUndefined()
    expect(history.list()).toEqual([])
    expect(history.revision).toBe(0)
  })

  it('gives back exactly the units in force, their order, places and facts', async () => {
    const first = await start()
    const a = unit(
      'a.yaml',
      [cluster('b'), cluster('a'), cluster('c')],
      [{ cluster: '' }, { metadata: { env: ['x'] } }],
    )
    upsert(first, a, unit('gone.yaml', [cluster('gone')]))
    const changed = { ...a, resources: [cluster('b'), cluster('c', 2), cluster('d', 1, 9)] }
    first.append({ upserted: [changed], removed: ['file:gone.yaml'], cause, meta: { 'source ./config': 'had' } })
    await first.close()
    const second = await start()
    expect(second.restored).toEqual({ units: [changed], revision: 2, meta: { 'source ./config': 'had' } })
    expect(second.revision).toBe(2)
    expect(upsert(second, unit('new.yaml', []))).toBe(3)
  })

  it('keeps the order of resources that change places', async () => {
    const first = await start()
    upsert(first, unit('a.yaml', [cluster('a'), cluster('b'), cluster('c')]))
    const reordered = unit('a.yaml', [cluster('c'), cluster('a'), cluster('b')])
    upsert(first, reordered)
    await first.close()
    expect((await start()).restored?.units).toEqual([reordered])
  })

  it('tells the new places of resources with the next change of their unit', async () => {
    const first = await start()
    upsert(first, unit('a.yaml', [cluster('a', 1, 1), cluster('b', 1, 5)]))
    expect(upsert(first, unit('a.yaml', [cluster('a', 1, 2), cluster('b', 1, 6)]))).toBe(1)
    const changed = unit('a.yaml', [cluster('a', 1, 2), cluster('b', 3, 6)])
    expect(upsert(first, changed)).toBe(2)
    await first.close()
    expect((await start()).restored?.units).toEqual([changed])
  })

  it('restores a unit of more resources than one record takes', async () => {
    const large = unit(
      'large.yaml',
      Array.from({ length: 1000 }, (_, index) => cluster(`c${index}`)),
    )
    const first = await start()
    upsert(first, large)
    upsert(first, { ...large, resources: large.resources.slice(0, 1) })
    upsert(first, large)
    await first.close()
    expect((await start()).restored?.units).toEqual([large])
  })

  it('goes on in the same segment after a restart, and in new ones after many', async () => {
    for (let life = 1; life <= 12; life++) {
      const history = await start({ maxRevisions: 8 })
      expect(upsert(history, unit('a.yaml', [cluster('a', life)]))).toBe(life)
      await history.close()
    }
    expect(segmentsOf(directory)).toHaveLength(4)
    expect((await start()).restored?.units).toEqual([unit('a.yaml', [cluster('a', 12)])])
  })

  it('makes equal files of equal steps at equal times', async () => {
    const write = async (path: string): Promise<Buffer[]> => {
      const history = await start({ directory: path, now: () => 1_700_000_000_000 })
      upsert(history, unit('a.yaml', [cluster('a'), secret('s')], [{ metadata: { b: 1, a: 2 } }]))
      history.append({ upserted: [], removed: ['file:a.yaml'], cause, meta: { y: '1', x: '2' } })
      await history.close()
      return segmentsOf(path).map((name) => readFileSync(join(path, name)))
    }
    expect(await write(join(root, 'one'))).toEqual(await write(join(root, 'two')))
  })
})

describe('revisions', () => {
  it('numbers what changed, and takes a step that changes nothing for none', async () => {
    const history = await start()
    const a = unit('a.yaml', [cluster('a')])
    expect(upsert(history, a)).toBe(1)
    expect(upsert(history, unit('a.yaml', [cluster('a')]))).toBe(1)
    expect(history.append({ upserted: [], removed: ['file:unknown'], cause, meta: {} })).toBe(1)
    expect(history.append({ upserted: [], removed: [], cause, meta: { x: '1' } })).toBe(2)
    expect(upsert(history, { ...a, selectors: [{ id: 'edge-*' }] })).toBe(3)
    expect(history.append({ upserted: [], removed: [a.key], cause })).toBe(4)
    await history.flush()
    expect(numbers(history)).toEqual([1, 2, 3, 4])
  })

  it('lists a revision at once, with its time, causes and counts, and the same after a restart', async () => {
    const history = await start({ now: () => Date.UTC(2024, 0, 2) })
    upsert(history, unit('a.yaml', [cluster('a'), cluster('b'), secret('s')]))
    const documents = Array.from({ length: 15 }, (_, index) => `config/${index}.yaml`)
    const changed = unit('a.yaml', [cluster('a', 9), cluster('c')])
    history.append({ upserted: [changed], removed: [], cause: { documents } })
    const expected = {
      revision: 2,
      time: '2024-01-02T00:00:00.000Z',
      documents: { count: 15, names: documents.slice(0, 10) },
      counts: [
        { word: 'cluster', added: 1, changed: 1, removed: 1 },
        { word: 'secret', added: 0, changed: 0, removed: 1 },
      ],
    }
    expect(history.list()[1]).toEqual(expected)
    await history.close()
    expect(history.list()[1]).toEqual(expected)
    expect((await start()).list()).toEqual(history.list())
  })

  it('counts a resource that moves to another document as unchanged, and one that moves to other nodes as moved', async () => {
    const history = await start()
    upsert(history, unit('a.yaml', [cluster('a')]))
    const moved = unit('b.yaml', [cluster('a')])
    history.append({ upserted: [moved], removed: ['file:a.yaml'], cause })
    upsert(history, { ...moved, selectors: [{ cluster: 'edge' }] })
    expect(history.list().map(({ counts }) => counts)).toEqual([
      [{ word: 'cluster', added: 1, changed: 0, removed: 0 }],
      [],
      [{ word: 'cluster', added: 1, changed: 0, removed: 1 }],
    ])
  })

  it.each([
    ['on disk', (): StartOptions => ({})],
    ['in memory', (): StartOptions => ({ directory: '/dev/null/snapshots' })],
  ])('shows every revision and what differs between two, %s', async (_, options) => {
    const history = await start({ maxRevisions: 8, ...options() })
    for (let n = 1; n <= 6; n++)
      upsert(history, unit('a.yaml', [cluster('kept'), cluster('a', n), cluster(`only-${n}`)]))
    for (let n = 1; n <= 6; n++) {
      const detail = await history.show(n)
      expect(detail).toMatchObject({ revision: n, units: [{ key: 'file:a.yaml', origin: { name: 'config/a.yaml' } }] })
      const resources = detail?.units[0]?.resources
      expect(resources?.map(({ name }) => name)).toEqual(['kept', 'a', `only-${n}`])
      expect(resources?.[1]?.json()).toMatchObject({ name: 'a', connect_timeout: `${n}s` })
    }
    const [before, after] = (await Promise.all([2, 5].map((n) => history.show(n)))) as [RevisionView, RevisionView]
    const diff = diffRevisions(before, after)
    expect(diff.from.revision).toBe(2)
    expect(diff.types).toMatchObject([
      {
        word: 'cluster',
        added: [{ name: 'only-5' }],
        removed: [{ name: 'only-2' }],
        changed: [{ before: { name: 'a' }, after: { name: 'a' } }],
      },
    ])
    expect(diff.types[0]?.changed[0]?.before.json()).toMatchObject({ connect_timeout: '2s' })
    expect(await history.show(7)).toBeUndefined()
    expect(await history.show(Number.NaN)).toBeUndefined()
  })

  it('encodes off the path of the caller, and a large step in many turns of the event loop', async () => {
    const history = await start()
    const encodings = vi.spyOn(Buffer, 'concat')
    upsert(
      history,
      unit(
        'large.yaml',
        Array.from({ length: 2000 }, (_, index) => cluster(`c${index}`)),
      ),
    )
    expect(encodings).not.toHaveBeenCalled()
    let turns = 0
    const count = (): void => {
      turns++
      if (history.list().length > 0 && !isDone) setImmediate(count)
    }
    let isDone = false
    setImmediate(count)
    await history.flush()
    isDone = true
    expect(turns).toBeGreaterThan(20)
  })
})

describe('texts', () => {
  const written = (name: string, content: string, timeout = 1, line = 1): Unit => ({
    ...unit(name, [cluster(name, timeout)]),
    origin: { name: `config/${name}`, line },
    text: documentText(content),
  })
  const textsAt = async (history: Pick<History, 'show'>, revision: number): Promise<unknown> =>
    (await history.show(revision))?.units.map(({ text, origin }) => [origin.line, text?.content])

  it('are kept with every revision, over restarts and in every segment', async () => {
    const first = await start({ maxRevisions: 4 })
    upsert(first, written('a', 'a: 1\n'), written('b', 'b: 1\n'))
    upsert(first, written('a', 'a: 2\n', 2))
    await first.close()
    const second = await start({ maxRevisions: 4 })
    upsert(second, written('b', 'b: 3\n', 3))
    upsert(second, written('a', 'a: 4\n', 4))
    expect(segmentsOf(directory).length).toBeGreaterThan(1)
    expect(await textsAt(second, 2)).toEqual([
      [1, 'a: 2\n'],
      [1, 'b: 1\n'],
    ])
    expect(await textsAt(second, 4)).toEqual([
      [1, 'a: 4\n'],
      [1, 'b: 3\n'],
    ])
    await second.flush()
    const reader = await readHistory(new HistoryDirectory(directory), api)
    expect(reader.revisions).toEqual(second.list())
    for (const revision of numbers(second)) {
      expect(await textsAt(reader, revision)).toEqual(await textsAt(second, revision))
    }
    expect(await reader.show(99)).toBeUndefined()
  })

  it('of what was only written otherwise, or moved, are told with the next revision', async () => {
    const history = await start()
    upsert(history, written('a', 'a: 1\n'), written('b', 'b: 1\n'))
    history.refresh([written('a', '# now with a comment\na: 1\n', 1, 9), written('unknown', 'x: 1\n')])
    expect(history.revision).toBe(1)
    upsert(history, written('b', 'b: 2\n', 2))
    const after = [
      [9, '# now with a comment\na: 1\n'],
      [1, 'b: 2\n'],
    ]
    expect(await textsAt(history, 1)).toEqual([
      [1, 'a: 1\n'],
      [1, 'b: 1\n'],
    ])
    expect(await textsAt(history, 2)).toEqual(after)
    expect((await history.show(2))?.units[0]?.resources).toMatchObject([{ name: 'a' }])
    await history.close()
    expect((await start()).restored?.units.map(({ origin, text }) => [origin.line, text?.content])).toEqual(after)
  })

  it('of a history that is older than texts are told as soon as there are any', async () => {
    const first = await start()
    upsert(first, unit('a', [cluster('a')]), unit('b', [cluster('b')]))
    await first.close()
    const second = await start()
    second.refresh([written('a', 'a: 1\n'), written('b', 'b: 1\n')])
    upsert(second, written('b', 'b: 2\n', 2))
    expect(await textsAt(second, 1)).toEqual([
      [1, undefined],
      [1, undefined],
    ])
    expect(await textsAt(second, 2)).toEqual([
      [1, 'a: 1\n'],
      [1, 'b: 2\n'],
    ])
  })

  it('are not kept of what holds anything sensitive, nor where a key stands in a comment', async () => {
    const history = await start()
    const sensitive = { ...unit('secret.yaml', [cluster('c'), secret('s')]), text: documentText('password: hunter2\n') }
    const commented = written('a', `# the old one was ${key}\na: 1\n`)
    const encoded = written('b', `# ${Buffer.from(key).toString('base64')}\nb: 1\n`)
    upsert(history, sensitive, commented, encoded)
    await history.flush()
    const units = (await history.show(1))?.units
    expect(units?.map(({ text }) => text?.content)).toEqual([undefined, undefined, undefined])
    // That it is the same text can be told all the same.
    expect(units?.map(({ text }) => text?.version)).toEqual(
      [sensitive, commented, encoded].map(({ text }) => text?.version),
    )
    for (const name of segmentsOf(directory)) {
      const bytes = readFileSync(join(directory, name))
      expect([bytes.includes('hunter2'), bytes.includes('PRIVATE KEY')]).toEqual([false, false])
    }
  })

  it('are kept where a certificate stands in them', async () => {
    const history = await start()
    const pem = '-----BEGIN CERTIFICATE-----\nMIIE'
    const content = `ca: ${Buffer.from(pem).toString('base64')} # ${pem.replace('\n', ' ')}\n`
    upsert(history, written('a', content))
    expect(await textsAt(history, 1)).toEqual([[1, content]])
  })
})

describe('secrets', () => {
  it('never writes a key, keeps the version, and restores the resource as not ready', async () => {
    const history = await start({ maxRevisions: 4 })
    const s = secret('server-cert')
    for (let n = 1; n <= 6; n++) upsert(history, unit('a.yaml', [s, cluster('a', n)]))
    const shown = await history.show(6)
    expect(JSON.stringify(shown?.units[0]?.resources[0]?.json())).toContain('redacted')
    await history.close()
    const second = await start({ maxRevisions: 4 })
    const restored = second.restored?.units[0]?.resources[0]
    expect(restored).toMatchObject({ name: s.name, version: s.version, isReady: false, isSensitive: true })
    expect(restored?.bytes).toHaveLength(0)
    // Its content is in none of the new segments' sources: only the redacted form of the old ones is left.
    for (let n = 7; n <= 12; n++) upsert(second, unit('b.yaml', [cluster('b', n)]))
    expect(JSON.stringify((await second.show(12))?.units[0]?.resources[0]?.json())).toContain('redacted')
    await second.close()
    const files = readdirSync(directory)
    expect(files.length).toBeGreaterThan(1)
    for (const name of files) {
      const bytes = readFileSync(join(directory, name))
      expect(bytes.includes(key)).toBe(false)
      expect(bytes.includes('PRIVATE KEY')).toBe(false)
    }
  })

  it('keeps nothing of a sensitive resource that it cannot read', async () => {
    const history = await start()
    const origin = { name: 'x' }
    const bytes = Buffer.from(key)
    for (const typeUrl of ['type.googleapis.com/acme.Unknown', resourceTypes.secret.typeUrl]) {
      upsert(history, unit(typeUrl, [buildResource({ typeUrl, name: 'x', bytes, origin, isSensitive: true })]))
    }
    expect((await history.show(2))?.units[1]?.resources[0]?.json()).toBeUndefined()
    await history.close()
    for (const name of segmentsOf(directory)) expect(readFileSync(join(directory, name)).includes(key)).toBe(false)
    expect((await start()).restored?.units.map(({ resources }) => resources[0]?.isReady)).toEqual([false, false])
  })

  it('does not take redacted content for the content, when it is sensitive no longer', async () => {
    const first = await start()
    const s = secret('s')
    upsert(first, unit('a.yaml', [s]))
    await first.close()
    const second = await start()
    upsert(second, unit('a.yaml', [{ ...s, isSensitive: false }, cluster('a')]))
    await second.close()
    expect((await start()).restored?.units[0]?.resources[0]).toEqual({ ...s, isSensitive: false })
  })

  it('lets only its owner read what it creates', async () => {
    const history = await start()
    upsert(history, unit('a.yaml', [cluster('a')]))
    await history.flush()
    expect(statSync(directory).mode & 0o777).toBe(0o700)
    for (const name of readdirSync(directory)) expect(statSync(join(directory, name)).mode & 0o777).toBe(0o600)
  })
})

describe('damage', () => {
  it('restores the last whole revision wherever the newest segment is torn', async () => {
    const first = await start()
    const expected = new Map<number, readonly Unit[]>()
    const sizes: number[] = []
    let units: Unit[] = []
    for (let n = 1; n <= 3; n++) {
      units = [unit('a.yaml', [cluster('a', n)]), ...units.slice(1), unit(`${n}.yaml`, [cluster(`c${n}`)])]
      upsert(first, ...units)
      expected.set(n, units)
      await first.flush()
      sizes.push(statSync(join(directory, '00000001.log')).size)
    }
    await first.close()
    const sorted = (list: readonly Unit[] | undefined): readonly Unit[] =>
      [...(list ?? [])].sort((a, b) => a.key.localeCompare(b.key))
    const [, begin, end] = sizes as [number, number, number]
    // Every byte in the long form.
    const step = process.env['FAIRLEAD_TEST_LONG'] === '1' ? 1 : 3
    for (let size = begin; size < end; size += step) {
      const copy = copyOf(directory)
      truncateSync(join(copy, '00000001.log'), size)
      const log = fakeLog()
      const second = await createHistory({ place: new HistoryDirectory(copy), api, log })
      const whole = sizes.filter((other) => other <= size).length
      expect(second.restored?.revision).toBe(whole)
      expect(sorted(second.restored?.units)).toEqual(sorted(expected.get(whole)))
      expect(log.said.some((line) => line.includes('torn'))).toBe(!sizes.includes(size))
      if (size % 16 !== 0) {
        await second.close()
        continue
      }
      const next = unit('next.yaml', [cluster('next')])
      expect(upsert(second, next)).toBe(whole + 1)
      await second.close()
      const third = await createHistory({ place: new HistoryDirectory(copy), api, log })
      expect(third.restored?.units).toContainEqual(next)
      expect(third.restored?.units).toHaveLength((expected.get(whole)?.length ?? 0) + 1)
      await third.close()
    }
  }, 60_000)

  async function fourSegments(): Promise<void> {
    const history = await start({ maxRevisions: 8 })
    for (let n = 1; n <= 8; n++) upsert(history, unit('a.yaml', [cluster('a', n)]))
    await history.close()
    expect(segmentsOf(directory)).toHaveLength(4)
  }

  function damage(name: string): void {
    const path = join(directory, name)
    const bytes = readFileSync(path)
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] as number) ^ 0x40
    writeFileSync(path, bytes)
  }

  it('sets a damaged segment in the middle aside, says so, and has the others', async () => {
    await fourSegments()
    damage('00000002.log')
    const log = fakeLog()
    const history = await start({ log })
    expect(history.restored?.revision).toBe(8)
    expect(existsSync(join(directory, '00000002.log.corrupt'))).toBe(true)
    expect(log.said.join()).toMatch(/damaged.*00000002\.log/)
    expect(numbers(history)).toEqual([1, 2, 4, 5, 6, 7, 8])
    expect((await history.show(2))?.units).toHaveLength(1)
    expect((await history.show(4))?.units).toHaveLength(1)
    expect(await history.show(3)).toBeUndefined()
  })

  it.each([0, 2])('sets a history of format %i aside, whole, and begins anew', async (format) => {
    await fourSegments()
    const names = segmentsOf(directory)
    const written = names.map((name) => withFormat(readFileSync(join(directory, name)), format))
    for (const [index, name] of names.entries()) writeFileSync(join(directory, name), written[index] as Uint8Array)
    const log = fakeLog()
    const history = await start({ log })
    expect(history.restored).toBeUndefined()
    expect(log.said.join()).toMatch(/of another version.*00000004\.log/)
    expect(names.map((name) => readFileSync(join(directory, `${name}.corrupt`)))).toEqual(written)
    expect(upsert(history, unit('b.yaml', [cluster('b', 1)]))).toBeGreaterThan(0)
    await history.close()
    // What it wrote since is read by the next.
    expect((await start()).restored?.units.map((one) => one.key)).toEqual(['file:b.yaml'])
  })

  /** The same segment, as a version with another format would begin it. */
  function withFormat(segment: Buffer, format: number): Uint8Array {
    const [first, ...others] = [...readRecords(segment)].map(({ bytes }) => bytes)
    expect(decodeRecord(api, first as Uint8Array)).toEqual({ kind: 'header', format: historyFormat })
    return Buffer.concat([encodeRecord(api, { kind: 'header', format }), ...others].map(frameRecord))
  }

  it('falls back to the segment before when the newest has no base', async () => {
    await fourSegments()
    writeFileSync(join(directory, '00000004.log'), 'no segment')
    const history = await start()
    expect(history.restored?.revision).toBe(6)
    expect(upsert(history, unit('b.yaml', []))).toBe(7)
    await history.flush()
    expect(existsSync(join(directory, '00000004.log.corrupt'))).toBe(true)
    expect(segmentsOf(directory)).not.toContain('00000004.log')
  })

  it('overwrites nothing of the newest segment when it is damaged, and goes on in another', async () => {
    const history = await start()
    for (let n = 1; n <= 4; n++) upsert(history, unit('a.yaml', [cluster('a', n)]))
    await history.close()
    damage('00000001.log')
    const damaged = readFileSync(join(directory, '00000001.log'))
    const log = fakeLog()
    const second = await start({ log })
    const last = second.restored?.revision as number
    expect(last).toBeGreaterThan(0)
    expect(last).toBeLessThan(4)
    expect(log.said.join()).toMatch(/torn or damaged record/)
    expect(upsert(second, unit('b.yaml', [cluster('b')]))).toBe(last + 1)
    await second.close()
    const third = await start()
    expect(third.restored?.units).toHaveLength(2)
    expect(numbers(third).at(-1)).toBe(last + 1)
    expect(readFileSync(join(directory, '00000001.log'))).toEqual(damaged)
    expect(segmentsOf(directory)).toEqual(['00000001.log', '00000002.log'])
  })

  it('keeps a segment whose torn end is only what a failed write left', async () => {
    await fourSegments()
    writeFileSync(join(directory, '00000002.log'), 'torn', { flag: 'a' })
    expect(numbers(await start())).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
  })

  it('removes a segment that was never finished, and touches no file of others', async () => {
    mkdirSync(directory)
    writeFileSync(join(directory, '00000007.log.tmp'), 'half')
    writeFileSync(join(directory, 'README.md'), 'hello')
    const history = await start()
    upsert(history, unit('a.yaml', []))
    await history.close()
    expect(readdirSync(directory).sort()).toEqual(['00000001.log', 'README.md'])
  })
})

describe('limits', () => {
  it('keeps at most so many revisions, and can show each that it lists', async () => {
    const history = await start({ maxRevisions: 8 })
    for (let n = 1; n <= 50; n++) {
      upsert(history, unit('a.yaml', [cluster('a', n)]))
      await history.flush()
      expect(history.list().length).toBeLessThanOrEqual(8)
      expect(history.list().length).toBeGreaterThanOrEqual(Math.min(n, 6))
    }
    expect(segmentsOf(directory).length).toBeLessThanOrEqual(5)
    for (const { revision } of history.list()) {
      expect((await history.show(revision))?.units[0]?.resources[0]?.json()).toMatchObject({
        connect_timeout: `${revision}s`,
      })
    }
  })

  it.each([1, 2, 3])('works with a limit of %i revisions', async (maxRevisions) => {
    const history = await start({ maxRevisions })
    for (let n = 1; n <= 10; n++) upsert(history, unit('a.yaml', [cluster('a', n)]))
    await history.close()
    expect(numbers(history).at(-1)).toBe(10)
    expect(numbers(history).length).toBeLessThanOrEqual(maxRevisions)
    expect((await start({ maxRevisions })).restored?.units).toEqual([unit('a.yaml', [cluster('a', 10)])])
  })

  it('keeps at most so many bytes, and stores equal content once a segment', async () => {
    const maxBytes = 20_000
    const history = await start({ maxBytes, maxRevisions: 1000 })
    const names = Array.from({ length: 20 }, (_, index) => `c${index}`)
    for (let n = 1; n <= 200; n++) {
      upsert(
        history,
        unit(
          'a.yaml',
          names.map((name) => cluster(name, n % 2)),
        ),
      )
      await history.flush()
      const bytes = segmentsOf(directory).reduce((sum, name) => sum + statSync(join(directory, name)).size, 0)
      expect(bytes).toBeLessThanOrEqual(maxBytes)
    }
    expect(history.list().length).toBeGreaterThan(1)
  })

  it('keeps what is in force although it is more than the limit, and says so once', async () => {
    const log = fakeLog()
    const history = await start({ maxBytes: 1000, log })
    const large = unit(
      'a.yaml',
      Array.from({ length: 50 }, (_, index) => cluster(`c${index}`)),
    )
    upsert(history, large)
    for (let n = 1; n <= 60; n++) upsert(history, unit('b.yaml', [cluster('b', n)]))
    await history.close()
    expect(log.said.filter((line) => line.includes('more than the history may hold'))).toHaveLength(1)
    expect(segmentsOf(directory)).toHaveLength(1)
    expect((await start()).restored?.units).toContainEqual(large)
  })
})

describe('two servers', () => {
  it('gives the second one the last good state and memory, and names the first one', async () => {
    const first = await start()
    upsert(first, unit('a.yaml', [cluster('a')]))
    await first.flush()
    const second = await start()
    expect(second.problem?.message).toContain(`pid ${process.pid}`)
    expect(second.restored?.units).toHaveLength(1)
    const before = readFileSync(join(directory, '00000001.log'))
    expect(upsert(second, unit('b.yaml', [cluster('b')]))).toBe(2)
    await second.close()
    expect(readFileSync(join(directory, '00000001.log'))).toEqual(before)
    expect((await second.show(2))?.units).toHaveLength(2)
    expect(existsSync(join(directory, 'lock'))).toBe(true)
    expect(first.problem).toBeUndefined()
  })

  /** Two on one directory, both with revision 1; `later` is when the second one has looked again. */
  async function startTwo(log = fakeLog()): Promise<{ first: History; second: History; later: () => Promise<void> }> {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const first = await start()
    upsert(first, unit('a.yaml', [cluster('a')]), unit('s.yaml', [secret('s')]))
    await first.flush()
    const second = await start({ log })
    upsert(second, unit('s.yaml', [secret('s')]))
    const later = async (): Promise<void> => {
      vi.advanceTimersByTime(5000)
      await second.show(1)
    }
    return { first, second, later }
  }

  const theirs = (n: number): Unit => unit('a.yaml', [cluster('a', n)])
  const shownBy = async (history: History): Promise<unknown[]> => {
    const views = await Promise.all(numbers(history).map((number) => history.show(number)))
    return views.map((view) => (view as RevisionView).units.map(({ key, resources }) => [key, resources[0]?.json()]))
  }

  it.each([
    ['wrote less', 1, 3, [1, 2, 4]],
    ['wrote as much', 2, 2, [1, 2, 3, 4]],
    ['wrote more', 4, 1, [1, 2, 3, 4, 5, 6]],
  ])('lets the second one go on behind the first one, which ended and %s', async (_, ofFirst, ofSecond, expected) => {
    const log = fakeLog()
    const { first, second, later } = await startTwo(log)
    try {
      for (let n = 1; n <= ofFirst; n++) upsert(first, theirs(10 + n))
      for (let n = 1; n <= ofSecond; n++) upsert(second, unit('b.yaml', [cluster('b', n)]))
      await later()
      expect(second.problem?.fix).toContain('about to end')
      await first.close()
      const before = numbers(first)
      const told = await shownBy(first)
      const { revision } = second
      await later()
      expect(second.problem).toBeUndefined()
      expect(second.revision).toBeGreaterThanOrEqual(revision)
      expect(numbers(second)).toEqual(expected)
      expect((await shownBy(second)).slice(0, before.length)).toEqual(told)
      expect(second.list().at(-1)).toMatchObject({
        documents: { names: ['config/a.yaml', 'config/b.yaml'] },
        counts: [{ word: 'cluster', added: 1, changed: 1, removed: 0 }],
      })
      expect(log.said.filter((line) => line.startsWith('another server'))).toHaveLength(1)
      const changed = unit('a.yaml', [cluster('a', 99)])
      expect(upsert(second, changed)).toBe((expected.at(-1) as number) + 1)
      await second.close()
      const shown = await shownBy(second)
      const third = await start()
      expect(numbers(third)).toEqual(numbers(second))
      expect(await shownBy(third)).toEqual(shown)
      expect(third.restored?.units.map(({ key }) => key).sort()).toEqual(['file:a.yaml', 'file:b.yaml', 'file:s.yaml'])
      expect(third.restored?.units).toContainEqual(changed)
    } finally {
      vi.useRealTimers()
    }
  })

  it('takes the same from two servers for no revision, and goes on by the number of the first', async () => {
    const { first, second, later } = await startTwo()
    try {
      for (const n of [2, 3, 4]) upsert(first, theirs(n))
      upsert(second, theirs(4))
      await first.close()
      await later()
      expect(second.problem).toBeUndefined()
      expect([numbers(second), second.revision]).toEqual([[1, 2, 3, 4], 4])
      expect(upsert(second, theirs(5))).toBe(5)
      await second.close()
      expect((await start()).restored).toMatchObject({ revision: 5 })
    } finally {
      vi.useRealTimers()
    }
  })

  it('numbers in order what comes while the second one takes over', async () => {
    const { first, second, later } = await startTwo()
    try {
      for (const n of [2, 3, 4]) upsert(first, theirs(n))
      await first.close()
      upsert(second, unit('b.yaml', [cluster('b', 1)]))
      const isLater = later()
      for (let n = 2; n <= 60; n++) {
        upsert(second, unit('b.yaml', [cluster('b', n)]))
        if (n % 5 === 0) await new Promise(setImmediate)
      }
      await isLater
      await second.close()
      const listed = numbers(second)
      expect(listed.slice(0, 4)).toEqual([1, 2, 3, 4])
      expect(listed).toEqual(listed.map((_, index) => index + 1))
      expect(second.revision).toBe(listed.at(-1))
      const third = await start()
      expect(numbers(third)).toEqual(listed)
      expect(third.restored?.units).toContainEqual(unit('b.yaml', [cluster('b', 60)]))
    } finally {
      vi.useRealTimers()
    }
  })

  it('writes all that the second one has where the directory was deleted with the first one', async () => {
    const { first, second: other } = await startTwo()
    try {
      await other.close()
      upsert(first, theirs(2))
      await first.flush()
      const second = await start()
      upsert(second, unit('b.yaml', [cluster('b')]))
      await first.close()
      rmSync(directory, { recursive: true })
      vi.advanceTimersByTime(5000)
      await second.show(1)
      expect(second.problem).toBeUndefined()
      expect(numbers(second)).toEqual([2, 3])
      await second.close()
      expect((await start()).restored?.units).toHaveLength(3)
    } finally {
      vi.useRealTimers()
    }
  })

  it('takes over the lock of a process that is gone, and not that of one that runs', async () => {
    mkdirSync(directory)
    const child = spawn('sleep', ['60'])
    await once(child, 'spawn')
    writeFileSync(join(directory, 'lock'), JSON.stringify({ pid: child.pid, started: '' }))
    const second = await start()
    expect(second.problem?.message).toContain(`pid ${child.pid}`)
    child.kill('SIGKILL')
    await once(child, 'exit')
    const third = await start()
    expect(third.problem).toBeUndefined()
  })

  it.each([
    ['of a former life with this pid', JSON.stringify({ pid: process.pid, started: 'another boot/1' })],
    ['of a process that cannot be', JSON.stringify({ pid: 0, started: '' })],
    ['that was never written', ''],
    ['that holds no object', 'null'],
  ])('takes over a lock %s', async (_, content) => {
    mkdirSync(directory)
    writeFileSync(join(directory, 'lock'), content)
    const history = await start()
    expect(history.problem).toBeUndefined()
    await history.close()
    expect(readdirSync(directory)).toEqual([])
  })
})

/** A disk that is full while `isFull`: a write leaves half of what it was given. */
function fillableFs(): HistoryFs & { isFull: boolean } {
  const full = (): Error => Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' })
  const fs = {
    ...nodeFs,
    isFull: false,
    open: async (path: string, ...rest: [string, number]) => {
      const handle = await nodeFs.open(path, ...rest)
      const appendFile = handle.appendFile.bind(handle)
      handle.appendFile = async (data: Uint8Array): Promise<void> => {
        if (!fs.isFull) return appendFile(data)
        await appendFile(data.subarray(0, data.length >> 1))
        throw full()
      }
      return handle
    },
  }
  return fs as unknown as HistoryFs & { isFull: boolean }
}

describe('a directory that cannot be written to', () => {
  it('is a problem and no stop, and everything is written when it can be', async () => {
    writeFileSync(join(root, 'file'), '')
    const below = join(root, 'file', 'snapshots')
    const log = fakeLog()
    const history = await start({ directory: below, log })
    expect(history.problem).toMatchObject({ severity: 'warning', code: 'history', origin: { name: below } })
    expect(history.problem?.message).toContain('ENOTDIR')
    for (let n = 1; n <= 3; n++) expect(upsert(history, unit('a.yaml', [cluster('a', n)]))).toBe(n)
    await history.flush()
    expect(log.said.filter((line) => line.startsWith('cannot write the history'))).toHaveLength(1)
    expect((await history.show(2))?.units).toHaveLength(1)
    rmSync(join(root, 'file'))
    await history.flush()
    expect(history.problem).toBeUndefined()
    await history.close()
    expect(numbers(await start({ directory: below }))).toEqual([1, 2, 3])
  })

  it('loses no revision when the disk is full for a while', async () => {
    const fs = fillableFs()
    const log = fakeLog()
    const history = await start({ fs, log, now: () => 0 })
    const revise = (n: number): number => upsert(history, unit('a.yaml', [cluster('a', n), secret('s')]))
    revise(1)
    await history.flush()
    fs.isFull = true
    revise(2)
    revise(3)
    await history.flush()
    expect(history.problem?.message).toContain('ENOSPC')
    expect(numbers(history)).toEqual([1, 2, 3])
    const killed = await start({ directory: copyOf(directory) })
    expect(killed.restored?.revision).toBe(1)
    fs.isFull = false
    revise(4)
    await history.flush()
    expect(history.problem).toBeUndefined()
    revise(5)
    await history.close()
    const next = await start()
    expect(numbers(next)).toEqual([1, 2, 3, 4, 5])
    expect(next.restored?.units[0]?.resources[0]).toEqual(cluster('a', 5))
    for (let n = 1; n <= 5; n++) {
      expect((await next.show(n))?.units[0]?.resources[0]?.json()).toMatchObject({ connect_timeout: `${n}s` })
    }
    expect(readdirSync(directory).filter((name) => /corrupt|tmp/.test(name))).toEqual([])
  })

  it('has what is there when it cannot be written to from the start', async () => {
    const first = await start()
    upsert(first, unit('a.yaml', [cluster('a')]))
    await first.close()
    const before = readFileSync(join(directory, '00000001.log'))
    const fs = fillableFs()
    fs.isFull = true
    const full = { ...fs, writeFile: () => Promise.reject(new Error('ENOSPC: no space left on device')) }
    const second = await start({ fs: full })
    expect(second.restored).toMatchObject({ revision: 1, units: [{ key: 'file:a.yaml' }] })
    expect(second.problem?.message).toContain('ENOSPC')
    expect(upsert(second, unit('b.yaml', [cluster('b')]))).toBe(2)
    await second.flush()
    expect(readFileSync(join(directory, '00000001.log'))).toEqual(before)
    Object.assign(full, nodeFs)
    upsert(second, unit('c.yaml', [cluster('c')]))
    await second.close()
    expect(numbers(await start())).toEqual([1, 2, 3])
  })

  it('tries again when no revision comes', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    try {
      writeFileSync(join(root, 'file'), '')
      const history = await start({ directory: join(root, 'file', 'x') })
      upsert(history, unit('a.yaml', [cluster('a')]))
      await history.show(1)
      vi.advanceTimersByTime(5000)
      await history.show(1)
      expect(history.problem).toBeDefined()
      rmSync(join(root, 'file'))
      vi.advanceTimersByTime(5000)
      await history.show(1)
      expect(history.problem).toBeUndefined()
      expect(numbers(await start({ directory: copyOf(join(root, 'file', 'x')) }))).toEqual([1])
    } finally {
      vi.useRealTimers()
    }
  })

  it('tries again though the clock was set back meanwhile', async () => {
    writeFileSync(join(root, 'file'), '')
    let now = 1_000_000
    const history = await start({ directory: join(root, 'file', 'x'), now: () => now })
    upsert(history, unit('a.yaml', [cluster('a', 1)]))
    await history.show(1)
    rmSync(join(root, 'file'))
    now -= 900_000
    upsert(history, unit('a.yaml', [cluster('a', 2)]))
    await history.show(2)
    expect(history.problem).toBeUndefined()
  })

  it('tries again by itself with later revisions, but not with every one', async () => {
    writeFileSync(join(root, 'file'), '')
    let now = 0
    let tries = 0
    const mkdir = (async (...args: Parameters<typeof nodeFs.mkdir>) => {
      tries++
      return nodeFs.mkdir(...args)
    }) as typeof nodeFs.mkdir
    const history = await start({ directory: join(root, 'file', 'x'), now: () => now, fs: { ...nodeFs, mkdir } })
    const revise = async (n: number): Promise<void> => {
      upsert(history, unit('a.yaml', [cluster('a', n)]))
      await history.show(n)
    }
    for (let n = 1; n <= 20; n++) await revise(n)
    expect(tries).toBe(2)
    rmSync(join(root, 'file'))
    now += 5000
    await revise(21)
    await revise(22)
    expect(history.problem).toBeUndefined()
  })

  it('writes everything anew when its files are deleted under it', async () => {
    const history = await start()
    upsert(history, unit('a.yaml', [cluster('a')]))
    await history.flush()
    rmSync(directory, { recursive: true })
    upsert(history, unit('b.yaml', [cluster('b')]))
    await history.flush()
    expect(history.problem).toBeUndefined()
    expect((await start({ directory: copyOf(directory) })).restored?.units).toHaveLength(2)
  })

  it('bounds what it keeps in memory', async () => {
    const history = await start({ directory: '/dev/null/snapshots', maxBytes: 40_000 })
    for (let n = 1; n <= 90; n++) {
      upsert(
        history,
        unit(
          'a.yaml',
          Array.from({ length: 5 }, (_, index) => cluster(`c${index}`, n)),
        ),
      )
    }
    await history.flush()
    const kept = numbers(history)
    expect(kept.at(-1)).toBe(90)
    expect(kept.length).toBeLessThan(60)
    for (const revision of kept) expect((await history.show(revision))?.revision).toBe(revision)
  })

  it('leaves alone a history that it could not read when it began', async () => {
    const first = await start()
    upsert(first, unit('a.yaml', [cluster('a')]))
    await first.close()
    let isBroken = true
    const readdir = (async (path: string) => {
      if (isBroken) throw Object.assign(new Error('EIO: i/o error'), { code: 'EIO' })
      return nodeFs.readdir(path)
    }) as unknown as typeof nodeFs.readdir
    const second = await start({ fs: { ...nodeFs, readdir } })
    isBroken = false
    upsert(second, unit('b.yaml', [cluster('b')]))
    await second.close()
    expect(second.problem?.message).toContain('restart')
    expect((await start()).restored?.units).toEqual(first.list().length === 1 ? [unit('a.yaml', [cluster('a')])] : [])
  })

  it('begins nothing anew where a part of it does not answer: it is all there', async () => {
    const first = await start()
    upsert(first, unit('a.yaml', [cluster('a')]))
    await first.close()
    const away = new ControlPlaneError('unreachable', 'nobody answers')
    const readFile = (() => Promise.reject(away)) as unknown as typeof nodeFs.readFile
    const second = await start({ fs: { ...nodeFs, readFile, writeFile: nodeFs.writeFile } })
    expect(second.problem?.message).toContain('nobody answers')
    expect(second.restored).toBeUndefined()
    await second.close()
    expect((await start()).restored?.units).toEqual([unit('a.yaml', [cluster('a')])])
  })
})
