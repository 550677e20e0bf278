import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { atTestEnd } from './at-test-end.ts'
import { findEtcd } from './etcd.ts'
import { freePorts } from './free-ports.ts'
import { type PeerLink, startPeerLink } from './peer-link.ts'
import { eventually } from './poll.ts'

/** One of the processes of a cluster, each with its data in a directory of its own. */
export interface EtcdMember {
  readonly name: string
  /** `http://127.0.0.1:…` */
  readonly endpoint: string
  readonly port: number
  readonly isUp: boolean
  /** SIGKILL. `start` continues on the same ports and data. */
  kill(): Promise<void>
  /** Resolves when it answers, in the cluster. */
  start(): Promise<void>
  /** It stays there and answers nothing, as on a disk or a machine that hangs. */
  freeze(): void
  thaw(): void
}

/** A real etcd of three members on loopback. */
export interface EtcdCluster {
  readonly members: readonly EtcdMember[]
  /** All of them, as `--etcd` is given them. */
  readonly endpoints: readonly string[]
  /** The member that all those who answer hold for their leader. @throws Error while there is none */
  leader(): Promise<EtcdMember>
  /** Nothing passes any more between this member and the others; clients reach all of them. */
  isolate(member: EtcdMember): void
  /** Takes back every `isolate`. */
  mend(): void
  close(): Promise<void>
}

const names = ['a', 'b', 'c'] as const
const startMs = 20_000

/** Closed at the test's end. */
export async function startEtcdCluster(): Promise<EtcdCluster> {
  // Somebody else may take a port between its choice and its use.
  for (let tries = 1; ; tries++) {
    try {
      const cluster = await startOnce()
      atTestEnd(() => cluster.close())
      return cluster
    } catch (error) {
      if (tries === 3) throw error
    }
  }
}

/** Ids are decimal. */
interface Status {
  readonly header: { readonly member_id: string }
  readonly leader?: string
}

class Member implements EtcdMember {
  readonly name: string
  readonly port: number
  readonly endpoint: string
  readonly peerPort: number
  readonly link: PeerLink
  /** As peers write it in the header of what they send. */
  id = ''
  readonly #flags: readonly string[]
  #child: ChildProcess | undefined
  #log = ''

  constructor(name: string, port: number, peerPort: number, link: PeerLink, flags: readonly string[]) {
    this.name = name
    this.port = port
    this.peerPort = peerPort
    this.link = link
    this.endpoint = `http://127.0.0.1:${port}`
    this.#flags = flags
  }

  get isUp(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  launch(): void {
    const binary = findEtcd()
    if (binary === undefined) throw new Error('no etcd found: set ETCD_BIN, or put etcd on the PATH')
    const child = spawn(binary, this.#flags, { stdio: ['ignore', 'ignore', 'pipe'] })
    child.stderr.on('data', (bytes: Buffer) => {
      this.#log = `${this.#log}${bytes.toString()}`.slice(-4_000)
    })
    this.#child = child
  }

  async isHealthy(): Promise<boolean> {
    if (!this.isUp) throw new Error(`etcd ${this.name} ended: ${this.#log}`)
    const response = await fetch(`${this.endpoint}/health`, { signal: AbortSignal.timeout(1_000) })
    return response.ok
  }

  /** By HTTP: a client with a memory of which member was away would not do. */
  async status(): Promise<Status> {
    const response = await fetch(`${this.endpoint}/v3/maintenance/status`, {
      method: 'POST',
      body: '{}',
      signal: AbortSignal.timeout(1_000),
    })
    if (!response.ok) throw new Error(`etcd ${this.name}: ${response.status}`)
    return (await response.json()) as Status
  }

  async start(): Promise<void> {
    this.launch()
    await eventually(() => this.isHealthy(), { timeoutMs: startMs })
  }

  async kill(): Promise<void> {
    const child = this.#child
    if (child === undefined || !this.isUp) return
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
  }

  freeze(): void {
    this.#child?.kill('SIGSTOP')
  }

  thaw(): void {
    this.#child?.kill('SIGCONT')
  }
}

async function startOnce(): Promise<EtcdCluster> {
  const directory = await mkdtemp(join(tmpdir(), 'fairlead-etcd-'))
  const ports = await freePorts(names.length * 2)
  const isolated = new Set<string>()
  const links = await Promise.all(
    names.map((_, index) => startPeerLink(ports[index * 2 + 1] as number, (from) => isCut(from, index))),
  )
  const peers = names.map((name, index) => `${name}=http://127.0.0.1:${links[index]?.port}`)
  const members = names.map((name, index) => {
    const [port = 0, peerPort = 0] = ports.slice(index * 2)
    const link = links[index] as PeerLink
    const flags = [
      ['--name', name],
      ['--data-dir', join(directory, name)],
      ['--listen-client-urls', `http://127.0.0.1:${port}`],
      ['--advertise-client-urls', `http://127.0.0.1:${port}`],
      ['--listen-peer-urls', `http://127.0.0.1:${peerPort}`],
      ['--initial-advertise-peer-urls', `http://127.0.0.1:${link.port}`],
      ['--initial-cluster', peers.join(',')],
      ['--initial-cluster-token', directory],
      // Tests wait for keepalives of less than the usual 5 s.
      ['--grpc-keepalive-min-time', '100ms'],
      ['--logger', 'zap'],
      ['--log-level', 'error'],
    ].flat()
    return new Member(name, port, peerPort, link, flags)
  })
  /** What `from` (an id) says to the member of that place. */
  function isCut(from: string, to: number): boolean {
    return isolated.has(from) || isolated.has((members[to] as Member).id)
  }

  const close = async (): Promise<void> => {
    await Promise.all(members.map((member) => member.kill()))
    await Promise.all(links.map((link) => link.close()))
    await rm(directory, { recursive: true, force: true })
  }
  try {
    for (const member of members) member.launch()
    for (const member of members) await eventually(() => member.isHealthy(), { timeoutMs: startMs })
    for (const member of members) {
      const { header } = await member.status()
      member.id = BigInt(header.member_id).toString(16)
    }
  } catch (error) {
    await close()
    throw error
  }

  const leader = async (): Promise<EtcdMember> => {
    const up = members.filter((member) => member.isUp && !isolated.has(member.id))
    const votes = await Promise.all(up.map(async (member) => (await member.status()).leader ?? '0'))
    const found = members.find(({ id }) => votes.every((vote) => BigInt(vote).toString(16) === id))
    if (found === undefined || !up.includes(found)) throw new Error(`no leader that all agree upon: ${votes.join()}`)
    return found
  }
  const refresh = (): void => {
    for (const link of links) link.refresh()
  }
  return {
    members,
    endpoints: members.map(({ endpoint }) => endpoint),
    leader: () => eventually(leader, { timeoutMs: 15_000, intervalMs: 50 }),
    isolate(member): void {
      isolated.add((member as Member).id)
      refresh()
    },
    mend(): void {
      isolated.clear()
      refresh()
    },
    close,
  }
}
