import fastify, {
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  type RouteHandlerMethod,
} from 'fastify'
import type { SnapshotCache } from '../cache/cache.ts'
import { formatOrigin, listenFailure, type Problem } from '../errors.ts'
import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import { resourceTypes } from '../resource/type-url.ts'
import type { History } from '../snapshot/store.ts'
import { rejectionProblems } from '../xds/rejection/rejection-problem.ts'
import { answerRest, type RestDeps } from '../xds/rest.ts'
import type { StatusReader } from '../xds/status.ts'
import { isOwnHost } from './own-host.ts'
import { diffJson, documentsJson, revisionJson } from './revision-json.ts'

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
  readonly history: Pick<History, 'list' | 'show' | 'diff' | 'revision'>
  /** Where relative paths of documents begin: absolute. */
  readonly directory?: string
  readonly metrics: Metrics
  /** What `/api/version` tells. */
  readonly version: Readonly<Record<string, string | number>>
  /** Given: REST xDS is served here too. */
  readonly rest?: RestDeps
  readonly log: Log
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
  addSnapshotRoutes(app, deps)
  addRestRoutes(app, deps.rest)
  app.setNotFoundHandler((request, reply) =>
    reply.code(404).send({ message: `nothing at ${request.url}; there is: ${paths.join(', ')}` }),
  )
  try {
    await app.listen(address)
  } catch (error) {
    const host = address.host.includes(':') ? `[${address.host}]` : address.host
    throw listenFailure('--admin', `${host}:${address.port}`, error)
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

const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']

/** Answers one method at `url` (GET: HEAD too), and all others with 405 before their body is read. */
function addRoute(app: FastifyInstance, method: 'GET' | 'POST', url: string, handler: RouteHandlerMethod): void {
  const allowed = method === 'GET' ? ['GET', 'HEAD'] : ['POST']
  app.route({ method, url, handler })
  app.route({
    method: methods.filter((other) => !allowed.includes(other)),
    url,
    onRequest: async (request, reply) =>
      reply
        .code(405)
        .header('allow', allowed.join(', '))
        .send({ message: `${request.method} is not allowed at ${request.url}, only ${method}` }),
    handler: () => undefined,
  })
}

function addStatusRoutes(
  app: FastifyInstance,
  { readiness, cache, status, metrics, version }: AdminDeps,
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
  addRoute(app, 'GET', '/api/problems', () => ({
    problems: [...readiness.problems, ...rejectionProblems(status.nodes())].map((problem) => ({
      ...problem,
      place: formatOrigin(problem.origin),
    })),
  }))
}

function servingOf({ isReady, isServingRestored }: Readiness): string {
  if (!isReady) return 'nothing yet'
  return isServingRestored ? 'last good' : 'current'
}

function addSnapshotRoutes(
  app: FastifyInstance,
  { history, directory }: Pick<AdminDeps, 'history' | 'directory'>,
): void {
  const revisionOf = (text: string): number => {
    if (text === 'latest') return history.revision
    return /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN
  }
  const unknown = (reply: FastifyReply, text: string): FastifyReply => {
    const kept = history.list()
    const [oldest, newest] = [kept.at(0)?.revision, kept.at(-1)?.revision]
    const range = oldest === newest ? `revision ${newest} is` : `revisions ${oldest} to ${newest} are`
    const message =
      oldest === undefined ? 'no revision yet: nothing has been in force' : `no revision ${text}; ${range} kept`
    return reply.code(404).send({ message })
  }
  addRoute(app, 'GET', '/api/snapshots', () => ({ directory, revisions: [...history.list()].reverse() }))
  addRoute(app, 'GET', '/api/snapshots/:revision', async (request, reply) => {
    const { revision } = request.params as { revision: string }
    const view = await history.show(revisionOf(revision))
    return view === undefined ? unknown(reply, revision) : reply.send(revisionJson(view))
  })
  addRoute(app, 'GET', '/api/snapshots/:revision/documents', async (request, reply) => {
    const { revision } = request.params as { revision: string }
    const view = await history.show(revisionOf(revision))
    return view === undefined ? unknown(reply, revision) : reply.send(documentsJson(view))
  })
  addRoute(app, 'GET', '/api/snapshots/:from/diff/:to', async (request, reply) => {
    const { from, to } = request.params as { from: string; to: string }
    const diff = await history.diff(revisionOf(from), revisionOf(to))
    if (diff !== undefined) return reply.send(diffJson(diff))
    const isFromKept = history.list().some(({ revision }) => revision === revisionOf(from))
    return unknown(reply, isFromKept ? to : from)
  })
}

function addRestRoutes(app: FastifyInstance, deps: RestDeps | undefined): void {
  for (const type of Object.values(resourceTypes)) {
    if (type.rest === undefined) continue
    // The path has a colon of its own, which the router reads as a parameter unless doubled.
    addRoute(app, 'POST', type.rest.replace(':', '::'), (request, reply) => {
      if (deps === undefined) {
        return reply
          .code(404)
          .send({ message: 'REST xDS is off at this address; `fairlead serve --rest on` serves it' })
      }
      const answer = answerRest(deps, type, request.body)
      return reply.code(answer.status).send(answer.body)
    })
  }
}
