import type { Http2Server } from 'node:http2'
import { hostname } from 'node:os'
import {
  logVerbosity,
  Server,
  ServerCredentials,
  type ServerOptions,
  type ServiceDefinition,
  setLogVerbosity,
  status,
  type UntypedHandleCall,
} from '@grpc/grpc-js'
import type { SnapshotCache } from '../cache/cache.ts'
import { systemClock } from '../clock.ts'
import { ControlPlaneError, listenFailure } from '../errors.ts'
import { guardServerSession } from '../http2-guard.ts'
import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import type { EnvoyApi } from '../resource/envoy-api.ts'
import type { Node } from '../resource/node.ts'
import { aggregatedDiscoveryService, discoveryServices } from '../resource/service-definition.ts'
import { type ResourceType, resourceTypes } from '../resource/type-url.ts'
import { type CallHandler, callInterceptor } from './call.ts'
import type { Barrier } from './fence/barrier.ts'
import { SharedNodeIdWatch } from './flow/shared-node-ids.ts'
import { type OriginOf, type StatusReader, StatusRecorder } from './status.ts'
import { Stream } from './stream.ts'
import { buildStreamDeps, type StreamDepsOptions, type StreamKind } from './stream-deps.ts'
import type { Protocol, StreamEvent } from './stream-event.ts'

export interface XdsServerOptions extends StreamDepsOptions {
  /** `host:port`; port 0 takes a free one. */
  readonly listen: string
  /** Absent: plaintext. */
  readonly credentials?: ServerCredentials
  /** How often an idle connection is probed, and how long a probe may take: a silent partition shows after both (rule 90). */
  readonly keepaliveTimeMs: number
  readonly keepaliveTimeoutMs: number
  /** How long a client may take to come back once its stream is lost: meanwhile it may have two (rule 93). */
  readonly reconnectMs: number
  /** After how long, a tenth more or less, a client is sent away to connect anew (rule 91); 0: never. */
  readonly maxConnectionAgeMs: number
  /** Largest request: after a reconnect a delta client lists all that it has (rule 18). */
  readonly maxReceiveBytes: number
}

export const defaultXdsServerOptions: XdsServerOptions = {
  listen: '127.0.0.1:18000',
  isSecure: false,
  allowPlaintextSecrets: false,
  keepaliveTimeMs: 30_000,
  keepaliveTimeoutMs: 10_000,
  reconnectMs: 20_000,
  maxConnectionAgeMs: 0,
  maxReceiveBytes: 64 * 1024 * 1024,
  ackWaitMs: { cluster: 1000, other: 5000 },
  transitionTimeoutMs: 10_000,
  drainTimeMs: 600_000,
  forgetRejectionsMs: 600_000,
  maxEntering: 100,
  maxUnflushedBytes: 64 * 1024 * 1024,
  maxSharedBytes: 64 * 1024 * 1024,
  maxResponseBytes: 4 * 1024 * 1024,
  sotwResume: false,
  identifier: `fairlead@${hostname()}`,
}

export interface XdsServer {
  readonly port: number
  /** Who is connected, and what they have. */
  readonly status: StatusReader
  /** Says when what is in force is no older than what clients may have; undefined where that goes without saying. */
  readonly barrier: Barrier | undefined
  /** Takes no new connections, and ends the streams one by one over `ms` so that their clients do not all come at once to the next server. */
  drain(ms: number): Promise<void>
  /** Ends everything at once. */
  close(): Promise<void>
}

export interface XdsServerDeps {
  readonly cache: SnapshotCache
  readonly api: EnvoyApi
  readonly log: Log
  readonly metrics?: Metrics
  /** Where a resource stands now: for what is told of one that was rejected. */
  readonly originOf?: OriginOf
  /** Told of each client, by its first request. */
  readonly onNode?: (node: Node) => void
  /** Resolves once what the cache has is as new as the sources were when it was called; absent where that goes without saying. */
  readonly caughtUp?: ((signal: AbortSignal) => Promise<void>) | undefined
  /** For tests and measurements. */
  readonly onEvent?: (event: StreamEvent) => void
  /** Adds health, reflection and the like before the server listens. */
  readonly extraServices?: (server: Server) => void
}

/**
 * Serves xDS: ADS and every per-type service that this version of Envoy's API has, SotW and delta.
 * @throws ControlPlaneError `io` when the address cannot be listened on.
 */
export async function createXdsServer(deps: XdsServerDeps, given: Partial<XdsServerOptions> = {}): Promise<XdsServer> {
  const options = { ...defaultXdsServerOptions, ...given }
  // What it would write to stderr by itself comes as an error, too, and is told from there.
  setLogVerbosity(logVerbosity.NONE)
  const handlers = new Map<string, CallHandler>()
  const server = new Server({
    interceptors: [callInterceptor(handlers, (error) => deps.log.error({ err: error }, 'stream failed'))],
    'grpc.keepalive_time_ms': options.keepaliveTimeMs,
    'grpc.keepalive_timeout_ms': options.keepaliveTimeoutMs,
    'grpc.keepalive_permit_without_calls': 1,
    ...connectionAges(options),
    'grpc.max_receive_message_length': options.maxReceiveBytes,
    'grpc.max_send_message_length': -1,
    'grpc-node.max_session_memory': Number.MAX_SAFE_INTEGER,
    'grpc.enable_channelz': 0,
  })
  const recorder = new StatusRecorder(deps.metrics, deps.originOf)
  const streams = new Set<Stream>()
  const streamDeps = buildStreamDeps(options, {
    cache: deps.cache,
    log: deps.log,
    status: recorder,
    onNode: deps.onNode,
    onEvent: deps.onEvent,
    clock: systemClock,
    defer: setImmediate,
    onWaiting: (count) => deps.metrics?.waitingStreams.set(count),
    caughtUp: deps.caughtUp,
    onHeldBack: (count) => deps.metrics?.fencedStreams.set(count),
  })
  addServices(server, deps.api, (path, kind) => {
    handlers.set(path, (call) => {
      const stream = new Stream(call, kind, streamDeps, (closed) => {
        streams.delete(closed)
        clearTimeout(retirement)
      })
      const retirement = retireLater(stream, options)
      streams.add(stream)
      return stream
    })
  })
  deps.extraServices?.(server)
  const port = await listen(server, options)
  const sharedIds = new SharedNodeIdWatch({
    streams: () => recorder.presences(),
    clock: systemClock,
    log: deps.log,
    overlapMs: options.keepaliveTimeMs + options.keepaliveTimeoutMs + options.reconnectMs,
    onCount: (count) => deps.metrics?.sharedNodeIds.set(count),
  })
  const address = options.listen.replace(/:\d+$/, `:${port}`)
  let done: Promise<void> | undefined
  const shutDown = (graceMs: number): Promise<void> => {
    sharedIds.close()
    // forceShutdown knows the connections only through channelz, which costs every call; drain ends them without.
    server.drain(address, graceMs)
    return new Promise<void>((resolve) => server.tryShutdown(() => resolve())).finally(() =>
      streamDeps.barrier?.close(),
    )
  }
  return {
    port,
    status: recorder,
    barrier: streamDeps.barrier,
    drain(ms) {
      if (done !== undefined) return done
      done = shutDown(ms)
      const open = [...streams]
      // The last fifth of the time is for the sockets.
      const stepMs = (ms * 0.8) / Math.max(1, open.length)
      const timers = open.map((stream, index) => setTimeout(() => stream.end(shuttingDown), index * stepMs))
      return done.finally(() => {
        for (const timer of timers) clearTimeout(timer)
      })
    },
    close() {
      for (const stream of streams) stream.end(shuttingDown)
      done ??= shutDown(0)
      return done
    },
  }
}

const shuttingDown = 'the control plane is shutting down'
const tooOld = 'the connection has reached its maximum age: connect again'

/**
 * When connections are told to take no new streams: before their streams are ended, for else their clients would come
 * back on the same one. The library spreads it by a tenth.
 */
function connectionAges({ maxConnectionAgeMs: ageMs }: XdsServerOptions): ServerOptions {
  if (ageMs === 0) return {}
  // Streams that were opened later than the connection go with it at last.
  return { 'grpc.max_connection_age_ms': 0.8 * ageMs, 'grpc.max_connection_age_grace_ms': 0.5 * ageMs }
}

/** Ends a stream at the maximum age, give or take a tenth, so that those that came together do not come back together. */
function retireLater(stream: Stream, { maxConnectionAgeMs: ageMs }: XdsServerOptions): NodeJS.Timeout | undefined {
  if (ageMs === 0) return undefined
  return setTimeout(() => stream.end(tooOld), ageMs * (0.9 + 0.2 * Math.random())).unref()
}

function listen(server: Server, options: XdsServerOptions): Promise<number> {
  const credentials = options.credentials ?? ServerCredentials.createInsecure()
  return new Promise((resolve, reject) => {
    server.bindAsync(options.listen, credentials, (error, port) => {
      if (error === null) {
        guardSessions(server)
        resolve(port)
      } else reject(listenFailure('--listen', options.listen, error))
    })
  })
}

/** The library tells nobody of its sessions, but here they are. */
function guardSessions(server: Server): void {
  const listening = Reflect.get(server, 'http2Servers') as ReadonlyMap<Http2Server, unknown>
  for (const one of listening.keys()) one.on('session', guardServerSession)
}

function addServices(server: Server, api: EnvoyApi, answer: (path: string, kind: StreamKind) => void): void {
  const services = discoveryServices(api)
  const aggregated = services.get(aggregatedDiscoveryService)
  if (aggregated === undefined) throw new ControlPlaneError('api', `${api.label} lacks ${aggregatedDiscoveryService}`)
  const add = (
    service: ServiceDefinition,
    protocols: Readonly<Record<string, Protocol>>,
    type?: ResourceType,
  ): void => {
    const methods: Record<string, UntypedHandleCall> = {}
    for (const [method, { path }] of Object.entries(service)) {
      const protocol = protocols[method]
      // Streams are answered before they come to their methods.
      methods[method] = protocol === undefined ? refuseFetch(type?.rest) : () => {}
      if (protocol !== undefined) answer(path, { protocol, typeUrl: type?.typeUrl })
    }
    server.addService(service, methods)
  }
  add(aggregated, { StreamAggregatedResources: 'sotw', DeltaAggregatedResources: 'delta' })
  for (const type of Object.values(resourceTypes)) {
    const { grpc } = type
    const service = grpc && services.get(grpc.service)
    if (grpc === undefined || service === undefined) continue
    const protocols: Record<string, Protocol> = {}
    if (grpc.sotw !== undefined) protocols[grpc.sotw] = 'sotw'
    if (grpc.delta !== undefined) protocols[grpc.delta] = 'delta'
    add(service, protocols, type)
  }
}

function refuseFetch(path: string | undefined): UntypedHandleCall {
  const details = `one-shot discovery is served as REST-JSON at the admin address: POST ${path ?? '/v3/discovery:…'}`
  return (_call: unknown, callback: (error: { code: status; details: string }) => void): void => {
    callback({ code: status.UNIMPLEMENTED, details })
  }
}
