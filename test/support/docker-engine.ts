import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describeAsRoot } from './needs.ts'
import { eventually } from './poll.ts'

const programs = ['docker', 'docker-compose', 'dockerd', 'debootstrap', 'prometheus', 'etcd', 'etcdctl']

/** A Docker engine, which no image can be pulled into: what it is to run is made first. */
export interface DockerEngine {
  /** For `docker` and `docker-compose`. */
  readonly env: NodeJS.ProcessEnv
  /** It is the test's own, and what is in it goes with it. */
  readonly isOwn: boolean
  readonly close: () => Promise<void>
}

/** A suite that needs Docker, and root to start it and to make its images. */
export function describeWithDocker(name: string, suite: () => void): void {
  describeAsRoot(name, suite, { programs, isLet: letsContainersBe, otherwise: 'lets nobody start containers' })
}

/** What an engine does first of all: a file system and a network for a process of its own. */
function letsContainersBe(): boolean {
  const script = 'test -w /sys/fs/cgroup && mount -t tmpfs none /mnt && umount /mnt'
  return answers(process.env) || spawnSync('unshare', ['-m', '-n', '-p', '-f', 'sh', '-c', script]).status === 0
}

const answers = (env: NodeJS.ProcessEnv): boolean => spawnSync('docker', ['version'], { env }).status === 0

/** The engine that answers here already, or else one of the test's own, which leaves nothing behind. */
export async function startDockerEngine(): Promise<DockerEngine> {
  if (answers(process.env)) return { env: process.env, isOwn: false, close: async () => {} }
  // Not in the usual place for temporary files: the path of a socket has at most 108 bytes.
  const directory = mkdtempSync('/tmp/fairlead-docker-')
  const at = (name: string): string => join(directory, name)
  const [host, log] = [`unix://${at('socket')}`, at('log')]
  const places = ['--data-root', at('data'), '--exec-root', at('exec'), '--pidfile', at('pid'), '-H', host]
  // The machine's own rules stay as they are: what runs in one network needs none, nor does a port published on loopback.
  const network = ['--bridge=none', '--iptables=false', '--ip6tables=false', '--ip-forward=false']
  // What it mounts ends with it.
  const script = `exec unshare --mount dockerd "$@" >'${log}' 2>&1`
  const child = spawn('sh', ['-c', script, 'sh', ...places, ...network])
  const close = async (): Promise<void> => {
    await end(child)
    rmSync(directory, { recursive: true, force: true, maxRetries: 5 })
  }
  const env = { ...process.env, DOCKER_HOST: host }
  try {
    await eventually(() => child.exitCode !== null || answers(env), { timeoutMs: 30_000, intervalMs: 200 })
    if (child.exitCode === null) return { env, isOwn: true, close }
    throw new Error(`dockerd ended with ${child.exitCode}`)
  } catch (error) {
    const said = readFileSync(log, 'utf8').slice(-4_000)
    await close()
    throw new Error(`no Docker engine: ${said}`, { cause: error })
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  const patience = setTimeout(() => child.kill('SIGKILL'), 20_000)
  await ended
  clearTimeout(patience)
}
