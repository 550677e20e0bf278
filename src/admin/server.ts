import { isIP } from 'node:net'
import { hostname } from 'node:os'
import fastify, { type FastifyInstance, type FastifyReply } from 'fastify'
import type { SnapshotCache } from '../cache/cache.ts'
import { ControlPlaneError, formatOrigin, messageOf, type Problem } from '../errors.ts'
import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import { resourceTypes } from '../resource/type-url.ts'
import type { History } from '../snapshot/store.ts'
import { answerRest, type RestDeps } from '../xds/rest.ts'
import type { StatusReader } from '../xds/status.ts'
import { diffJson, revisionJson } from './revision-json.ts'

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
  readonly metrics: Metrics
  /** Given: REST xDS is served here too. */
  readonly rest?: RestDeps
  readonly log: Log
}

export interface AdminServer {
  readonly port: number
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
  const app = fastify({ bodyLimit: maxBodyBytes, logger: false })
  app.addHook('onRequest', async (request, reply) => {
    if (!isOwnHost(request.headers.host, address.host)) {
      return reply.code(403).send({
        message: `Host ${request.headers.host ?? '(absent)'} is not this server: use its address, localhost or a name without dots`,
      })
    }
    return undefined
  })
  app.setErrorHandler((error: unknown, request, reply) => {
    const status = (error as { statusCode?: number }).statusCode ?? 500
    if (status >= 500) deps.log.error({ err: error, url: request.url }, 'admin request failed')
    return reply.code(status).send({ message: messageOf(error) })
  })
  app.setNotFoundHandler((request, reply) =>
    reply.code(404).send({ message: `nothing at ${request.method} ${request.url}; there is: ${paths.join(', ')}` }),
  )
  addStatusRoutes(app, deps)
  addSnapshotRoutes(app, deps.history)
  if (deps.rest !== undefined) addRestRoutes(app, deps.rest)
  try {
    await app.listen(address)
  } catch (error) {
    throw new ControlPlaneError(
      'io',
      `--admin ${address.host}:${address.port} cannot be listened on: ${messageOf(error)}`,
      {
        cause: error,
      },
    )
  }
  const bound = app.server.address()
  return {
    port: typeof bound === 'object' && bound !== null ? bound.port : address.port,
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
  '/api/nodes',
  '/api/snapshots',
  '/api/snapshots/REVISION',
  '/api/snapshots/FROM/diff/TO',
  '/api/problems',
]

function addStatusRoutes(app: FastifyInstance, { readiness, cache, status, metrics }: AdminDeps): void {
  app.get('/healthz', () => ({ ok: true }))
  app.get('/ready', (_request, reply) =>
    reply.code(readiness.isReady ? 200 : 503).send({
      ready: readiness.isReady,
      serving: !readiness.isReady ? 'nothing yet' : readiness.isServingRestored ? 'last good' : 'current',
      revision: readiness.revision,
      sources: readiness.sources,
      errors: readiness.problems.filter((problem) => problem.severity === 'error').length,
      withheld: cache.withheld().map(({ group, reasons }) => ({ group: group.label, reasons })),
    }),
  )
  app.get('/metrics', async (_request, reply) =>
    reply.header('content-type', metrics.registry.contentType).send(await metrics.registry.metrics()),
  )
  app.get('/api/nodes', () => ({ nodes: status.nodes() }))
  app.get('/api/problems', () => ({
    problems: readiness.problems.map((problem) => ({ ...problem, place: formatOrigin(problem.origin) })),
  }))
}

function addSnapshotRoutes(app: FastifyInstance, history: AdminDeps['history']): void {
  const revisionOf = (text: string): number => (text === 'latest' ? history.revision : Number(text))
  const unknown = (reply: FastifyReply, text: string): FastifyReply =>
    reply.code(404).send({ message: `no revision ${text}; \`fairlead snapshots list\` shows those that are kept` })
  app.get('/api/snapshots', () => ({ revisions: [...history.list()].reverse() }))
  app.get<{ Params: { revision: string } }>('/api/snapshots/:revision', async (request, reply) => {
    const view = await history.show(revisionOf(request.params.revision))
    return view === undefined ? unknown(reply, request.params.revision) : reply.send(revisionJson(view))
  })
  app.get<{ Params: { from: string; to: string } }>('/api/snapshots/:from/diff/:to', async (request, reply) => {
    const { from, to } = request.params
    const diff = await history.diff(revisionOf(from), revisionOf(to))
    if (diff !== undefined) return reply.send(diffJson(diff))
    const isFromKept = history.list().some(({ revision }) => revision === revisionOf(from))
    return unknown(reply, isFromKept ? to : from)
  })
}

function addRestRoutes(app: FastifyInstance, deps: RestDeps): void {
  for (const type of Object.values(resourceTypes)) {
    if (type.rest === undefined) continue
    // The path has a colon of its own, which the router reads as a parameter unless doubled.
    app.post(type.rest.replace(':', '::'), (request, reply) => {
      const answer = answerRest(deps, type, request.body)
      return reply.code(answer.status).send(answer.body)
    })
  }
}

/**
 * Refuses a name that a web page could have pointed here (DNS rebinding): addresses, localhost, this machine's name and
 * names without a dot cannot be somebody else's domain.
 */
function isOwnHost(header: string | undefined, listenHost: string): boolean {
  if (header === undefined) return false
  const name = header
    .replace(/:\d+$/, '')
    .replace(/^\[|\]$/g, '')
    .toLowerCase()
  return (
    isIP(name) !== 0 || !name.includes('.') || name === listenHost.toLowerCase() || name === hostname().toLowerCase()
  )
}
