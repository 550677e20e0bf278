import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { cpSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, test } from 'vitest'
import { frameRecord } from '../../src/snapshot/history/log.ts'
import { encodeRecord, historyFormat } from '../../src/snapshot/history/record.ts'
import { atTestEnd } from '../support/at-test-end.ts'
import { eventually } from '../support/poll.ts'
import { envoyApi } from '../support/resource.ts'
import { tempDir } from '../support/temp.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const example = join(root, 'examples/envoy/config')
const run = promisify(execFile)

interface PackageJson {
  readonly version: string
  readonly scripts: Readonly<Record<string, string>>
}

const ownPackage = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as PackageJson
const commit = '0123456789abcdef0123456789abcdef01234567'
const commitDate = '2026-11-21T12:00:00Z'

/** What a checkout has that the build reads, and the tarball holds. */
const inputs = ['package.json', 'tsconfig.json', 'tsconfig.build.json', 'LICENSE', 'README.md', 'CHANGELOG.md']

/** A copy of the checkout `from`, built there. */
async function build(directory: string, from: string, env: Readonly<Record<string, string>>): Promise<string> {
  mkdirSync(directory, { recursive: true })
  for (const name of inputs) cpSync(join(from, name), join(directory, name))
  for (const name of ['src', 'proto', 'scripts']) cpSync(join(from, name), join(directory, name), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(directory, 'node_modules'))
  const told = { SOURCE_COMMIT: commit, SOURCE_DATE_EPOCH: String(Date.parse(commitDate) / 1000) }
  await run('npm', ['run', 'build', '--', '--noCheck'], { cwd: directory, env: { ...process.env, ...told, ...env } })
  return directory
}

interface Packed {
  readonly filename: string
  readonly integrity: string
  readonly size: number
  readonly files: readonly { readonly path: string; readonly mode: number }[]
}

async function pack(directory: string): Promise<Packed> {
  // What was built is packed; by itself npm would build it again.
  const { stdout } = await run('npm', ['pack', '--json', '--ignore-scripts'], { cwd: directory })
  return (JSON.parse(stdout) as [Packed])[0]
}

function filesBelow(directory: string): string[] {
  const names = readdirSync(directory, { recursive: true, encoding: 'utf8' })
  return names.filter((name) => statSync(join(directory, name)).isFile()).sort()
}

/** Path to hash. */
function hashes(directory: string): Readonly<Record<string, string>> {
  const hashOf = (name: string): string =>
    createHash('sha256')
      .update(readFileSync(join(directory, name)))
      .digest('hex')
  return Object.fromEntries(filesBelow(directory).map((name) => [name, hashOf(name)]))
}

test.each(['README.md', 'docs/install.md', 'Dockerfile'])('%s names this version, and no other', (path) => {
  const text = readFileSync(join(root, path), 'utf8')
  const named = [...text.matchAll(/(?:fairlead[-:]|ARG VERSION=)(\d+\.\d+\.\d+)/g)].map(([, version]) => version)
  expect(new Set(named)).toEqual(new Set([ownPackage.version]))
})

describe('the npm package', () => {
  let built: readonly [string, string]
  let packed: readonly [Packed, Packed]
  /** Where it is installed, beside nothing else. */
  let home: string

  beforeAll(async () => {
    const old = join(tempDir(), 'src-of-old')
    mkdirSync(join(old, 'dist/cli'), { recursive: true })
    // Of a source that is no more, and a map of a build before.
    for (const name of ['dist/gone.js', 'dist/gone.d.ts', 'dist/index.js.map']) writeFileSync(join(old, name), '')
    const first = await build(join(tempDir(), 'one'), root, { TZ: 'UTC' })
    built = [first, await build(old, first, { TZ: 'Asia/Tokyo', LC_ALL: 'C', HOME: tempDir() })]
    packed = [await pack(built[0]), await pack(built[1])]
    home = tempDir()
    writeFileSync(join(home, 'package.json'), '{"private": true, "type": "module"}')
    const flags = ['--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund']
    await run('npm', ['install', ...flags, join(built[0], packed[0].filename)], { cwd: home })
  })

  test('is the same, byte for byte, wherever and whenever the same sources are built', () => {
    expect(hashes(join(built[1], 'dist'))).toEqual(hashes(join(built[0], 'dist')))
    expect(packed[1].integrity).toBe(packed[0].integrity)
  })

  test('tells nothing of the machine that it was built on', () => {
    const places = [...built, root, homedir(), tmpdir()].filter((place) => place !== '/')
    for (const name of filesBelow(join(built[0], 'dist'))) {
      const text = readFileSync(join(built[0], 'dist', name), 'latin1')
      for (const place of places) expect(text.includes(`${place}/`), `${name}: ${place}`).toBe(false)
    }
  })

  test('holds what runs and what describes it, and nothing else', () => {
    const paths = packed[0].files.map(({ path }) => path)
    const wanted =
      /^(?:package\.json|LICENSE|README\.md|CHANGELOG\.md|dist\/build\.json|dist\/api\/(?:NOTICE|comments\.json|default\.binpb)|dist\/[\w/-]+\.(?:js|d\.ts)|proto\/[\w/.-]+\.(?:proto|md))$/
    expect(paths.filter((path) => !wanted.test(path))).toEqual([])
    expect(paths.filter((path) => /\.test\.|\.map$|gone/.test(path))).toEqual([])
    // Every source, once for programs and once for the compiler.
    const sources = filesBelow(join(built[0], 'src')).filter(
      (name) => name.endsWith('.ts') && !name.endsWith('.test.ts'),
    )
    const made = sources.flatMap((name) => ['.js', '.d.ts'].map((end) => `dist/${name.replace(/\.ts$/, end)}`))
    expect(made.filter((path) => !paths.includes(path))).toEqual([])
    for (const path of ['LICENSE', 'README.md', 'CHANGELOG.md', 'proto/fairlead/v1/document.proto']) {
      expect(paths).toContain(path)
    }
    expect(packed[0].size).toBeLessThan(2_000_000)
  })

  test('has nothing run when it is installed', () => {
    const lock = JSON.parse(readFileSync(join(home, 'package-lock.json'), 'utf8')) as {
      readonly packages: Readonly<Record<string, { readonly hasInstallScript?: true }>>
    }
    expect(lock.packages['node_modules/fairlead']).not.toHaveProperty('hasInstallScript')
    const atInstall = ['preinstall', 'install', 'postinstall', 'prepare', 'prepublish']
    expect(Object.keys(ownPackage.scripts).filter((name) => atInstall.includes(name))).toEqual([])
  })

  const npx = async (...args: readonly string[]): Promise<string> =>
    (await run('npx', ['--no-install', 'fairlead', ...args], { cwd: home })).stdout

  test('runs by npx, and says what it is', async () => {
    expect(await npx('--version')).toBe(`${ownPackage.version}\n`)
    expect(JSON.parse(await npx('version', '--json'))).toMatchObject({
      fairlead: ownPackage.version,
      commit,
      commitDate,
      node: process.version,
    })
    expect(await npx('version')).toContain(`Build      ${commit}, of ${commitDate}\n`)
  })

  test('serves, is ready, and tells by its API and metrics what it is', async () => {
    const { admin, child } = await serve(home, ['--config', example, '--snapshots', tempDir()])
    await npx('health', '--server', admin, '--wait', '20s')
    expect((await fetch(`${admin}/ready`)).status).toBe(200)
    const version = await (await fetch(`${admin}/api/version`)).json()
    expect(version).toEqual(JSON.parse(await npx('version', '--json')))
    const metrics = await (await fetch(`${admin}/metrics`)).text()
    const labels = `version="${ownPackage.version}",commit="${commit}",node="${process.version}"`
    expect(metrics).toContain(`\nfairlead_build_info{${labels}} 1\n`)
    child.kill('SIGTERM')
    expect(await once(child, 'close')).toEqual([0, null])
  })

  test('starts over the history of a later version, which it sets aside and names', async () => {
    const snapshots = tempDir()
    const segment = frameRecord(encodeRecord(envoyApi, { kind: 'header', format: historyFormat + 1 }))
    writeFileSync(join(snapshots, '00000001.log'), segment)
    const { admin, log } = await serve(home, ['--config', example, '--snapshots', snapshots])
    await npx('health', '--server', admin, '--wait', '20s')
    expect(log()).toMatch(/"file":"00000001\.log".*of another version.*set aside/)
    expect(readFileSync(join(snapshots, '00000001.log.corrupt')).equals(segment)).toBe(true)
    expect(await npx('snapshots', 'list', '--server', admin)).toContain('listener')
  })

  test('may be imported by programs, with its types', async () => {
    writeFileSync(join(home, 'embed.ts'), embedding)
    const options = { module: 'nodenext', target: 'es2023', strict: true, types: ['node'], skipLibCheck: false }
    const compilerOptions = {
      ...options,
      exactOptionalPropertyTypes: true,
      typeRoots: [join(root, 'node_modules/@types')],
    }
    writeFileSync(join(home, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['embed.ts'] }))
    const compiler = fileURLToPath(import.meta.resolve('typescript/bin/tsc'))
    await run(process.execPath, [compiler, '-p', home])
    const { stdout } = await run(process.execPath, [join(home, 'embed.js'), example, tempDir()])
    expect(JSON.parse(stdout)).toEqual({ status: 200, ready: true })
  })

  test('keeps to itself what it does not export', async () => {
    const inside = "await import('fairlead/dist/metrics.js')"
    const running = run(process.execPath, ['--input-type=module', '-e', inside], { cwd: home })
    await expect(running).rejects.toMatchObject({ stderr: expect.stringContaining('ERR_PACKAGE_PATH_NOT_EXPORTED') })
  })

  test('says to an older Node that it is too old, before anything else', async () => {
    const older = "Object.defineProperty(process, 'versions', {value: {...process.versions, node: '20.18.3'}})"
    const main = join(home, 'node_modules/fairlead/dist/cli/main.js')
    const running = run(process.execPath, ['--import', `data:text/javascript,${older}`, main, 'serve'])
    await expect(running).rejects.toMatchObject({
      code: 2,
      stdout: '',
      stderr: `fairlead: this is Node 20.18.3 (${process.execPath}), and fairlead needs Node 20.19 or newer\n`,
    })
  })
})

/** `fairlead serve` as it is installed, until the test's end. */
async function serve(
  home: string,
  flags: readonly string[],
): Promise<{ readonly admin: string; readonly child: ChildProcess; readonly log: () => string }> {
  const own = ['--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0', '--log-format', 'json']
  const child = spawn(join(home, 'node_modules/.bin/fairlead'), ['serve', ...own, ...flags], {
    cwd: tempDir(),
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  atTestEnd(() => void child.kill('SIGKILL'))
  let log = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    log += text
  })
  const addressIn = (): string => {
    if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}: ${log}`)
    const [, address] = /"admin":"(http:[^"]+)"/.exec(log) ?? []
    if (address === undefined) throw new Error('it is not up')
    return address
  }
  const admin = await eventually(addressIn, { timeoutMs: 20_000 })
  return { admin, child, log: () => log }
}

/** A program of somebody else's. */
const embedding = `
import { buildBootstrap, type ControlPlane, createControlPlane, createLog, createProxy, type Problem, resolveOptions } from 'fairlead'

const [config = '', snapshots] = process.argv.slice(2)
const flags = { config: [config], snapshots, listen: '127.0.0.1:0', admin: '127.0.0.1:0' }
const { options, problems } = resolveOptions({ flags, env: {} })
if (options === undefined) throw new Error(problems.map((problem: Problem) => problem.message).join())
const log = createLog({ level: 'error', format: 'json', stream: process.stderr })
const controlPlane: ControlPlane = await createControlPlane(options, { log })
await controlPlane.pipeline.ready
const answer = await fetch(\`http://127.0.0.1:\${controlPlane.adminPort}/ready\`)
const { ready } = await answer.json() as { ready: boolean }
console.log(JSON.stringify({ status: answer.status, ready }))
if (typeof buildBootstrap !== 'function' || typeof createProxy !== 'function') throw new Error('not there')
await controlPlane.close()
`
