import { type Clock, systemClock } from '../clock.ts'
import { ControlPlaneError } from '../errors.ts'
import { type Log, silentLog } from '../log.ts'
import { type EnvoyApi, loadEnvoyApi } from '../resource/envoy-api.ts'
import { startAdmin } from './admin/admin-server.ts'
import { type ConfigDump, dumpConfig } from './admin/config-dump.ts'
import { type Bootstrap, parseBootstrap } from './bootstrap.ts'
import { type ClusterManager, createClusterManager } from './cluster/cluster-manager.ts'
import type { AddressConfig } from './config/address.ts'
import { ConfigRejection } from './config/config-rejection.ts'
import { type AdsDiscovery, createDiscovery } from './discovery/create-discovery.ts'
import { createFileDiscovery } from './discovery/file-discovery.ts'
import type { Misbehaviour } from './discovery/misbehaviour.ts'
import { createNoDiscovery } from './discovery/no-discovery.ts'
import { readXdsServer } from './discovery/read-xds-server.ts'
import { createListenerManager, type ListenerManager } from './listener/listener-manager.ts'
import { networkFilterKinds } from './network-filter-kinds.ts'
import type { ProxyContext } from './proxy-context.ts'
import { createRuntime, type LayeredRuntime } from './runtime.ts'
import { startRuntimeDiscovery } from './runtime-discovery.ts'
import { createSecrets } from './secret/create-secrets.ts'
import { createStatStore } from './stats/create-stat-store.ts'
import type { StatStore } from './stats/stat-store.ts'
import { createConnections } from './upstream/connections.ts'

export interface ProxyOptions {
  /** Envoy's, as YAML or JSON, or what either would be read as. */
  readonly bootstrap: string | object
  /** By default the one that this package carries. */
  readonly api?: EnvoyApi
  readonly clock?: Clock
  /** From 0 up to 1. */
  readonly random?: () => number
  readonly log?: Log
  /** Where access logs go that are meant for stdout and stderr; those of the process by default. */
  readonly stdout?: NodeJS.WritableStream
  readonly stderr?: NodeJS.WritableStream
  /** What it is to do wrong, for tests of a control plane. */
  readonly misbehaviour?: Misbehaviour
  /** How long a listener that goes waits for its connections to end; Envoy's is 600 s. */
  readonly drainTimeMs?: number
  /** In place of the port of the bootstrap's admin address, which is on loopback where the bootstrap has none. */
  readonly adminPort?: number
}

/** A data plane: it carries traffic as its bootstrap and its control plane say. */
export interface Proxy {
  /** All that the bootstrap and the first answers of the control plane say is at work, or known not to come. */
  readonly live: Promise<void>
  readonly isLive: boolean
  readonly bootstrap: Bootstrap
  readonly context: ProxyContext
  readonly stats: StatStore
  readonly runtime: LayeredRuntime
  readonly clusters: ClusterManager
  readonly listeners: ListenerManager
  /** The stream to the control plane: a test may stall or break it. */
  readonly discovery: AdsDiscovery
  /** Undefined while no such listener listens. */
  listenerPort(name: string): number | undefined
  /** Where it tells of itself; undefined where its bootstrap names no admin address. */
  readonly adminPort: number | undefined
  /** As Envoy's `/config_dump?include_eds`. */
  configDump(): ConfigDump
  /** Ends everything that it has opened; open connections are broken. */
  close(): Promise<void>
}

/**
 * Starts a proxy; it is not waited for until it is live.
 * @throws ControlPlaneError `config` when the bootstrap is none that this proxy takes.
 */
export async function createProxy(options: ProxyOptions): Promise<Proxy> {
  const { api = loadEnvoyApi(), clock = systemClock, random = Math.random, log = silentLog } = options
  const bootstrap = parseBootstrap(api, options.bootstrap)
  const stats = createStatStore()
  const runtime = createRuntime(bootstrap.runtime)
  const { stdout = process.stdout, stderr = process.stderr } = options
  const context: ProxyContext = { api, node: bootstrap.identity, clock, random, log, stats, runtime, stdout, stderr }
  const discovery = discoveryOf(context, bootstrap, options.misbehaviour)
  const opened: (() => void | Promise<void>)[] = [() => discovery.close()]
  const close = async (): Promise<void> => {
    for (const end of opened.splice(0).reverse()) await end()
  }
  try {
    const secrets = taken('static_resources.secrets', () =>
      createSecrets({ discovery, stats, secrets: bootstrap.secrets }),
    )
    const connections = createConnections(context, secrets)
    opened.push(() => connections.close())
    const clusters = createClusterManager({
      context,
      discovery,
      connections,
      ...(bootstrap.localCluster !== undefined && { localCluster: bootstrap.localCluster }),
      ...(bootstrap.dns !== undefined && { dns: bootstrap.dns }),
    })
    opened.push(() => clusters.close())
    const listeners = createListenerManager({
      context,
      clusters,
      connections,
      discovery,
      secrets,
      networkFilters: networkFilterKinds,
      ...(options.drainTimeMs !== undefined && { drainTimeMs: options.drainTimeMs }),
    })
    opened.push(() => listeners.close())
    const proxy = { bootstrap, context, stats, runtime, clusters, listeners, discovery }
    const startedMs = clock.now()
    let isLive = false
    const live = startListeners(proxy, startClusters(proxy)).then(() => {
      isLive = true
    })
    // Whoever waits for it hears of a failure.
    live.catch(() => undefined)
    const state = {
      ...proxy,
      startedMs,
      get isLive() {
        return isLive
      },
    }
    const adminAddress = adminAddressOf(bootstrap, options.adminPort)
    const admin = adminAddress && (await startAdmin(adminAddress, state))
    if (admin !== undefined) opened.push(() => admin.close())
    return {
      ...proxy,
      live,
      get isLive() {
        return isLive
      },
      adminPort: admin?.port,
      listenerPort: (name) => listeners.listeners.get(name)?.address.port,
      configDump: () => dumpConfig(proxy),
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

type Parts = Pick<Proxy, 'bootstrap' | 'context' | 'stats' | 'runtime' | 'clusters' | 'listeners' | 'discovery'>

/**
 * In Envoy's order: the runtime, then the static clusters that need the control plane, then its own.
 * @throws ControlPlaneError `config` for the first static cluster that is not taken
 * @returns when all of them are there, or known not to come
 */
function startClusters({ bootstrap, stats, runtime, clusters, discovery }: Parts): Promise<void> {
  const resumes = [discovery.pause('endpoint'), discovery.pause('cluster')]
  const runtimeIsThere = startRuntimeDiscovery(bootstrap.runtime, runtime, discovery, stats)
  taken('static_resources.clusters', () => clusters.applyStatic(bootstrap.clusters))
  if (bootstrap.cds !== undefined) clusters.startDynamic()
  return runtimeIsThere.then(() => {
    for (const resume of resumes) resume()
    return clusters.initialized
  })
}

async function startListeners({ bootstrap, stats, listeners }: Parts, clustersAreThere: Promise<void>): Promise<void> {
  const isServing = stats.gauge('server.live')
  await clustersAreThere
  taken('static_resources.listeners', () => listeners.applyStatic(bootstrap.listeners))
  if (bootstrap.lds !== undefined) listeners.startDynamic()
  await listeners.initialized
  isServing.set(1)
}

function adminAddressOf({ admin }: Bootstrap, port: number | undefined): AddressConfig | undefined {
  return port === undefined ? admin : { address: admin?.address ?? '127.0.0.1', port }
}

/** Files for what is in files, and the stream for all else. */
function discoveryOf(
  context: ProxyContext,
  bootstrap: Bootstrap,
  misbehaviour: Misbehaviour | undefined,
): AdsDiscovery {
  const ads = streamOf(context, bootstrap, misbehaviour)
  return createFileDiscovery({ context, ads, clusters: bootstrap.cds, listeners: bootstrap.lds })
}

function streamOf(context: ProxyContext, bootstrap: Bootstrap, misbehaviour: Misbehaviour | undefined): AdsDiscovery {
  const { ads, cds, lds, node, clusters } = bootstrap
  if (ads === undefined) return createNoDiscovery()
  const cluster = clusters.find(({ name }) => name === ads.cluster)
  if (cluster === undefined) {
    throw new ControlPlaneError(
      'config',
      `dynamic_resources.ads_config: there is no static cluster ${JSON.stringify(ads.cluster)}`,
    )
  }
  const server = taken(`static_resources.clusters ${ads.cluster}`, () => readXdsServer(cluster))
  return createDiscovery({
    context,
    ads: { protocol: ads.protocol, server, node, saysNodeOnce: ads.saysNodeOnce, pauses: ads.pauses },
    clusterTimeoutMs: cds?.initialFetchTimeoutMs,
    listenerTimeoutMs: lds?.initialFetchTimeoutMs,
    misbehaviour,
  })
}

/** @throws ControlPlaneError `config` for what `act` does not take */
function taken<T>(where: string, act: () => T): T {
  try {
    return act()
  } catch (error) {
    if (!(error instanceof ConfigRejection)) throw error
    throw new ControlPlaneError('config', `${where}: ${error.message}`, { cause: error })
  }
}
