import { writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { atTestEnd } from '../../test/support/at-test-end.ts'
import { type RunningCommand, runCommand, startCommand } from '../../test/support/command.ts'
import { tempDir } from '../../test/support/temp.ts'
import { flagOf, optionTable } from '../options/options.ts'

const example = 'examples/envoy/config'
const free = ['--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0']

/** A value that each type of option takes, and that none has by default. */
const values: Readonly<Record<string, string>> = {
  text: 'a',
  path: 'a',
  paths: 'a',
  urls: 'https://a:1',
  address: '127.0.0.1:1',
  duration: '2s',
  size: '3MiB',
  count: '4',
}

async function taken(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  atTestEnd(() => void server.close())
  return (server.address() as { port: number }).port
}

/** A server of its own on free ports, once it is up; and where. */
async function start(args: readonly string[]): Promise<{ readonly command: RunningCommand; readonly admin: string }> {
  const command = startCommand(['serve', ...free, '--snapshots', tempDir(), '--log-format', 'json', ...args])
  const line = /\{[^\n]*"fairlead is up"\}/.exec(await command.waitForErr(/"fairlead is up"\}/))?.[0] ?? ''
  return { command, admin: (JSON.parse(line) as { admin: string }).admin }
}

describe('the options of fairlead serve', () => {
  test.each(optionTable.filter(({ isFileOnly }) => isFileOnly !== true))('$name has a flag', async (spec) => {
    const { name, type, choices } = spec
    const flag = flagOf(name)
    const value = type === 'choice' ? (choices?.at(-1) ?? '') : (values[type] ?? '')
    const given = type === 'switch' ? [flag] : [flag, value]
    // What it means nothing without.
    const others = [
      ['--config', 'c'],
      ['--etcd', 'https://e:1'],
      ['--etcd-cert', 'c', '--etcd-key', 'k'],
      ['--etcd-user', 'u', '--etcd-password-file', 'f'],
      ['--tls-cert', 'c', '--tls-key', 'k'],
      ['--debounce-max', '9s'],
    ].filter((other) => !other.includes(flag) || other.length === 4)
    const { code, out, err } = await runCommand(['serve', '--print-options', ...others.flat(), ...given])
    expect([code, err]).toEqual([0, ''])
    const line = out.split('\n').find((candidate) => candidate.startsWith(`${name}: `))
    expect(line).toMatch(new RegExp(`# ${flag}$`))
    expect(line).toContain(type === 'switch' ? 'true' : value)
  })

  test('come from flag, environment, options file and default, in this order', async () => {
    const cwd = tempDir()
    writeFileSync(join(cwd, 'fairlead.yaml'), 'listen: :1\nadmin: :2\nlogLevel: warn\nconfig: from-file\n')
    const env = { FAIRLEAD_LISTEN: ':3', FAIRLEAD_ADMIN: ':4' }
    const { code, out } = await runCommand(['serve', '--print-options', '--listen', ':5'], { cwd, env })
    expect(code).toBe(0)
    expect(out).toContain('listen: 0.0.0.0:5  # --listen\n')
    expect(out).toContain('admin: 0.0.0.0:4  # FAIRLEAD_ADMIN\n')
    expect(out).toContain('logLevel: warn  # ./fairlead.yaml:3:1\n')
    expect(out).toContain('debounce: 50ms  # default\n')
    expect(out).toContain('config: [from-file]  # ./fairlead.yaml:4:1\n')
  })

  test('come from the file that --options or FAIRLEAD_OPTIONS names, and not from the other', async () => {
    const cwd = tempDir()
    writeFileSync(join(cwd, 'fairlead.yaml'), 'config: default\n')
    writeFileSync(join(cwd, 'own.yaml'), 'config: own\n')
    const flag = await runCommand(['serve', '--print-options', '--options', 'own.yaml'], { cwd })
    expect(flag.out).toContain('config: [own]  # own.yaml:1:1')
    const env = await runCommand(['serve', '--print-options'], {
      cwd,
      env: { FAIRLEAD_OPTIONS: join(cwd, 'own.yaml') },
    })
    expect(env.out).toContain('config: [own]')
    const absent = await runCommand(['serve', '--print-options', '--options', 'none.yaml'], { cwd })
    expect(absent).toMatchObject({
      code: 2,
      err: expect.stringMatching(/^fairlead: the options file none\.yaml cannot be read/),
    })
  })

  test('printed, are an options file that means the same', async () => {
    const cwd = tempDir()
    const first = await runCommand(['serve', '--print-options', '--config', 'a', '--drain-timeout', '3s'])
    writeFileSync(join(cwd, 'fairlead.yaml'), first.out)
    const second = await runCommand(['serve', '--print-options'], { cwd })
    const plain = (text: string): string => text.replaceAll(/ {2}# .*$/gm, '')
    expect(plain(second.out)).toBe(plain(first.out))
  })

  test('that are wrong are all told at once, each with its place and fix, and exit 2', async () => {
    const cwd = tempDir()
    writeFileSync(join(cwd, 'fairlead.yaml'), 'etcdPrefx: /x\n')
    const { code, out, err } = await runCommand(['serve', '--debounce', '5', '--config', 'a'], { cwd })
    expect([code, out]).toEqual([2, ''])
    expect(err).toBe(
      [
        '--debounce error: --debounce cannot be used as it is given. (usage)',
        '  fix: Give it a duration such as 500ms, 2s or 1m30s, with its unit.',
        './fairlead.yaml:1:1 error: There is no option `etcdPrefx`. (usage)',
        '  fix: Did you mean `etcdPrefix`?',
        '(fairlead serve --help explains it)',
        '',
      ].join('\n'),
    )
  })

  test('without any source say what to give', async () => {
    const { code, err } = await runCommand(['serve'])
    expect(code).toBe(2)
    expect(err).toContain('There is no source of documents.')
    expect(err).toContain('Give --config PATH (a directory or file), --etcd URLS, or both: `fairlead serve --config')
  })
})

describe('fairlead serve', () => {
  test('serves until it is told to stop, says where and what to do next, and exits 0', async () => {
    const { command, admin } = await start(['--config', example])
    const log = await command.waitForErr(/"configuration in force"/)
    expect(log).toContain(
      'connect an Envoy: envoy -c <(fairlead bootstrap --id edge-1 --cluster edge --server 127.0.0.1:',
    )
    expect(await (await fetch(`${admin}/ready`)).json()).toMatchObject({ ready: true, serving: 'current' })
    const { code, out, err } = await command.stop()
    expect([code, out]).toEqual([0, ''])
    expect(err).toContain('"stopped"')
    await expect(fetch(`${admin}/ready`)).rejects.toThrow()
  })

  test('logs for people on a terminal, for collectors elsewhere', async () => {
    const args = ['serve', ...free, '--config', example, '--snapshots', tempDir()]
    const person = startCommand(args, { columns: 100 })
    expect(await person.waitForErr(/fairlead is up/)).toMatch(/fairlead is up.*version=.*xds=127\.0\.0\.1:\d+/)
    await person.stop()
    const collector = startCommand(args)
    const [line = ''] = (await collector.waitForErr(/fairlead is up.*\n/)).split('\n')
    expect(JSON.parse(line)).toHaveProperty('msg')
  })

  test.each(['--listen', '--admin'])('on a port that is taken at %s exits 2 and says what to do', async (flag) => {
    const address = `127.0.0.1:${await taken()}`
    const args = ['serve', '--config', example, '--snapshots', tempDir(), ...free, flag, address]
    const { code, out, err } = await runCommand(args)
    expect([code, out]).toEqual([2, ''])
    const lines = err.split('\n').filter((line) => line !== '' && !line.startsWith('{'))
    expect(lines).toEqual([
      `fairlead: ${flag} ${address} cannot be listened on: another program listens there, perhaps another fairlead. Stop it, or give another ${flag}`,
    ])
  })

  test.each<[string, readonly string[], RegExp]>([
    ['a certificate that is not there', ['--tls-cert', '/nothere', '--tls-key', '/nothere'], /\/nothere/],
    ['an API file that is none', ['--envoy-api', 'package.json'], /package\.json/],
    [
      'a password that is not there',
      ['--etcd', 'a:1', '--etcd-user', 'u', '--etcd-password-file', '/nothere'],
      /--etcd-password-file \/nothere cannot be read/,
    ],
  ])('with %s exits 2, with one line and no stack', async (_, args, words) => {
    const { code, err } = await runCommand(['serve', '--config', example, '--snapshots', tempDir(), ...free, ...args])
    expect(code).toBe(2)
    const lines = err.split('\n').filter((line) => line !== '' && !line.startsWith('{'))
    expect(lines).toEqual([expect.stringMatching(words)])
  })

  test('of a directory that is not there yet waits for it, and is not ready', async () => {
    const { command, admin } = await start(['--config', join(tempDir(), 'later')])
    expect(await command.waitForErr(/source-unreachable/)).toContain('does not exist')
    expect((await fetch(`${admin}/ready`)).status).toBe(503)
  })
})
