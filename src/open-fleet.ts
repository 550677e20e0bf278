import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { ControlPlaneError, isError } from './errors.ts'
import type { Fleet } from './fleet/fleet.ts'
import type { FleetHistory } from './fleet/fleet-history.ts'
import type { GoodDocuments } from './fleet/good-documents.ts'
import type { Log } from './log.ts'
import type { Metrics } from './metrics.ts'
import { parseAddress } from './options/address.ts'
import { etcdAccess } from './options/etcd-access.ts'
import type { ServeOptions } from './options/options.ts'
import { fairleadVersion } from './own-version.ts'
import type { Pipeline, PipelineHistory } from './pipeline.ts'
import type { EnvoyApi } from './resource/envoy-api.ts'
import type { History } from './snapshot/store.ts'
import type { World } from './snapshot/world.ts'
import type { EtcdOptions } from './source/etcd-client.ts'

export interface FleetRooms {
  readonly api: EnvoyApi
  /** Of this server alone. */
  readonly history: History
  readonly pipeline: Pipeline
  readonly world: Pick<World, 'inForce' | 'generated'>
  readonly metrics: Metrics
  /** How the ids of the documents of each source begin. */
  readonly sources: readonly string[]
  readonly log: Log
}

/** How etcd is reached that `options` name; undefined without one. */
export function etcdOf(options: ServeOptions): EtcdOptions | undefined {
  const { etcd: endpoints, etcdPrefix: prefix } = options
  return endpoints.length === 0 ? undefined : { endpoints, prefix, ...etcdAccess(options) }
}

/** What the replicas share of the documents in etcd. */
export async function openGood(etcd: EtcdOptions, log: Log): Promise<GoodDocuments> {
  const { createGoodDocuments } = await import('./fleet/good-documents.ts')
  return createGoodDocuments({ ...etcd, log: log.child({ room: 'fleet' }) })
}

/** This server as one of the replicas on one etcd. Its library is large: only who uses etcd has it. */
export async function openFleet(options: ServeOptions, etcd: EtcdOptions, rooms: FleetRooms): Promise<Fleet> {
  const { api, history, pipeline, world, metrics, sources, log } = rooms
  const { createFleet } = await import('./fleet/fleet.ts')
  const { createServedDigest } = await import('./fleet/served-digest.ts')
  const digest = createServedDigest()
  let last: { readonly revision: number; readonly config: string } | undefined
  const config = async (): Promise<string | null> => {
    if (!pipeline.isReady) return null
    if (last?.revision !== pipeline.revision) {
      const served = await digest.of(() => [...world.inForce.values(), ...world.generated.values()])
      last = { revision: pipeline.revision, config: served }
    }
    return last.config
  }
  const fleet = createFleet({
    etcd,
    id: options.replicaId ?? defaultId(options),
    isReadOnly: options.etcdReadOnly,
    version: fairleadVersion,
    sources,
    serving: async () => ({
      config: await config(),
      errors: pipeline.problems.filter(isError).length,
      streams: await sumOf(metrics.streams),
    }),
    ready: pipeline.ready,
    history: { own: history, api, maxRevisions: options.historyRevisions, maxBytes: options.etcdHistoryBytes },
    log: log.child({ room: 'fleet' }),
  })
  metrics.replicas.from(() => new Map([[{}, fleet.status().replicas.length]]))
  metrics.leader.from(() => new Map([[{}, fleet.election?.isLeader === true ? 1 : 0]]))
  return fleet
}

/** What this server writes down, and where it leads the others what these have in common, too. */
export function besidesOwn(own: History, fleet: () => FleetHistory | undefined): PipelineHistory {
  return {
    get revision() {
      return own.revision
    },
    get problem() {
      return own.problem
    },
    append(step) {
      const revision = own.append(step)
      fleet()?.append(step)
      return revision
    },
    refresh(units) {
      own.refresh(units)
      fleet()?.refresh(units)
    },
  }
}

async function sumOf(gauge: Metrics['streams']): Promise<number> {
  const { values } = await gauge.get()
  return values.reduce((sum, { value }) => sum + value, 0)
}

/** Two servers of one machine listen at two ports. */
function defaultId({ listen }: ServeOptions): string {
  const address = parseAddress(listen)
  if (address === undefined) throw new ControlPlaneError('usage', `--listen ${listen} is no HOST:PORT`)
  const suffix = address.port === 0 ? randomBytes(3).toString('hex') : String(address.port)
  return `${hostname()}:${suffix}`
}
