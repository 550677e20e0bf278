import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect } from 'vitest'
import { atTestEnd } from '../support/at-test-end.ts'
import { builtMain, ensureBuilt } from '../support/built-command.ts'
import { describeWithEnvoy } from '../support/needs.ts'
import { eventually } from '../support/poll.ts'
import { runDemo } from '../support/run-demo.ts'
import { testBeside } from '../support/side-by-side.ts'
import { tempDir } from '../support/temp.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** Processes of any sort that work in or on that directory. */
async function processesOf(directory: string): Promise<string> {
  return await new Promise((resolve) => {
    execFile('ps', ['-eo', 'args'], (_error, stdout) => {
      resolve(
        stdout
          .split('\n')
          .filter((line) => line.includes(directory))
          .join('\n'),
      )
    })
  })
}

beforeAll(async () => await ensureBuilt(), 120_000)

describeWithEnvoy('the demo', (envoy) => {
  testBeside('moves the split while requests flow, without a failed one, and cleans up', async () => {
    const { code, text, left } = await runDemo({ ENVOY_BIN: envoy })
    expect(text).toMatch(/✓ stock Envoy +\d+\.\d+\.\d+ /)
    expect(text).toMatch(/✓ control plane +\$ fairlead serve --config /)
    expect(text).toMatch(/✓ Envoy is live +\$ envoy -c <\(fairlead bootstrap --id edge-1 --cluster edge\)/)
    expect(text).toMatch(/^ {3}blue +\d+ % .* green +\d+ % +200 requests\/s, [\d,]+ answered, 0 failed$/m)
    expect(text).toMatch(/- {2}- \{name: blue, weight: 90\}\n.*\+ {2}- \{name: blue, weight: 50\}/)
    expect(text).toMatch(/✓ saved +and in force in Envoy \d+ ms later/)
    expect(text).toContain('weighted_clusters.clusters[blue].weight: 90 -> 50')
    expect(text).toMatch(/✓ done +[\d,]+ requests, 0 failed; the split went from \d\d\/\d+ to \d\d\/\d\d/)
    expect(text).toMatch(/Try next\n/)
    expect(text).not.toContain('\u001b')
    expect([code, left]).toEqual([0, []])
  })

  testBeside('interrupted, ends what it started and leaves nothing behind', async () => {
    let directory = ''
    const { code, text, left } = await runDemo(
      { ENVOY_BIN: envoy, FAIRLEAD_DEMO_SECONDS: '60' },
      (soFar, interrupt) => {
        directory = /serve --config (\S+)\/config/.exec(soFar)?.[1] ?? directory
        if (soFar.includes(' answered, ')) interrupt()
      },
    )
    expect(text).toMatch(/stopped; everything that was started ends, too\n$/)
    expect([code, left]).toEqual([130, []])
    expect(directory).not.toBe('')
    await eventually(async () => (await processesOf(directory)) === '')
    expect(existsSync(directory)).toBe(false)
  })
})

describeWithEnvoy('the demo of the shop', (envoy) => {
  testBeside('moves a canary, loses a zone and lets out only what may, without a failed request', async () => {
    const { code, text, left } = await runDemo({ ENVOY_BIN: envoy }, undefined, 'shop')
    expect(text).toMatch(/✓ the shop +12 services, 26 endpoints in the zones a and b/)
    expect(text).toMatch(/- {2}- \{service: catalog, version: v2, weight: 10\}\n.*\+ {2}- .*weight: 50\}/)
    expect(text).toMatch(/^ {3}localhost:\d+ +200 {2}in the list\n {3}elsewhere\.example +403 {2}not in the list$/m)
    expect(text).toMatch(/^clusters +catalog\/v1 +50% /m)
    expect(text).toMatch(/✓ done +\d+ requests, 0 failed; the canary went from \d+ to \d+ %, zone a from \d+ to 0 %/)
    expect([code, left]).toEqual([0, []])
  })

  testBeside('knows its demos', async () => {
    const { code, text } = await runDemo({ ENVOY_BIN: envoy }, undefined, 'shopp')
    expect([code, text]).toEqual([2, 'there is no demo shopp: npm run demo, or npm run demo -- shop\n'])
  })

  testBeside('is written in at most 150 lines', async () => {
    const directory = join(root, 'examples/shop/config')
    const files = readdirSync(directory).map((file) => readFileSync(join(directory, file), 'utf8'))
    expect(files.join('').split('\n').length).toBeLessThanOrEqual(150)
    expect(files.join('').match(/^kind: Service$/gm)).toHaveLength(12)
  })
})

describe('the built command', () => {
  interface Result {
    readonly code: number | null
    readonly out: string
    readonly err: string
  }

  async function run(
    args: readonly string[],
    onErr: (text: string, kill: (signal: NodeJS.Signals) => void) => void = () => {},
    main: string = builtMain,
  ): Promise<Result> {
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('FAIRLEAD_')))
    const child = spawn(process.execPath, [main, ...args], { cwd: tempDir(), env, stdio: ['ignore', 'pipe', 'pipe'] })
    atTestEnd(() => void child.kill('SIGKILL'))
    const text = { out: '', err: '' }
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text.out += chunk
    })
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      text.err += chunk
      onErr(text.err, (signal) => void child.kill(signal))
    })
    await once(child, 'close')
    return { code: child.exitCode, ...text }
  }

  const example = join(root, 'examples/envoy/config')
  const serve = ['serve', '--config', example, '--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0']

  const exits: readonly (readonly [readonly string[], Partial<Record<keyof Result, unknown>>])[] = [
    [['version'], { code: 0, err: '', out: expect.stringMatching(/^fairlead +\d/) }],
    [['validate', example], { code: 0, err: '' }],
    [['validate', join(root, 'package.json')], { code: 1, err: '', out: expect.stringContaining('error: ') }],
    [
      ['validate', '/nothere'],
      { code: 2, out: '', err: 'fairlead: /nothere does not exist: give a directory or a file\n' },
    ],
    [['servee'], { code: 2, out: '', err: expect.stringContaining('Did you mean serve?') }],
    [['nodes', '--server', 'http://127.0.0.1:9'], { code: 3, out: '' }],
  ]
  for (const [args, expected] of exits) {
    testBeside(`${JSON.stringify(args)} exits as documented`, async () => {
      expect(await run(args)).toMatchObject(expected)
    })
  }

  testBeside('runs through a link, as npm installs it', async () => {
    const link = join(tempDir(), 'fairlead')
    symlinkSync(builtMain, link)
    expect(await run(['--version'], undefined, link)).toMatchObject({ code: 0, out: expect.stringMatching(/^\d+\./) })
  })

  testBeside('is content with a reader that has seen enough', async () => {
    const line = `"${process.execPath}" "${builtMain}" validate "${join(root, 'package.json')}" --json | head -c 1`
    const child = spawn('bash', ['-o', 'pipefail', '-c', line], { stdio: ['ignore', 'pipe', 'pipe'] })
    let err = ''
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      err += chunk
    })
    child.stdout.resume()
    await once(child, 'close')
    expect([child.exitCode === 0 || child.exitCode === 1, err]).toEqual([true, ''])
  })

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    testBeside(`serves until ${signal}, drains, and exits 0`, async () => {
      let isSent = false
      const { code, out, err } = await run(serve, (text, kill) => {
        if (isSent || !text.includes('"configuration in force"')) return
        isSent = true
        kill(signal)
      })
      expect([code, out]).toEqual([0, ''])
      const messages = err
        .trimEnd()
        .split('\n')
        .map((line) => (JSON.parse(line) as { msg: string }).msg)
      expect(messages[0]).toBe('fairlead is up')
      expect(messages.slice(-2)).toEqual([expect.stringContaining('draining'), 'stopped'])
    })
  }
})
