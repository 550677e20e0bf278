import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'

const root = join(import.meta.dirname, '../..')

/**
 * A file with the least of a Debian, such as this one, made once: by root.
 * @throws Error with what debootstrap said.
 */
export async function baseSystem(): Promise<string> {
  const release = /^VERSION_CODENAME=(\S+)$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'stable'
  const file = join(root, `.cache/debian/${release}.tar`)
  if (existsSync(file)) return file
  mkdirSync(dirname(file), { recursive: true })
  const directory = mkdtempSync(join(dirname(file), 'making-'))
  try {
    const unfinished = join(directory, 'system.tar')
    await run('debootstrap', '--variant=minbase', release, join(directory, 'system'))
    const packages = ['--exclude=./var/cache/apt/*', '--exclude=./var/lib/apt/lists/*']
    await run('tar', '-C', join(directory, 'system'), ...packages, '-cf', unfinished, '.')
    renameSync(unfinished, file)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
  return file
}

async function run(program: string, ...args: readonly string[]): Promise<void> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (bytes: Buffer) => {
      said = `${said}${bytes.toString()}`.slice(-2_000)
    })
  }
  const [code] = (await once(child, 'exit')) as [number | null]
  if (code !== 0) throw new Error(`${program} ended with ${code}: ${said}`)
}
