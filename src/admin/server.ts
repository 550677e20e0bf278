import fastify, { type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import type { SnapshotCache } from '../cache/cache.ts'
import { formatOrigin, listenFailure, type Problem } from '../errors.ts'
import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import { hostPort } from '../resource/host-port.ts'
import { resourceTypes } from '../resource/type-url.ts'
import type { HistoryReader } from '../snapshot/history/reader.ts'
import type { History } from '../snapshot/store.ts'
import { rejectionProblems } from '../xds/rejection/rejection-problem.ts'
import { answerPoll, type RestDeps } from '../xds/rest.ts'
import type { StatusReader } from '../xds/status.ts'
import { isOwnHost } from './own-host.ts'
import { addRoute } from './route.ts'
import { addSnapshotRoutes } from './snapshot-routes.ts'

/** How far the configuration got; the pipeline is one. */
export interface Readiness {
  readonly isReady: boolean
  readonly isServingRestored: boolean
  readonly sources: readonly { readonly name: string; readonly state: string; readonly documents: number }[]
  readonly problems: readonly Problem[]
  readonly revision: number
}

export interface AdminDeps {
  readonly readiness: Readiness
  readonly cache: SnapshotCache
  readonly status: StatusReader
  readonly history: Pick<History, 'list' | 'show'>
  /** Reads the history of all replicas, as it is now; absent where they have none in common. */
  readonly fleetHistory?: (() => Promise<HistoryReader>) | undefined
  /** Who else serves from the same etcd; absent without one. */
  readonly replicas?: (() => ReplicasStatus) | undefined
  /** Where relative paths of documents begin: absolute. */
  readonly directory?: string
  readonly metrics: Metrics
  /** What `/api/version` tells. */
  readonly version: Readonly<Record<string, string | number>>
  /** Given: REST xDS is served here too. */
  readonly rest?: RestDeps
  readonly log: Log
}

/** The replicas on one etcd, as one of them knows them. */
export interface ReplicasStatus {
  /** The id of the one that is asked; null where nothing is shared. */
  readonly self: string | null
  /** Null where nobody leads, or it is not known. */
  readonly leader: string | null
  readonly replicas: readonly ReplicaStatus[]
  /** There while etcd does not answer, or takes nothing: who else is there was so before. */
  readonly isStale?: true
}

export interface ReplicaStatus {
  readonly id: string
  readonly isSelf: boolean
  readonly isLeader: boolean
  readonly host: string
  /** Of fairlead. */
  readonly version: string
  /** RFC 3339. */
  readonly startedAt: string
  /** A digest of what it serves; null before it serves anything. */
  readonly config: string | null
  /** Its standing problems that are errors. */
  readonly errors: number
  readonly streams: number
}

export interface AdminServer {
  readonly port: number
  /** From now on `/ready` says 503: whoever asks it should send nobody here. */
  drain(): void
  close(): Promise<void>
}

/** REST requests carry every resource name that the client wants. */
const maxBodyBytes = 16 * 1024 * 1024

/**
 * The read-only HTTP API (docs/admin-api.md), and REST xDS where it is wanted.
 * @throws ControlPlaneError `io` when the address cannot be listened on.
 */
export async function createAdminServer(
  deps: AdminDeps,
  address: { host: string; port: number },
): Promise<AdminServer> {
  const state = { isDraining: false }
  const app = fastify({ bodyLimit: maxBodyBytes, logger: false })
  // A page may post plain text anywhere without asking; what it may not is JSON.
  app.removeContentTypeParser('text/plain')
  app.addHook('onRequest', async (request, reply) => {
    reply.header('cache-control', 'no-store')
    if (isOwnHost(request.headers.host, address.host)) return undefined
    const message = `Host ${request.headers.host ?? '(absent)'} is not this server: use its address, localhost or a name without dots, or name it in --admin`
    return reply.code(403).send({ message })
  })
  app.setErrorHandler((error: FastifyError, request, reply) => tellError(deps.log, error, request, reply))
  addStatusRoutes(app, deps, state)
  const { history, fleetHistory, directory } = deps
  const open = (): HistoryReader => ({ revisions: history.list(), show: (revision) => history.show(revision) })
  addSnapshotRoutes(app, '/api/snapshots', { open, directory })
  addSnapshotRoutes(app, '/api/fleet/snapshots', { open: fleetHistory, directory })
  addRestRoutes(app, deps.rest)
  app.setNotFoundHandler((request, reply) =>
    reply.code(404).send({ message: `nothing at ${request.url}; there is: ${paths.join(', ')}` }),
  )
  try {
    await app.listen(address)
  } catch (error) {
    throw listenFailure('--admin', hostPort(address.host, address.port), error)
  }
  const bound = app.server.address()
  return {
    port: typeof bound === 'object' && bound !== null ? bound.port : address.port,
    drain() {
      state.isDraining = true
    },
    async close() {
      app.server.closeAllConnections()
      await app.close()
    },
  }
}

const paths = [
  '/ready',
  '/healthz',
  '/metrics',
  '/api/version',
  '/api/nodes',
  '/api/snapshots',
  '/api/snapshots/REVISION',
  '/api/snapshots/REVISION/documents',
  '/api/snapshots/FROM/diff/TO',
  '/api/fleet/snapshots',
  '/api/replicas',
  '/api/problems',
]

function tellError(log: Log, error: FastifyError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const status = error.statusCode ?? 500
  if (status >= 500) {
    log.error({ err: error, url: request.url }, 'admin request failed')
    return reply.code(status).send({ message: "the server failed at this; its log says why ('admin request failed')" })
  }
  const message =
    status === 415 ? 'the body must be JSON, with the header content-type: application/json' : error.message
  return reply.code(status).send({ message })
}

function addStatusRoutes(
  app: FastifyInstance,
  { readiness, cache, status, metrics, version, replicas }: AdminDeps,
  state: { readonly isDraining: boolean },
): void {
  addRoute(app, 'GET', '/healthz', () => ({ ok: true }))
  addRoute(app, 'GET', '/ready', (_request, reply) => {
    const isReady = readiness.isReady && !state.isDraining
    return reply.code(isReady ? 200 : 503).send({
      ready: isReady,
      serving: servingOf(readiness),
      draining: state.isDraining,
      revision: readiness.revision,
      sources: readiness.sources,
      errors: readiness.problems.filter((problem) => problem.severity === 'error').length,
      withheld: cache.withheld().map(({ group, reasons }) => ({ group: group.label, reasons })),
      leftOut: readiness.problems
        .filter(({ code, severity }) => code === 'withheld' && severity === 'warning')
        .map(({ origin, message }) => `${formatOrigin(origin)}: ${message}`),
    })
  })
  addRoute(app, 'GET', '/metrics', async (_request, reply) =>
    reply.header('content-type', metrics.registry.contentType).send(await metrics.registry.metrics()),
  )
  addRoute(app, 'GET', '/api/version', () => version)
  addRoute(app, 'GET', '/api/nodes', () => ({ nodes: status.nodes() }))
  addRoute(app, 'GET', '/api/replicas', () => replicas?.() ?? alone)
  addRoute(app, 'GET', '/api/problems', () => ({
    problems: [...readiness.problems, ...rejectionProblems(status.nodes())].map((problem) => ({
      ...problem,
      place: formatOrigin(problem.origin),
    })),
  }))
}

/** A server that shares nothing with others. */
const alone: ReplicasStatus = { self: null, leader: null, replicas: [] }

function servingOf({ isReady, isServingRestored }: Readiness): string {
  if (!isReady) return 'nothing yet'
  return isServingRestored ? 'last good' : 'current'
}

function addRestRoutes(app: FastifyInstance, deps: RestDeps | undefined): void {
  for (const type of Object.values(resourceTypes)) {
    if (type.rest === undefined) continue
    // The path has a colon of its own, which the router reads as a parameter unless doubled.
    addRoute(app, 'POST', type.rest.replace(':', '::'), async (request, reply) => {
      if (deps === undefined) {
        return reply
          .code(404)
          .send({ message: 'REST xDS is off at this address; `fairlead serve --rest on` serves it' })
      }
      const answer = await answerPoll(deps, type, request.body)
      return reply.code(answer.status).send(answer.body)
    })
  }
}
