import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type CommandResult, runCommand } from '../../test/support/command.ts'
import { startEtcd, type TestEtcd } from '../../test/support/etcd.ts'
import { freePorts } from '../../test/support/free-ports.ts'
import { describeWithEtcd } from '../../test/support/needs.ts'
import { tempDir } from '../../test/support/temp.ts'

const cluster = (name: string): string =>
  `'@type': type.googleapis.com/envoy.config.cluster.v3.Cluster\nname: ${name}\nconnect_timeout: 1s\n`

function directoryOf(files: Readonly<Record<string, string>>): string {
  const dir = tempDir()
  for (const [name, text] of Object.entries(files)) {
    const path = join(dir, name)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, text)
  }
  return dir
}

const many = (count: number): Record<string, string> =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`many/${index}.yaml`, cluster(`c${index}`)]))

describeWithEtcd('fairlead put', () => {
  let etcd: TestEtcd
  beforeAll(async () => {
    etcd = await startEtcd()
  })
  beforeEach(async () => {
    await etcd.client.delete().all()
  })

  const put = async (...args: readonly string[]): Promise<CommandResult> =>
    await runCommand(['put', ...args, '--etcd', etcd.endpoint])
  const stored = async (): Promise<Record<string, string>> => await etcd.client.getAll().strings()
  const revisionOf = async (key: string): Promise<string | undefined> =>
    (await etcd.client.kv.range({ key: Buffer.from(key) })).kvs[0]?.mod_revision

  test('writes each file under the key of its path, in one transaction', async () => {
    const dir = directoryOf({
      'cluster/a.yaml': cluster('a'),
      'b.json': JSON.stringify({ '@type': 'type.googleapis.com/envoy.config.cluster.v3.Cluster', name: 'b' }),
    })
    const { code, out, err } = await put(dir)
    expect([code, err]).toEqual([0, ''])
    expect(Object.keys(await stored()).sort()).toEqual(['/fairlead/config/b', '/fairlead/config/cluster/a'])
    const revision = await revisionOf('/fairlead/config/b')
    expect(await revisionOf('/fairlead/config/cluster/a')).toBe(revision)
    expect(out).toBe(`/fairlead/config/: 2 written in one transaction, at etcd revision ${revision}\n`)
  })

  test('writes one file, below another prefix', async () => {
    const dir = directoryOf({ 'a.yaml': cluster('a') })
    const { code, out } = await put(join(dir, 'a.yaml'), '--etcd-prefix', '/shop')
    expect([code, await stored()]).toEqual([0, { '/shop/config/a': cluster('a') }])
    expect(out).toContain('/shop/config/: 1 written')
  })

  test('deletes keys in the same transaction as it writes', async () => {
    await put(directoryOf({ 'cluster/a.yaml': cluster('a') }))
    const dir = directoryOf({ 'cluster/b.yaml': cluster('b') })
    const { code, out, err } = await put(dir, '--delete', 'cluster/a', '--delete', 'cluster/none')
    expect([code, Object.keys(await stored())]).toEqual([0, ['/fairlead/config/cluster/b']])
    expect(out).toContain('1 written, 2 deleted in one transaction')
    // A key that is misspelt is not gone.
    expect(err).toBe('cluster/none was not there: nothing to delete\n')
  })

  test('deletes without writing', async () => {
    await put(directoryOf({ 'cluster/a.yaml': cluster('a') }))
    const { code, out } = await put('--delete', 'cluster/a')
    expect([code, await stored()]).toEqual([0, {}])
    expect(out).toContain('/fairlead/config/: 1 deleted in one transaction')
  })

  test('refuses more than one transaction takes, unless --batches: then the deletions come last', async () => {
    await put(directoryOf({ 'old.yaml': cluster('old') }))
    const dir = directoryOf(many(130))
    const refused = await put(dir, '--delete', 'old')
    expect([refused.code, Object.keys(await stored())]).toEqual([2, ['/fairlead/config/old']])
    expect(refused.err).toMatch(/^fairlead: 131 changes of \d+ bytes .*takes 128 .*--batches/)
    const { code, out } = await put(dir, '--delete', 'old', '--batches')
    expect(code).toBe(0)
    expect(out).toContain('130 written, 1 deleted in 2 transactions')
    expect(Object.keys(await stored())).toHaveLength(130)
  })

  test('refuses documents with errors, prints them, and writes nothing; --no-check writes them', async () => {
    const dir = directoryOf({ 'good.yaml': cluster('a'), 'bad.yaml': `${cluster('b')}nmae: x\n` })
    const { code, out, err } = await put(dir)
    expect([code, out, await stored()]).toEqual([1, '', {}])
    expect(err).toContain('bad.yaml:4:1 error: ')
    expect(err).toMatch(/Nothing was written: .*--no-check\n$/)
    const forced = await put(dir, '--no-check')
    expect([forced.code, Object.keys(await stored()).length]).toEqual([0, 2])
    expect(forced.err).toContain('bad.yaml:4:1 error: ')
  })

  test('prints JSON', async () => {
    const dir = directoryOf({ 'a.yaml': cluster('a') })
    const { out } = await put(dir, '--delete', 'x', '--json')
    expect(JSON.parse(out)).toEqual({ written: ['a'], deleted: ['x'], revisions: [expect.stringMatching(/^\d+$/)] })
  })

  test('refuses two files of one key', async () => {
    const { code, err } = await put(directoryOf({ 'a.yaml': cluster('a'), 'a.json': '{}' }), '--no-check')
    expect([code, err]).toEqual([2, expect.stringContaining('the key a is given twice')])
  })
})

describe('fairlead put, wrongly used,', () => {
  const dir = (): string => directoryOf({ 'a.yaml': cluster('a') })

  test.each<[string, () => readonly string[], RegExp]>([
    ['with nothing to do', () => ['--etcd', 'a:1'], /nothing to do: give a PATH to write, or --delete KEY/],
    ['with an empty directory', () => [tempDir(), '--etcd', 'a:1'], /holds no document/],
    ['with no such directory', () => ['/nothere', '--etcd', 'a:1'], /\/nothere does not exist/],
    ['with a URL that is none', () => [dir(), '--etcd', 'ftp://a'], /give it URLs such as http:\/\//],
    ['with a password in the URL', () => [dir(), '--etcd', 'http://u:hunter2@a'], /--etcd-password-file/],
    ['with half a certificate', () => [dir(), '--etcd', 'https://a:1', '--etcd-cert', 'c'], /go together/],
    ['with a user alone', () => [dir(), '--etcd', 'https://a:1', '--etcd-user', 'u'], /go together/],
    ['with a CA and plain http', () => [dir(), '--etcd', 'a:1', '--etcd-ca', 'c'], /https: in every URL/],
    [
      'with no such password file',
      () => [dir(), '--etcd', 'a:1', '--etcd-user', 'u', '--etcd-password-file', '/nothere'],
      /--etcd-password-file \/nothere cannot be read/,
    ],
  ])('%s exits 2', async (_, args, words) => {
    const { code, out, err } = await runCommand(['put', ...args()])
    expect([code, out]).toEqual([2, ''])
    expect(err).toMatch(words)
    expect(err).not.toContain('hunter2')
  })

  test('where no etcd answers exits 3', async () => {
    const [port] = await freePorts(1)
    const { code, err } = await runCommand(['put', dir(), '--etcd', `127.0.0.1:${port}`])
    expect(code).toBe(3)
    expect(err).toMatch(/^fairlead: no etcd answers at http:\/\/127\.0\.0\.1:\d+: .*ECONNREFUSED.*Is it running there/)
  })
})
