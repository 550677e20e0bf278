import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Etcd3 } from 'etcd3'
import { atTestEnd } from './at-test-end.ts'
import { findProgram, isExecutable } from './find-program.ts'
import { freePorts } from './free-ports.ts'
import { eventually } from './poll.ts'

/** A real etcd: one member, on loopback, with its data in a temporary directory. */
export interface TestEtcd {
  /** `http://127.0.0.1:…`, or https. */
  readonly endpoint: string
  readonly port: number
  /** Speaks to it without what is tested; as root where `auth` is on. */
  readonly client: Etcd3
  /** Ends it as an operator does; `start` continues on the same ports and data. */
  readonly stop: () => Promise<void>
  readonly kill: () => Promise<void>
  readonly start: () => Promise<void>
  /** Ends it and starts it on the same ports without its data. */
  readonly startEmpty: () => Promise<void>
  /** Writes a snapshot, as `etcdctl snapshot save` does it. */
  readonly save: (file: string) => void
  /** Ends it and starts it on the same ports with what a snapshot holds. */
  readonly restore: (file: string) => Promise<void>
  /** Compacts, defragments and disarms it, as one does when its space was exceeded. */
  readonly makeRoom: () => Promise<void>
  /** It stays there and answers nothing. */
  readonly freeze: () => void
  readonly thaw: () => void
}

export interface TestEtcdOptions {
  /** Paths of PEM files; clients must show a certificate of `ca`, as `cert` and `key` are one. */
  readonly tls?: { readonly ca: string; readonly cert: string; readonly key: string }
  /** Made a user with the role root, and everybody else is locked out. */
  readonly auth?: { readonly user: string; readonly password: string }
  readonly args?: readonly string[]
}

/** The etcd to run: ETCD_BIN, or the one on the PATH or in /usr/bin; undefined when there is none. */
export function findEtcd(): string | undefined {
  const named = process.env['ETCD_BIN']
  return named || findProgram('etcd') || ['/usr/bin/etcd'].find(isExecutable)
}

const startMs = 15_000

/** Ended at the test's end, and its data deleted. */
export async function startEtcd(options: TestEtcdOptions = {}): Promise<TestEtcd> {
  // Somebody else may take a port between its choice and its use.
  for (let tries = 1; ; tries++) {
    try {
      return await startOnce(options)
    } catch (error) {
      if (tries === 3) throw error
    }
  }
}

async function startOnce({ tls, auth, args = [] }: TestEtcdOptions): Promise<TestEtcd> {
  const directory = await mkdtemp(join(tmpdir(), 'fairlead-etcd-'))
  const [port = 0, peerPort = 0, metricsPort = 0] = await freePorts(3)
  const endpoint = `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`
  const health = `http://127.0.0.1:${metricsPort}`
  const peer = `http://127.0.0.1:${peerPort}`
  const flags = [
    ['--data-dir', join(directory, 'data')],
    ['--listen-client-urls', endpoint],
    ['--advertise-client-urls', endpoint],
    ['--listen-peer-urls', peer],
    ['--initial-advertise-peer-urls', peer],
    ['--initial-cluster', `default=${peer}`],
    ['--listen-metrics-urls', health],
    // Tests wait for keepalives of less than the usual 5 s; passwords and writes need not be safe here.
    ['--grpc-keepalive-min-time', '100ms'],
    ['--bcrypt-cost', '4'],
    ['--logger', 'zap'],
    ['--log-level', 'error'],
  ].flat()
  if (tls !== undefined) {
    flags.push('--client-cert-auth', '--trusted-ca-file', tls.ca, '--cert-file', tls.cert, '--key-file', tls.key)
  }

  let child: ChildProcess | undefined
  const start = async (): Promise<void> => {
    const binary = findEtcd()
    if (binary === undefined) throw new Error('no etcd found: set ETCD_BIN, or put etcd on the PATH')
    const starting = spawn(binary, [...flags, ...args], { stdio: ['ignore', 'ignore', 'pipe'] })
    child = starting
    let log = ''
    starting.stderr.on('data', (bytes: Buffer) => {
      log = `${log}${bytes.toString()}`.slice(-4_000)
    })
    const deadline = Date.now() + startMs
    while (!(await isHealthy(health))) {
      if (starting.exitCode !== null) throw new Error(`etcd ended with ${starting.exitCode}: ${log}`)
      if (Date.now() > deadline) throw new Error(`etcd is not healthy after ${startMs} ms: ${log}`)
      await delay(20)
    }
  }
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill('SIGCONT')
    child.kill(signal)
    await ended
  }
  const remove = async (path: string): Promise<void> => await rm(path, { recursive: true, force: true })

  try {
    await start()
  } catch (error) {
    await end('SIGKILL')
    await remove(directory)
    throw error
  }
  const clientOf = async (isLockedIn: boolean): Promise<Etcd3> => {
    return new Etcd3({
      hosts: endpoint,
      ...(tls && {
        credentials: {
          rootCertificate: await readFile(tls.ca),
          certChain: await readFile(tls.cert),
          privateKey: await readFile(tls.key),
        },
      }),
      ...(isLockedIn && auth && { auth: { username: auth.user, password: auth.password } }),
    })
  }
  let client = await clientOf(false)
  if (auth !== undefined) {
    await lockOut(client, auth)
    client.close()
    client = await clientOf(true)
  }
  atTestEnd(async () => {
    client.close()
    await end('SIGKILL')
    await remove(directory)
  })
  return {
    endpoint,
    port,
    client,
    start,
    stop: async () => await end('SIGTERM'),
    kill: async () => await end('SIGKILL'),
    async startEmpty(): Promise<void> {
      await end('SIGKILL')
      await remove(join(directory, 'data'))
      await start()
    },
    save: (file) => etcdctl('snapshot', 'save', file, '--endpoints', endpoint),
    async restore(file): Promise<void> {
      await end('SIGKILL')
      await remove(join(directory, 'data'))
      const place = ['--name', 'default', '--initial-cluster', `default=${peer}`, '--initial-advertise-peer-urls', peer]
      etcdctl('snapshot', 'restore', file, '--data-dir', join(directory, 'data'), ...place)
      await start()
    },
    async makeRoom(): Promise<void> {
      // Its client waits for a while after refusals.
      const { header } = await eventually(() => client.kv.range({ key: Buffer.from('/') }))
      await client.kv.compact({ revision: header.revision, physical: true })
      for (const command of [['defrag'], ['alarm', 'disarm']]) etcdctl(...command, '--endpoints', endpoint)
    },
    freeze: () => void child?.kill('SIGSTOP'),
    thaw: () => void child?.kill('SIGCONT'),
  }
}

/** 3.4 says which API by the environment. @throws Error with what it says when it fails */
function etcdctl(...args: readonly string[]): void {
  execFileSync('etcdctl', args, { env: { ...process.env, ETCDCTL_API: '3' }, stdio: 'pipe' })
}

async function lockOut(client: Etcd3, auth: { readonly user: string; readonly password: string }): Promise<void> {
  const users = [...new Set(['root', auth.user])]
  for (const name of users) {
    await client.auth.userAdd({ name, password: auth.password })
    await client.auth.userGrantRole({ user: name, role: 'root' })
  }
  await client.auth.authEnable()
}

async function isHealthy(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/health`, { signal: AbortSignal.timeout(1_000) })
    return response.ok
  } catch {
    return false
  }
}
