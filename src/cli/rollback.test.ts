import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { beforeEach, describe, expect, test, vi } from 'vitest'
import { readiness } from '../../test/support/admin-client.ts'
import { createAuthority, writeCertificate } from '../../test/support/certificates.ts'
import { type CommandResult, runCommand } from '../../test/support/command.ts'
import { startControlPlane, type TestControlPlane } from '../../test/support/control-plane.ts'
import { startEtcd, type TestEtcd } from '../../test/support/etcd.ts'
import { describeWithEtcd } from '../../test/support/needs.ts'
import { eventually } from '../../test/support/poll.ts'
import { tempDir } from '../../test/support/temp.ts'
import { putDocuments, readStored } from '../source/etcd-writer.ts'
import { findFiles } from './rollback-files.ts'

const service = (name: string, port = 80): string =>
  `kind: Service\nname: ${name}\nendpoints: {address: 10.0.0.1, port: ${port}}\n`
const [a, b] = ['a', 'b'].map((name) => service(name)) as [string, string]

/** Resolves when the newest revision is of that number. */
async function reached({ adminUrl }: TestControlPlane, revision: number): Promise<void> {
  await eventually(async () => expect((await readiness(adminUrl)).revision).toBe(revision), { timeoutMs: 15_000 })
}

/** Times as NOW. */
const timeless = (text: string): string => text.replaceAll(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ/g, 'NOW')

describe('fairlead rollback, from files,', () => {
  let root: string
  let config: string
  let snapshots: string
  let server: TestControlPlane
  const write = (files: Readonly<Record<string, string | undefined>>): void => {
    for (const [name, text] of Object.entries(files)) {
      const path = join(config, name)
      mkdirSync(dirname(path), { recursive: true })
      if (text === undefined) rmSync(path)
      else writeFileSync(path, text)
    }
  }
  const read = (name: string): string | undefined =>
    existsSync(join(config, name)) ? readFileSync(join(config, name), 'utf8') : undefined
  const rollback = async (...args: readonly string[]): Promise<CommandResult> =>
    await runCommand(['rollback', ...args, '--config', config, '--server', server.adminUrl])

  beforeEach(async () => {
    root = tempDir()
    config = join(root, 'config')
    snapshots = tempDir()
    write({ 'a.yaml': `# mine\n${a}`, 'more/b.yaml': b })
    server = await startControlPlane({ config: [config], snapshots })
    await reached(server, 1)
    write({ 'a.yaml': service('a', 81), 'more/b.yaml': undefined, 'c.yaml': service('c') })
    await reached(server, 2)
  })

  const table = [
    'revision 1 of NOW, because of CONFIG/a.yaml and 1 more',
    '',
    '   DOCUMENT   IN',
    '~  Service/a  CONFIG/a.yaml',
    '-  Service/c  CONFIG/c.yaml, which goes',
    '+  Service/b  CONFIG/more/b.yaml, which comes',
    '',
  ]
  const told = (text: string): string[] => timeless(text).replaceAll(config, 'CONFIG').split('\n')

  test('writes back what was, takes away what came, and the server takes it', async () => {
    chmodSync(join(config, 'a.yaml'), 0o640)
    const { code, out, err } = await rollback('1')
    expect([code, err]).toEqual([0, ''])
    expect(told(out)).toEqual([
      ...table,
      'CONFIG: 3 documents brought back or taken away in 3 files.',
      'It takes effect like any change: `fairlead snapshots list` shows it as a new revision, `fairlead nodes` who has it.',
      '',
    ])
    expect([read('a.yaml'), read('more/b.yaml'), read('c.yaml')]).toEqual([`# mine\n${a}`, b, undefined])
    expect(statSync(join(config, 'a.yaml')).mode & 0o777).toBe(0o640)
    expect(readdirSync(config).sort()).toEqual(['a.yaml', 'more'])
    await reached(server, 3)
    const { out: diff } = await runCommand(['snapshots', 'diff', '1', '3', '--server', server.adminUrl])
    expect(diff).toMatch(/: no difference\n$/)
    expect((await rollback('1')).out).toMatch(/holds that already: nothing to do\.\n$/)
  })

  test('with --dry-run only says what it would do', async () => {
    const { code, out } = await rollback('--previous', '--dry-run')
    expect(code).toBe(0)
    expect(told(out)).toEqual([...table, 'Nothing was written (--dry-run).', ''])
    expect([read('a.yaml'), read('more/b.yaml')]).toEqual([service('a', 81), undefined])
  })

  test('reads the history of a server that is gone, or that runs, in its directory', async () => {
    const args = ['rollback', '1', '--config', config, '--snapshots', snapshots]
    await eventually(async () =>
      expect(told((await runCommand([...args, '--dry-run'])).out)).toEqual([
        ...table,
        'Nothing was written (--dry-run).',
        '',
      ]),
    )
    await server.close()
    expect(await runCommand(args)).toMatchObject({ code: 0, err: '' })
    expect(read('more/b.yaml')).toBe(b)
    const missing = await runCommand(['rollback', '7', '--config', config, '--snapshots', snapshots])
    expect(missing).toMatchObject({ code: 2, err: 'fairlead: no revision 7; revisions 1 to 2 are kept\n' })
  })

  test('brings back one file alone', async () => {
    const args = ['--config', join(config, 'a.yaml'), '--server', server.adminUrl]
    expect(await runCommand(['rollback', '1', ...args])).toMatchObject({ code: 0, err: '' })
    expect([read('a.yaml'), read('more/b.yaml'), read('c.yaml')]).toEqual([`# mine\n${a}`, undefined, service('c')])
  })

  test('brings back one file deep below the directory that the server reads, though it is gone', async () => {
    const only = join(config, 'more/b.yaml')
    const one = async (...args: readonly string[]): Promise<CommandResult> =>
      await runCommand(['rollback', ...args, '--config', only, '--server', server.adminUrl])
    const { code, out, err } = await one('1')
    expect([code, err, out]).toEqual([0, '', expect.stringContaining(`${only}: 1 document brought back`)])
    expect([read('a.yaml'), read('more/b.yaml'), read('c.yaml')]).toEqual([service('a', 81), b, service('c')])
    expect((await one('1')).out).toContain(`${only} holds that already`)
    await reached(server, 3)
    expect((await one('--previous', '--dry-run')).out).toContain('-  Service/b')
  })

  test('has each rename and removal on the disk, and the directories that it made', async () => {
    const synced: string[] = []
    const handle = await open(config)
    const prototype = Object.getPrototypeOf(handle) as FileHandle
    await handle.close()
    vi.spyOn(prototype, 'sync').mockImplementation(async function (this: FileHandle) {
      const { ino } = await this.stat()
      const path = [config, join(config, 'more')].find((one) => statSync(one, { throwIfNoEntry: false })?.ino === ino)
      if (path !== undefined) synced.push(`${relative(root, path)}: ${readdirSync(path).sort().join(' ')}`)
      await this.datasync()
    })
    rmSync(join(config, 'more'), { recursive: true })
    expect(await rollback('1')).toMatchObject({ code: 0, err: '' })
    expect(synced).toEqual([
      'config: a.yaml c.yaml',
      'config/more: b.yaml',
      'config: a.yaml c.yaml more',
      'config: a.yaml more',
    ])
  })

  test('mends what is broken now: latest is what is in force', async () => {
    write({ 'a.yaml': 'kind: Service\nname: a\nendpionts: []\n', 'draft.yaml': `${service('draft')}naem: x\n` })
    await eventually(async () => expect((await readiness(server.adminUrl)).errors).toBe(2))
    const { code, out } = await rollback('latest')
    expect([code, read('a.yaml')]).toEqual([0, service('a', 81)])
    expect(out).toContain('kept: a broken document in')
    expect(read('draft.yaml')).toBe(`${service('draft')}naem: x\n`)
    await eventually(async () => expect((await readiness(server.adminUrl)).errors).toBe(1))
  })

  test('of one file reads that file alone', async () => {
    writeFileSync(join(config, 'big.json'), ' '.repeat(17 * 1024 * 1024))
    const only = join(config, 'a.yaml')
    const args = ['rollback', '1', '--config', only, '--server', server.adminUrl]
    expect(await runCommand(args)).toMatchObject({ code: 0, err: '' })
    expect(read('a.yaml')).toBe(`# mine\n${a}`)
    write({ 'a.yaml': undefined })
    expect(await runCommand(args)).toMatchObject({ code: 0, err: '' })
    expect(read('a.yaml')).toBe(`# mine\n${a}`)
  })

  test('writes into no other directory that is only called alike', async () => {
    const relativePath = relative(process.cwd(), config)
    const records = tempDir()
    server = await startControlPlane({ config: [relativePath], snapshots: records })
    await reached(server, 1)
    const alike = join(tempDir(), relativePath.replace(/^(\.\.\/)+/, ''))
    mkdirSync(alike, { recursive: true })
    const other = (...from: readonly string[]): Promise<CommandResult> =>
      runCommand(['rollback', '1', '--config', alike, ...from])
    const why = `is not where the documents of revision 1 stood: they came from`
    for (const from of [
      ['--server', server.adminUrl],
      ['--snapshots', records],
    ] as const) {
      await eventually(async () =>
        expect(await other(...from)).toMatchObject({ code: 2, err: expect.stringContaining(why) }),
      )
    }
    expect((await other('--server', server.adminUrl)).err).toContain(`they came from ${config}/`)
    expect(readdirSync(alike)).toEqual([])
    // The same directory by another way: of a history alone it is known by what stands there.
    writeFileSync(join(alike, 'a.yaml'), `# beside it\n${service('a', 81)}`)
    expect(await other('--server', server.adminUrl)).toMatchObject({ code: 2 })
    expect(await other('--snapshots', records)).toMatchObject({ code: 0, err: '' })
    expect(readFileSync(join(alike, 'c.yaml'), 'utf8')).toBe(service('c'))
    write({ 'c.yaml': undefined })
    expect(await rollback('1')).toMatchObject({ code: 0, err: '' })
    expect(read('c.yaml')).toBe(service('c'))
  })

  test('does not write over a file that somebody changed meanwhile', async () => {
    const target = findFiles(config)(
      [{ key: 'file:a.yaml', origin: { name: join(config, 'a.yaml') }, resources: [], nodes: [], isSensitive: false }],
      undefined,
    )
    const changes = [
      { id: 'file:new.yaml', before: undefined, after: b },
      { id: 'file:a.yaml', before: service('a', 81), after: a },
    ]
    write({ 'a.yaml': service('a', 82) })
    await expect(target?.write(changes, () => {})).rejects.toMatchObject({
      code: 'config',
      message: expect.stringMatching(/somebody changed .*a\.yaml meanwhile, so nothing was written/),
    })
    expect([read('a.yaml'), read('new.yaml')]).toEqual([service('a', 82), undefined])
    const outside = [{ id: 'file:../outside.yaml', before: undefined, after: a }]
    await expect(target?.write(outside, () => {})).rejects.toMatchObject({ code: 'usage' })
  })

  test('brings everything back when somebody emptied the directory', async () => {
    write({ 'a.yaml': undefined, 'c.yaml': undefined })
    expect(await rollback('latest')).toMatchObject({ code: 0, err: '' })
    expect([read('a.yaml'), read('c.yaml')]).toEqual([service('a', 81), service('c')])
  })

  test('knows which of several places is meant, says what is left of the others, and takes a file for a place', async () => {
    const other = join(tempDir(), 'other.yaml')
    writeFileSync(other, service('other'))
    server = await startControlPlane({ config: [config, other] })
    await reached(server, 1)
    writeFileSync(other, service('other', 81))
    write({ 'a.yaml': a })
    await server.pipeline.settled()
    await eventually(async () =>
      expect((await rollback('1', '--dry-run')).out).toMatch(/~ {2}Service\/a .*\n\n.*1 document of other places/s),
    )
    const args = ['rollback', '1', '--config', other, '--server', server.adminUrl]
    expect(await runCommand(args)).toMatchObject({ code: 0, err: '' })
    expect([readFileSync(other, 'utf8'), read('a.yaml')]).toEqual([service('other'), a])
  })

  test('said twice, --previous comes back to where it began', async () => {
    await rollback('--previous')
    await reached(server, 3)
    expect(read('a.yaml')).toBe(`# mine\n${a}`)
    await rollback('--previous')
    expect([read('a.yaml'), read('more/b.yaml'), read('c.yaml')]).toEqual([service('a', 81), undefined, service('c')])
  })

  test('--previous passes over what renewed certificates alone made of it', async () => {
    const authority = await createAuthority()
    const renew = async (): Promise<unknown> =>
      writeCertificate(config, 'shop', await authority.issue({ name: 'shop', sans: ['shop.example'] }))
    await renew()
    const secret = 'kind: Secret\nname: shop\ncertificate: {chain: {file: shop.crt}, key: {file: shop.key}}\n'
    write({ 'secret.yaml': secret })
    await reached(server, 3)
    write({ 'c.yaml': service('c', 82) })
    await reached(server, 4)
    for (const revision of [5, 6]) {
      await renew()
      await reached(server, revision)
    }
    const { code, out, err } = await rollback('--previous')
    expect([code, err]).toEqual([0, ''])
    expect(out).toMatch(/^revision 3 of .*~ {2}Service\/c /s)
    expect(read('c.yaml')).toBe(service('c'))
    const only = ['--previous', '--config', join(config, 'secret.yaml'), '--server', server.adminUrl]
    expect((await runCommand(['rollback', ...only, '--dry-run'])).out).toMatch(/^revision 2 of .*- {2}Secret\/shop /s)
  })

  test('prints JSON', async () => {
    const { out } = await rollback('1', '--dry-run', '--json')
    expect(JSON.parse(out)).toMatchObject({
      revision: 1,
      documents: [
        { place: join(config, 'a.yaml'), name: 'Service/a', change: 'changed' },
        { name: 'Service/c', change: 'removed' },
        { name: 'Service/b', change: 'added' },
      ],
      kept: [],
      cannot: [],
      written: false,
    })
  })

  test('touches nothing where something cannot be brought back, unless the rest will do', async () => {
    const secret = (key: string): string =>
      JSON.stringify({
        '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret',
        name: 's',
        generic_secret: { secret: { inline_string: key } },
      })
    write({ 'secret.json': secret('one') })
    await reached(server, 3)
    write({ 'secret.json': secret('two'), 'c.yaml': undefined })
    await reached(server, 4)
    const { code, err } = await rollback('3')
    expect([code, read('c.yaml')]).toEqual([1, undefined])
    expect(err).toMatch(/^cannot be brought back: secret\/s in .*secret\.json: it holds something sensitive/)
    expect(err).toMatch(/Nothing was written: .*--partial\n$/)
    expect(err).not.toContain('one')
    const partial = await rollback('3', '--partial')
    expect([partial.code, read('c.yaml'), read('secret.json')]).toEqual([0, service('c'), secret('two')])
    // It is there at both, and no other: that its text is not kept is no trouble then.
    await reached(server, 5)
    expect(await rollback('4')).toMatchObject({ code: 0, err: '' })
    expect(read('c.yaml')).toBeUndefined()
  })

  test.each<[string, () => readonly string[], RegExp]>([
    ['without a revision', () => ['--config', config], /say which revision/],
    ['with two', () => ['1', '--previous', '--config', config], /say which revision/],
    ['with none that is one', () => ['one', '--config', config], /one is no revision/],
    ['with one that is not kept', () => ['9', '--config', config], /no revision 9; revisions 1 to 2 are kept/],
    ['without a place', () => ['1'], /--config PATH or --etcd URLS/],
    ['with two places', () => ['1', '--config', config, '--etcd', 'a:1'], /--config PATH or --etcd URLS/],
    ['with a place that is not there', () => ['1', '--config', '/nothere'], /\/nothere does not exist/],
    [
      'with another place',
      () => ['1', '--config', tempDir()],
      /is not where the documents of revision 1 stood: they came from .*config\//,
    ],
    ['with etcd where it was files', () => ['1', '--etcd', 'a:1'], /etcd \/fairlead\/ is not where/],
  ])('%s exits 2', async (_, args, words) => {
    const { code, err } = await runCommand(['rollback', ...args(), '--server', server.adminUrl])
    expect(err).toMatch(words)
    expect(code).toBe(2)
    expect(read('a.yaml')).toBe(service('a', 81))
  })
})

describeWithEtcd('fairlead rollback, from etcd,', () => {
  let etcd: TestEtcd
  let server: TestControlPlane
  const put = async (upserts: Readonly<Record<string, string>>, deletes: readonly string[] = []): Promise<unknown> =>
    await putDocuments(
      { endpoints: [etcd.endpoint] },
      { upserts: Object.entries(upserts).map(([key, text]) => ({ key, text })), deletes },
      { batches: true },
    )
  const stored = async (): Promise<Record<string, string>> => await etcd.client.getAll().strings()
  const rollback = async (...args: readonly string[]): Promise<CommandResult> =>
    await runCommand(['rollback', ...args, '--etcd', etcd.endpoint, '--server', server.adminUrl])
  const fleet = async ({ adminUrl }: TestControlPlane): Promise<string> =>
    (await runCommand(['snapshots', 'list', '--fleet', '--server', adminUrl])).out

  beforeEach(async () => {
    etcd = await startEtcd()
    await put({ a: `# mine\n${a}`, 'more/b': b })
    server = await startControlPlane({ etcd: etcd.endpoint })
    await reached(server, 1)
  })

  test('writes back what was in one transaction, and leaves registrations alone', async () => {
    await put({ a: service('a', 81), c: service('c') }, ['more/b'])
    await reached(server, 2)
    const instance = '{"address": "10.0.0.9", "port": 80}'
    await etcd.client.put('/fairlead/endpoints/a/two').value(instance)
    const { code, out, err } = await rollback('--previous')
    expect([code, err]).toEqual([0, ''])
    expect(out).toMatch(
      /etcd \/fairlead\/config\/: 3 documents brought back .* in one transaction, at etcd revision \d+\./,
    )
    expect(await stored()).toMatchObject({
      '/fairlead/config/a': `# mine\n${a}`,
      '/fairlead/config/more/b': b,
      '/fairlead/endpoints/a/two': instance,
    })
    expect(Object.keys(await stored())).not.toContain('/fairlead/config/c')
  })

  test('with --fleet reads what all replicas wrote down, from etcd itself, though no server runs', async () => {
    await eventually(async () => expect((await fleet(server)).split('\n')).toHaveLength(3), { timeoutMs: 15_000 })
    await put({ a: service('a', 81), c: service('c') }, ['more/b'])
    await reached(server, 2)
    const late = await startControlPlane({ etcd: etcd.endpoint })
    await eventually(async () => expect(await fleet(late)).toBe(await fleet(server)))
    expect(
      timeless(await fleet(late))
        .replaceAll(/  +/g, '  ')
        .trim()
        .split('\n')
        .slice(1),
    ).toEqual([
      '2  NOW  Service +1 ~1 -1  etcd:/fairlead/config/a and 2 more',
      '1  NOW  Service +2  etcd:/fairlead/config/a and 1 more',
    ])
    const { out: shown } = await runCommand(['snapshots', 'show', '1', '--fleet', '--server', late.adminUrl])
    expect(shown).toContain('etcd:/fairlead/config/more/b')
    await late.close()
    await server.close()
    const { code, out, err } = await rollback('1', '--fleet')
    expect([code, err]).toEqual([0, ''])
    expect(out).toContain('3 documents brought back or taken away')
    expect(await stored()).toMatchObject({ '/fairlead/config/a': `# mine\n${a}`, '/fairlead/config/more/b': b })
    const { code: none, err: why } = await rollback('9', '--fleet')
    expect([none, why]).toEqual([2, 'fairlead: no revision 9; revisions 1 to 2 are kept\n'])
  }, 40_000)

  test('never writes over what somebody changed meanwhile', async () => {
    await put({ a: service('a', 81) })
    await reached(server, 2)
    const before = await stored()
    const expected = new Map(
      (await readStored({ endpoints: [etcd.endpoint] })).map((one) => [one.key, one.modRevision]),
    )
    await etcd.client.put('/fairlead/config/a').value(service('a', 82))
    const upserts = [
      { key: 'a', text: a },
      { key: 'new', text: b },
    ]
    const write = putDocuments({ endpoints: [etcd.endpoint] }, { upserts, deletes: [] }, { batches: true, expected })
    await expect(write).rejects.toMatchObject({ code: 'config', message: /nothing was written/ })
    expect(await stored()).toEqual({ ...before, '/fairlead/config/a': service('a', 82) })
  })

  test('goes in several transactions where one is not enough, and says how far it is', async () => {
    const many = (port: number): Record<string, string> =>
      Object.fromEntries(Array.from({ length: 150 }, (_, index) => [`many/${index}`, service(`s${index}`, port)]))
    await put(many(80))
    await eventually(async () => expect((await readiness(server.adminUrl)).sources[0]?.documents).toBe(152))
    await server.pipeline.settled()
    const { revision } = await readiness(server.adminUrl)
    await put(many(81))
    await eventually(async () => expect((await readiness(server.adminUrl)).revision).toBeGreaterThan(revision))
    const { code, out, err } = await rollback(`${revision}`)
    expect(code).toBe(0)
    expect(err).toBe('1 of 2 transactions\n2 of 2 transactions\n')
    expect(out).toContain('150 documents brought back or taken away in 2 transactions')
    expect((await stored())['/fairlead/config/many/149']).toBe(service('s149', 80))
  })
})
