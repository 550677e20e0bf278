import { buildBootstrap } from '../../src/cli/bootstrap-config.ts'
import type { NodeStatus } from '../../src/xds/status.ts'
import { fetchRest, nodes } from './admin-client.ts'
import { createEtcdStore } from './document-store.ts'
import { type Changes, listener, rds } from './documents.ts'
import { type EnvoyProcess, startEnvoy } from './envoy.ts'
import { type EtcdCluster, startEtcdCluster } from './etcd-cluster.ts'
import { type Load, type LoadFailure, startLoad } from './load.ts'
import { type MovingShop, startMovingShop } from './moving-shop.ts'
import { eventually } from './poll.ts'
import { type Flags, type ServerProcess, type ServerProcessOptions, startServer } from './server-process.ts'
import type { Protocol } from './wire-client.ts'

export interface FleetOptions {
  /** 2 by default. */
  readonly replicas?: number
  /** Of each protocol; 2 by default. */
  readonly envoys?: number
  /** Requests a second, over all Envoys; 200 by default. */
  readonly rate?: number
  /** Options of `serve`, for each replica by its number. */
  readonly flagsOf?: (index: number, etcd: EtcdCluster) => Flags | Promise<Flags>
  readonly processOf?: (index: number) => ServerProcessOptions
  /** Besides the moving shop. */
  readonly documents?: Changes
}

/** One of the servers, through all its lives, each on the same addresses and with the same history. */
export interface Replica {
  readonly name: string
  readonly isUp: boolean
  /** The newest. */
  readonly process: ServerProcess
  kill(): Promise<void>
  /** SIGTERM. Resolves to the exit code. */
  terminate(): Promise<number | null>
  /** Resolves when it is ready. */
  start(): Promise<void>
}

/** A stock Envoy that knows all replicas, under load. */
export interface FleetEnvoy {
  readonly id: string
  readonly protocol: Protocol
  readonly envoy: EnvoyProcess
  readonly load: Load
}

/** Where an Envoy's stream is, when it has accepted all that it was sent. */
export interface Whereabouts {
  readonly replica: Replica
  readonly node: NodeStatus
}

export interface Fleet {
  readonly etcd: EtcdCluster
  readonly replicas: readonly Replica[]
  readonly envoys: readonly FleetEnvoy[]
  readonly shop: MovingShop
  /** What the documents' keys begin with. */
  readonly prefix: string
  /** Tried until etcd takes it. */
  write(changes: Changes): Promise<void>
  /** How often the shop has moved. */
  readonly round: number
  /** Moves the shop; resolves when etcd has it. */
  move(): Promise<void>
  /** Resolves when every Envoy routes to where the shop is. */
  arrived(timeoutMs?: number): Promise<void>
  /** Resolves when the Envoy is at one of these replicas (all that are up by default) and has all that it is to have. */
  whereIs(envoy: FleetEnvoy, among?: readonly Replica[]): Promise<Whereabouts>
  /** Resolves when the Envoy has a stream to one of these replicas. */
  isThere(envoy: FleetEnvoy, among: readonly Replica[]): Promise<void>
  /** Those whose stream is there now. */
  envoysOf(replica: Replica): Promise<readonly FleetEnvoy[]>
  /** Of all loads so far. */
  totals(): { readonly requests: number; readonly failures: readonly LoadFailure[] }
  /** By the types' words: of each replica the version that a new Envoy would be told. */
  versions(): Promise<readonly Readonly<Record<string, string>>[]>
}

const group = 'edge'
/** What an Envoy of the fleet asks for. */
const types = ['cluster', 'endpoint', 'listener', 'route'] as const
const protocols = ['sotw', 'delta'] as const
const pollMs = 25

/**
 * An etcd of three members, servers on it, and stock Envoys that know all of these, with requests through each: as a
 * fleet runs. All is ended at the test's end.
 */
export async function startFleet(options: FleetOptions = {}): Promise<Fleet> {
  const { replicas: count = 2, envoys: perProtocol = 2, rate = 200 } = options
  const etcd = await startEtcdCluster()
  const store = createEtcdStore(etcd)
  const shop = await startMovingShop()
  const write = (changes: Changes): Promise<void> => eventually(() => store.write(changes), { timeoutMs: 30_000 })
  await write({ ...listener('http', { routes: rds('routes') }), ...shop.documentsOf(0), ...options.documents })

  const replicas = await Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const flags = { ...store.flags, drainTimeout: '1s', drainTime: '0s', ...(await options.flagsOf?.(index, etcd)) }
      return await startReplica(`replica-${index + 1}`, flags, options.processOf?.(index))
    }),
  )
  const servers = replicas.map(({ process }) => process.server)
  const ids = Array.from({ length: perProtocol }, (_, index) => index + 1)
  const envoys = await Promise.all(
    protocols.flatMap((protocol) =>
      ids.map(async (number): Promise<FleetEnvoy> => {
        const id = `${protocol}-${number}`
        const bootstrap = buildBootstrap({ id, cluster: group, server: servers, delta: protocol === 'delta' })
        const envoy = await startEnvoy({ bootstrap })
        await envoy.waitLive()
        const port = await envoy.listenerPort('http')
        const load = startLoad({ port, rate: rate / (protocols.length * perProtocol) })
        await load.next(5, { from: 'even' })
        return { id, protocol, envoy, load }
      }),
    ),
  )

  let round = 0
  return {
    etcd,
    replicas,
    envoys,
    shop,
    prefix: store.prefix,
    write,
    get round() {
      return round
    },
    async move() {
      round += 1
      await write(shop.moveTo(round))
    },
    async arrived(timeoutMs = 20_000) {
      const from = shop.backendOf(round)
      await Promise.all(envoys.map(({ load }) => load.next(10, { from, timeoutMs })))
    },
    whereIs: ({ id }, among = replicas.filter(({ isUp }) => isUp)) =>
      eventually(
        async () => {
          for (const replica of among) {
            const node = (await nodes(replica.process.adminUrl)).find((candidate) => candidate.id === id)
            if (node !== undefined && isSettled(node)) return { replica, node }
          }
          throw new Error(`${id} has not come to ${among.map(({ name }) => name).join(' or ')}`)
        },
        { timeoutMs: 20_000, intervalMs: pollMs },
      ),
    async isThere({ id }, among) {
      const isAt = async ({ process }: Replica): Promise<boolean> => {
        return (await nodes(process.adminUrl)).some((node) => node.id === id)
      }
      await eventually(async () => (await Promise.all(among.map(isAt))).includes(true), {
        timeoutMs: 20_000,
        intervalMs: pollMs,
      })
    },
    async envoysOf({ process }) {
      const there = new Set((await nodes(process.adminUrl)).map(({ id }) => id))
      return envoys.filter(({ id }) => there.has(id))
    },
    totals() {
      const reports = envoys.map(({ load }) => load.report())
      return {
        requests: reports.reduce((sum, { sent }) => sum + sent, 0),
        failures: reports.flatMap(({ failures }) => failures),
      }
    },
    versions: () => Promise.all(replicas.map(({ process }) => versionsOf(process))),
  }
}

async function startReplica(name: string, flags: Flags, options?: ServerProcessOptions): Promise<Replica> {
  let process = await startServer(flags, options)
  let isUp = true
  await ready(process)
  return {
    name,
    get isUp() {
      return isUp
    },
    get process() {
      return process
    },
    async kill() {
      isUp = false
      await process.kill()
    },
    async terminate() {
      isUp = false
      return await process.terminate()
    },
    async start() {
      process = await process.startAgain()
      await ready(process)
      isUp = true
    },
  }
}

async function ready({ adminUrl }: ServerProcess): Promise<void> {
  await eventually(async () => (await fetch(`${adminUrl}/ready`)).ok, { timeoutMs: 20_000 })
}

function isSettled({ types: told }: NodeStatus): boolean {
  return types.every((word) => {
    const status = told[word]
    return status !== undefined && status.sent === status.acked
  })
}

/** As a new Envoy of the group would be told them. */
async function versionsOf({ adminUrl }: ServerProcess): Promise<Readonly<Record<string, string>>> {
  const versions: Record<string, string> = {}
  for (const word of types) {
    const { status, body } = await fetchRest(adminUrl, `${word}s`, group, { resource_names: ['*'] })
    if (body === undefined) throw new Error(`${word}s: ${status}`)
    versions[word] = body.version_info
  }
  return versions
}
