import { type AdminServer, createAdminServer } from './admin/server.ts'
import { createAttachments, directoryOfDocument } from './attachments.ts'
import { createSnapshotCache } from './cache/snapshot-cache.ts'
import { parseInstance } from './config/kinds/instance-document.ts'
import { notYet } from './config/kinds/not-yet.ts'
import { parseDocument } from './config/parse-document.ts'
import type { Parse } from './document-ledger.ts'
import { ControlPlaneError } from './errors.ts'
import type { Fleet } from './fleet/fleet.ts'
import type { Log } from './log.ts'
import { createMetrics, type Metrics } from './metrics.ts'
import { besidesOwn, etcdOf, openFleet, openGood } from './open-fleet.ts'
import { type Address, isLoopback, parseAddress } from './options/address.ts'
import { type ServeOptions, servesRest } from './options/options.ts'
import { createPipeline, type Pipeline, type PipelineSource } from './pipeline.ts'
import { bootstrapCluster } from './resource/bootstrap-cluster.ts'
import { type EnvoyApi, loadEnvoyApi } from './resource/envoy-api.ts'
import type { Node } from './resource/node.ts'
import { discoveryServiceFiles } from './resource/service-definition.ts'
import { restoreUnits } from './restored-units.ts'
import { HistoryDirectory } from './snapshot/history/directory.ts'
import { createHistory, type History } from './snapshot/store.ts'
import { createWorld, type World } from './snapshot/world.ts'
import { type EtcdOptions, etcdIdPrefix } from './source/etcd-client.ts'
import { createFileSource, fileIdPrefix } from './source/file-source.ts'
import { createMesh, type Mesh } from './translate/mesh.ts'
import { versionReport } from './version-report.ts'
import { createHealthServices } from './xds/health.ts'
import { createXdsServer, type XdsServer } from './xds/server.ts'
import { createTlsCredentials, type TlsCredentials } from './xds/tls.ts'

export interface ControlPlane {
  /** The port of xDS over gRPC. */
  readonly xdsPort: number
  /** The port of the HTTP API. */
  readonly adminPort: number
  readonly pipeline: Pipeline
  readonly metrics: Metrics
  /** Ends every stream over the drain time, so that clients move to another replica one by one; then closes. */
  drain(): Promise<void>
  close(): Promise<void>
}

export interface ControlPlaneDeps {
  readonly log: Log
  /** In place of those that the options name: for tests and benches. */
  readonly sources?: readonly PipelineSource[]
}

/**
 * Puts all rooms together and starts them: history, sources, pipeline, cache, xDS and admin.
 * @throws ControlPlaneError for options, files and addresses that cannot be used.
 */
export async function createControlPlane(options: ServeOptions, deps: ControlPlaneDeps): Promise<ControlPlane> {
  const opened: Closer[] = []
  try {
    return await assemble(options, deps, opened)
  } catch (error) {
    await closeAll(opened)
    throw error
  }
}

type Closer = () => void | Promise<void>

/** The last that was opened is closed first. */
async function closeAll(opened: Closer[]): Promise<void> {
  const results: PromiseSettledResult<void>[] = []
  // One that fails must not leave the others open.
  for (const close of opened.splice(0).reverse()) {
    const closing = (async () => await close())()
    results.push(...(await Promise.allSettled([closing])))
  }
  const failure = results.find((result) => result.status === 'rejected')
  if (failure !== undefined) throw failure.reason
}

async function assemble(options: ServeOptions, deps: ControlPlaneDeps, opened: Closer[]): Promise<ControlPlane> {
  const { log } = deps
  const api = loadEnvoyApi(options.envoyApi)
  const metrics = createMetrics()
  const history = await createHistory({
    place: new HistoryDirectory(options.snapshots),
    maxRevisions: options.historyRevisions,
    maxBytes: options.historyBytes,
    api,
    log: log.child({ room: 'history' }),
  })
  opened.push(() => history.close())
  const cache = createSnapshotCache(log.child({ room: 'cache' }))
  const restored = restoreUnits(api, history.restored?.units ?? [], log)
  const mesh = createMesh(api, restored.generated, (err, document) => {
    log.error({ document: document.origin.name, err }, 'a document could not be translated')
  })
  const world = createWorld({
    staticNames: withBootstrapCluster(options.staticNames),
    allowPartial: options.allowPartial,
    restored: restored.documents,
    judge: (candidate) => mesh.try(candidate),
    nodesOf: (touches) => mesh.nodesOf(touches),
  })
  const attachments = createAttachments({
    api,
    parse: parserOf(api, options),
    inForce: world.inForce,
    directoryOf: (document) => directoryOfDocument(document, options.config[0]),
    allowed: options.allowFile,
  })
  const etcd = etcdOf(options)
  const sources = deps.sources ?? (await sourcesOf(options, etcd, log))
  const shared = etcd && (await openGood(etcd, log))
  if (shared !== undefined) opened.push(() => shared.close())
  let fleet: Fleet | undefined
  const pipeline = createPipeline(
    {
      sources,
      parse: attachments.parse,
      attached: attachments,
      world,
      cache,
      history: besidesOwn(history, () => fleet?.history),
      lastGenerated: restored.generated,
      shared,
      besides: () => [...(fleet?.problems ?? []), ...(shared?.problems ?? [])],
      metrics,
      log: log.child({ room: 'pipeline' }),
    },
    { debounceMs: options.debounce, debounceMaxMs: options.debounceMax, allowEmpty: options.allowEmpty },
  )
  opened.push(() => pipeline.close())
  if (etcd !== undefined) {
    const prefixes = sources.map(({ idPrefix }) => idPrefix)
    fleet = await openFleet(options, etcd, { api, history, pipeline, world, metrics, sources: prefixes, log })
    opened.push(() => fleet?.close())
    if (fleet.election !== undefined) shared?.lead(fleet.election)
  }
  const xds = await openXds(options, { api, cache, metrics, pipeline, log, world, mesh }, opened)
  const admin = await openAdmin(options, { api, cache, metrics, pipeline, history, xds, fleet, log }, opened)
  warnOfPlaintext(options, log)
  const close = async (): Promise<void> => await closeAll(opened)
  return {
    xdsPort: xds.port,
    adminPort: admin.port,
    pipeline,
    metrics,
    close,
    async drain() {
      admin.drain()
      // Whatever only one may do goes on elsewhere while the Envoys move.
      const resigned = fleet?.resign()
      await xds.drain(options.drainTimeout)
      await resigned
      await close()
    },
  }
}

function withBootstrapCluster(names: ServeOptions['staticNames']): ServeOptions['staticNames'] {
  return { ...names, cluster: [bootstrapCluster, ...(names['cluster'] ?? [])] }
}

async function sourcesOf(
  options: ServeOptions,
  access: EtcdOptions | undefined,
  log: Log,
): Promise<readonly PipelineSource[]> {
  const files = options.config.map((path, index): PipelineSource => {
    const idPrefix = fileIdPrefix(index)
    return { source: createFileSource({ path, idPrefix, log: log.child({ room: 'source', source: path }) }), idPrefix }
  })
  if (access === undefined) return files
  // Its library takes a tenth of the time to start, and 6 MB: only who uses etcd has it.
  const { createEtcdSource } = await import('./source/etcd-source.ts')
  const { etcdPrefix: prefix } = options
  const etcd = { ...access, log: log.child({ room: 'source', source: 'etcd' }) }
  return [
    ...files,
    { source: createEtcdSource(etcd), idPrefix: etcdIdPrefix({ prefix }) },
    {
      source: createEtcdSource({ ...etcd, folder: 'endpoints' }),
      idPrefix: etcdIdPrefix({ prefix }, 'endpoints'),
      mayBeEmpty: true,
      besides: etcdIdPrefix({ prefix }),
    },
  ]
}

/** What stands below `endpoints/` in etcd is written by programs, in a form of its own. */
function parserOf(api: EnvoyApi, { etcdPrefix: prefix }: ServeOptions): Parse {
  const instances = etcdIdPrefix({ prefix }, 'endpoints')
  return (document, held) =>
    document.id.startsWith(instances)
      ? parseInstance(api, document, instances, notYet)
      : parseDocument(api, document, { held })
}

interface Opened {
  readonly api: EnvoyApi
  readonly cache: ReturnType<typeof createSnapshotCache>
  readonly metrics: Metrics
  readonly pipeline: Pipeline
  readonly log: Log
}

async function openXds(
  options: ServeOptions,
  rooms: Opened & { readonly world: World; readonly mesh: Mesh },
  opened: Closer[],
): Promise<XdsServer> {
  const { api, cache, metrics, pipeline, world, mesh } = rooms
  const log = rooms.log.child({ room: 'xds' })
  const tls = tlsOf(options, log, metrics)
  if (tls !== undefined) opened.push(() => tls.close())
  const health = createHealthServices(discoveryServiceFiles(api))
  void pipeline.ready.then(() => health.serve())
  const xds = await createXdsServer(
    {
      cache,
      api,
      log,
      metrics,
      originOf: (resource, node) => world.originOf(resource, node) ?? mesh.originOf(resource),
      extraServices: (server) => health.addTo(server),
      onNode: tellStaticNames(pipeline),
      caughtUp: pipeline.caughtUp,
    },
    {
      listen: options.listen,
      ...(tls !== undefined && { credentials: tls.credentials }),
      isSecure: tls !== undefined || isLoopback(options.listen),
      allowPlaintextSecrets: options.allowPlaintextSecrets,
      keepaliveTimeMs: options.keepaliveTime,
      keepaliveTimeoutMs: options.keepaliveTimeout,
      maxReceiveBytes: options.maxReceiveBytes,
      ackWaitMs: { cluster: options.ackWaitClusters, other: options.ackWait },
      transitionTimeoutMs: options.transitionTimeout,
      drainTimeMs: options.drainTime,
      maxConnectionAgeMs: options.maxConnectionAge,
      maxEntering: options.maxFirstAnswers,
      maxUnflushedBytes: options.maxUnflushedBytes,
      sotwResume: options.sotwResume,
    },
  )
  opened.push(() => xds.close())
  return {
    ...xds,
    async drain(ms) {
      health.drain()
      await xds.drain(ms)
    },
  }
}

/** What the bootstraps of connected nodes hold is no dangling reference. */
const tellStaticNames =
  (pipeline: Pipeline) =>
  ({ staticNames }: Node): void =>
    pipeline.addStaticNames(staticNames)

function tlsOf(options: ServeOptions, log: Log, metrics: Metrics): TlsCredentials | undefined {
  const { tlsCert: cert, tlsKey: key, tlsClientCa: clientCa } = options
  if (cert === undefined || key === undefined) return undefined
  return createTlsCredentials({ cert, key, ...(clientCa !== undefined && { clientCa }) }, { log, metrics })
}

async function openAdmin(
  options: ServeOptions,
  rooms: Opened & { readonly history: History; readonly xds: XdsServer; readonly fleet: Fleet | undefined },
  opened: Closer[],
): Promise<AdminServer> {
  const { api, cache, metrics, pipeline, history, xds, fleet, log } = rooms
  const isSecure = isLoopback(options.admin) || options.allowPlaintextSecrets
  const admin = await createAdminServer(
    {
      readiness: pipeline,
      cache,
      status: xds.status,
      history,
      fleetHistory: fleet && (() => fleet.readHistory()),
      replicas: fleet && (() => fleet.status()),
      directory: process.cwd(),
      metrics,
      version: { ...versionReport(api) },
      ...(servesRest(options) && {
        rest: { cache, api, isSecure, onNode: tellStaticNames(pipeline), barrier: xds.barrier },
      }),
      log: log.child({ room: 'admin' }),
    },
    addressOf('--admin', options.admin),
  )
  opened.push(() => admin.close())
  return admin
}

/** @throws ControlPlaneError `usage` for an address that the options would have refused. */
function addressOf(flag: string, text: string): Address {
  const address = parseAddress(text)
  if (address === undefined) throw new ControlPlaneError('usage', `${flag} ${text} is no HOST:PORT`)
  return address
}

function warnOfPlaintext(options: ServeOptions, log: Log): void {
  if (options.tlsCert === undefined && !isLoopback(options.listen)) {
    log.warn(
      { listen: options.listen },
      'xDS is served without TLS beyond this machine: anybody who reaches it reads the configuration; give --tls-cert and --tls-key',
    )
  }
  if (!isLoopback(options.admin)) {
    log.warn({ admin: options.admin }, 'the admin API is served beyond this machine, to anybody who reaches it')
  }
}
