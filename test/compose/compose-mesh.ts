import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { atTestEnd } from '../support/at-test-end.ts'
import { type DockerEngine, startDockerEngine } from '../support/docker-engine.ts'
import { freePorts } from '../support/free-ports.ts'
import { eventually } from '../support/poll.ts'
import { makeImages } from './images.ts'

const examples = join(import.meta.dirname, '../../examples/envoy')

export const composeFile: string = join(examples, 'docker-compose.yml')

/** The mesh of the example, up and running until the file's end. */
export interface ComposeMesh {
  readonly gatewayPort: number
  readonly prometheusPort: number
  /** What is connected to a replica. */
  nodes(replica: 'fairlead-1' | 'fairlead-2'): Promise<readonly ConnectedNode[]>
  isReady(replica: 'fairlead-1' | 'fairlead-2'): Promise<boolean>
  compose(...args: readonly string[]): Promise<string>
  docker(...args: readonly string[]): Promise<string>
  /** As `fairlead put` of that directory of examples/envoy/compose, in a container. Until `web` has it. */
  put(directory: string): Promise<void>
  /** Resolves with what it printed, when it ended with 0. */
  tour(): Promise<string>
}

export interface ConnectedNode {
  readonly id: string
  readonly types: Readonly<Record<string, { readonly sent?: string; readonly acked?: string }>>
}

/** For a `beforeAll`: an engine, the images, and all that the compose file says. */
export async function startComposeMesh(): Promise<ComposeMesh> {
  const engine = await startDockerEngine()
  atTestEnd(engine.close)
  const images = await makeImages(engine, composeFile)
  if (!engine.isOwn) atTestEnd(images.remove)
  const [gatewayPort = 0, prometheusPort = 0, admin1 = 0, admin2 = 0] = await freePorts(4)
  const env = {
    ...engine.env,
    // What BuildKit would need beside the engine is not everywhere.
    DOCKER_BUILDKIT: '0',
    COMPOSE_PROJECT_NAME: `fairlead-test-${process.pid}`,
    COMPOSE: 'docker-compose',
    GATEWAY_PORT: String(gatewayPort),
    PROMETHEUS_PORT: String(prometheusPort),
    ADMIN_PORT_1: String(admin1),
    ADMIN_PORT_2: String(admin2),
  }
  const run = runnerOf(env)
  const compose = async (...args: readonly string[]): Promise<string> => await run('docker-compose', args)
  atTestEnd(async () => void (await compose('--profile', 'busy', 'down', '--volumes', '--timeout', '1')))
  const adminOf = { 'fairlead-1': admin1, 'fairlead-2': admin2 }
  const nodes: ComposeMesh['nodes'] = async (replica) => {
    const response = await fetch(`http://127.0.0.1:${adminOf[replica]}/api/nodes`, {
      signal: AbortSignal.timeout(2_000),
    })
    return ((await response.json()) as { readonly nodes: readonly ConnectedNode[] }).nodes
  }
  /** As `web` has accepted it, of whichever replica. */
  const routesOfWeb = async (): Promise<string | undefined> => {
    const looks = await Promise.allSettled([nodes('fairlead-1'), nodes('fairlead-2')])
    const all = looks.flatMap((look) => (look.status === 'fulfilled' ? look.value : []))
    return all.find(({ id }) => id === 'web')?.types['route']?.acked
  }
  await compose('up', '--detach')
  return {
    gatewayPort,
    prometheusPort,
    nodes,
    async isReady(replica) {
      const { ok } = await fetch(`http://127.0.0.1:${adminOf[replica]}/ready`, { signal: AbortSignal.timeout(2_000) })
      return ok
    },
    compose,
    docker: async (...args) => await run('docker', args),
    async put(directory) {
      const before = await routesOfWeb()
      await compose('run', '--rm', '-T', 'put', 'put', `/compose/${directory}`, '--etcd', 'http://etcd:2379')
      await eventually(async () => ![undefined, before].includes(await routesOfWeb()), { timeoutMs: 20_000 })
    },
    tour: async () => await run(join(examples, 'tour.sh'), []),
  }

  function runnerOf(all: DockerEngine['env']): (program: string, args: readonly string[]) => Promise<string> {
    return async (program, args) => {
      try {
        const { stdout } = await promisify(execFile)(program, args, { cwd: examples, env: all, maxBuffer: 1 << 24 })
        return stdout
      } catch (error) {
        const { stdout, stderr } = error as { readonly stdout: string; readonly stderr: string }
        throw new Error(`${[program, ...args].join(' ')} failed: ${`${stdout}\n${stderr}`.slice(-6_000)}`, {
          cause: error,
        })
      }
    }
  }
}
