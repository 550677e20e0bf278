import { describe, expect, test } from 'vitest'
import { runCommand } from '../../test/support/command.ts'

const commands = [
  [],
  ['serve'],
  ['validate'],
  ['bootstrap'],
  ['health'],
  ['nodes'],
  ['replicas'],
  ['snapshots'],
  ['snapshots', 'list'],
  ['snapshots', 'show'],
  ['snapshots', 'diff'],
  ['put'],
  ['api'],
  ['api', 'import'],
  ['version'],
]

describe('help', () => {
  test.each(commands.flatMap((path) => [80, 120].map((columns) => ({ path, columns }))))(
    'of fairlead $path fits into $columns columns',
    async ({ path, columns }) => {
      const { code, out, err } = await runCommand([...path, '--help'], { columns })
      expect([code, err]).toEqual([0, ''])
      expect(out).toContain(`Usage: ${['fairlead', ...path].join(' ')}`)
      for (const line of out.split('\n')) expect(line.length, line).toBeLessThanOrEqual(columns)
    },
  )

  test('is 80 columns wide where no terminal is', async () => {
    const { out } = await runCommand(['serve', '--help'])
    expect(out).toBe((await runCommand(['serve', '--help'], { columns: 80 })).out)
    expect(out).not.toBe((await runCommand(['serve', '--help'], { columns: 120 })).out)
  })

  test('names every command, says where to start, and what the exit codes are', async () => {
    const { out } = await runCommand(['--help'])
    for (const [name] of commands) if (name !== undefined) expect(out).toMatch(new RegExp(`^ {2}${name} `, 'm'))
    expect(out).toContain('fairlead serve --config ./config')
    expect(out).toContain('envoy -c <(fairlead bootstrap')
    expect(out).toMatch(/Exit codes: 0 fine, 1 .*, 2 wrong use,\s3 /)
  })

  test('is also `fairlead help COMMAND`', async () => {
    expect((await runCommand(['help', 'nodes'])).out).toBe((await runCommand(['nodes', '--help'])).out)
  })

  test('stands on stderr, with exit code 2, where a command is missing', async () => {
    for (const path of [[], ['snapshots'], ['api']]) {
      const { code, out, err } = await runCommand(path)
      expect([code, out]).toEqual([2, ''])
      expect(err).toContain('Commands:')
    }
  })
})

describe('wrong use', () => {
  test.each<[readonly string[], RegExp]>([
    [['servee'], /unknown command 'servee'\n\(Did you mean serve\?\)\n\(fairlead --help explains it\)/],
    [['serve', '--confg', 'x'], /unknown option '--confg'\n\(Did you mean --config\?\)\n\(fairlead serve --help/],
    [['serve', '--config'], /--config <PATH>' argument missing/],
    [['serve', './config'], /did you mean --config \.\/config\?/],
    [['snapshots', 'dif', '1'], /unknown command 'dif'\n\(Did you mean diff\?\)\n\(fairlead snapshots --help/],
    [['snapshots', 'diff'], /missing required argument 'FROM'\n\(fairlead snapshots diff --help explains it\)/],
    [['validate'], /missing required argument 'PATH'/],
    [['validate', 'a', 'b'], /too many arguments/],
    [['nodes', '--servr', 'x'], /Did you mean --server\?/],
    [['put', 'x'], /required option '--etcd <URLS>' not specified/],
  ])('%j exits 2, and says what is near or missing', async (args, words) => {
    const { code, out, err } = await runCommand(args)
    expect([code, out]).toEqual([2, ''])
    expect(err).toMatch(words)
    expect(err).not.toMatch(/^\s+at /m)
  })
})

describe('version', () => {
  test('is that of the package, of Node and of the API', async () => {
    const { code, out } = await runCommand(['version'])
    expect(code).toBe(0)
    expect(out).toMatch(
      /^fairlead {3}\d+\.\d+\.\d+\nBuild {6}unknown\nNode {7}v\d+.*\nEnvoy API {2}built-in, of July 2024, about Envoy 1\.31 \(\d{3} files\)\nHistory {4}format 1\n$/,
    )
    expect((await runCommand(['--version'])).out.trim()).toBe(/fairlead +(\S+)/.exec(out)?.[1])
    expect(JSON.parse((await runCommand(['version', '--json'])).out)).toEqual({
      fairlead: /fairlead +(\S+)/.exec(out)?.[1],
      commit: 'unknown',
      commitDate: 'unknown',
      node: process.version,
      envoyApi: /Envoy API +(.+)/.exec(out)?.[1],
      envoyApiSha256: expect.stringMatching(/^[\da-f]{64}$/),
      historyFormat: 1,
    })
  })

  test('of an API file that is none exits 2', async () => {
    const { code, err } = await runCommand(['version', '--envoy-api', 'package.json'])
    expect([code, err.startsWith('fairlead: '), err.split('\n').length]).toEqual([2, true, 2])
  })
})
