import { execFile, spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { parse } from 'yaml'
import type { DockerEngine } from '../support/docker-engine.ts'
import { findEnvoy } from '../support/envoy-binary.ts'
import { findProgram } from '../support/find-program.ts'
import { baseSystem } from './base-system.ts'

const root = join(import.meta.dirname, '../..')

/** As the stand-ins' Dockerfiles name it. */
const base = 'fairlead-test/base'

export interface ComposeImages {
  /** Takes away what was made. */
  readonly remove: () => Promise<void>
}

/**
 * Makes the images that a compose file names and the engine has not: those of others as stand-ins, with the same programs of this
 * machine in them, and fairlead's as its users do, from the Dockerfile.
 */
export async function makeImages(engine: DockerEngine, composeFile: string): Promise<ComposeImages> {
  const made: string[] = []
  const docker = async (...args: readonly string[]): Promise<void> => {
    const { DOCKER_BUILDKIT: _, ...env } = engine.env
    // What BuildKit would need beside the engine is not everywhere.
    await promisify(execFile)('docker', args, { env: { ...env, DOCKER_BUILDKIT: '0' }, maxBuffer: 1 << 26 })
  }
  const isThere = (tag: string): boolean =>
    spawnSync('docker', ['image', 'inspect', tag], { env: engine.env }).status === 0
  const build = async (tag: string, ...args: readonly string[]): Promise<void> => {
    await docker('build', '--tag', tag, ...args)
    made.push(tag)
  }
  const standIn = async (tag: string): Promise<void> => {
    const [name = ''] = tag.slice(tag.lastIndexOf('/') + 1).split(':')
    const directory = mkdtempSync(join(tmpdir(), 'fairlead-image-'))
    try {
      const args = contents[name]?.(directory)
      if (args === undefined) throw new Error(`nothing is known that could stand in for ${tag}`)
      const file = join(import.meta.dirname, `${name}.Dockerfile`)
      await build(tag, '--network', 'none', '--file', file, ...args, directory)
    } finally {
      rmSync(directory, { recursive: true })
    }
  }
  const node = /^ARG NODE_IMAGE=(\S+)$/m.exec(readFileSync(join(root, 'Dockerfile'), 'utf8'))?.[1] ?? ''
  const { own, others } = imagesOf(composeFile)
  const missing = [...new Set([node, ...others])].filter((tag) => !isThere(tag))
  if (missing.length > 0) {
    await docker('import', await baseSystem(), base)
    made.push(base)
  }
  await Promise.all(missing.map(standIn))
  for (const tag of own.filter((each) => !isThere(each))) await build(tag, '--network', 'host', root)
  return {
    async remove() {
      if (made.length > 0) await docker('image', 'rm', '--force', ...made)
      await docker('image', 'prune', '--force')
    },
  }
}

/** What is built here, and what comes from elsewhere. */
function imagesOf(composeFile: string): { readonly own: readonly string[]; readonly others: readonly string[] } {
  const { services } = parse(readFileSync(composeFile, 'utf8'), { merge: true }) as {
    readonly services: Readonly<Record<string, { readonly image: string; readonly build?: unknown }>>
  }
  const all = Object.values(services)
  const own = new Set(all.filter((service) => service.build !== undefined).map(({ image }) => image))
  const others = new Set(all.map(({ image }) => image).filter((image) => !own.has(image)))
  return { own: [...own], others: [...others] }
}

/** By the last part of an image's name: puts into a directory what its Dockerfile copies, and says what else it is to be told. */
const contents: Readonly<Record<string, (directory: string) => readonly string[]>> = {
  etcd: (directory) => putPrograms(directory, 'etcd', 'etcdctl'),
  envoy: (directory) => {
    put(directory, 'envoy', findEnvoy())
    return []
  },
  prometheus: (directory) => putPrograms(directory, 'prometheus'),
  node: (directory) => {
    put(directory, 'node', process.execPath)
    const globals = execNpm('root', '--global')
    cpSync(join(globals, 'npm'), join(directory, 'npm'), { recursive: true })
    const authorities = process.env['NODE_EXTRA_CA_CERTS']
    writeFileSync(join(directory, 'authorities.pem'), authorities ? readFileSync(authorities) : '')
    return ['--build-arg', `REGISTRY=${execNpm('config', 'get', 'registry')}`]
  },
}

const execNpm = (...args: readonly string[]): string => spawnSync('npm', args, { encoding: 'utf8' }).stdout.trim()

function putPrograms(directory: string, ...names: readonly string[]): readonly string[] {
  for (const name of names) put(directory, name, findProgram(name))
  return []
}

function put(directory: string, name: string, path: string | undefined): void {
  if (path === undefined) throw new Error(`there is no ${name} here: npm run setup`)
  cpSync(path, join(directory, name), { dereference: true })
}
