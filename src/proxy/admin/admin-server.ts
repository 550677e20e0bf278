import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ControlPlaneError, messageOf } from '../../errors.ts'
import { hostPort } from '../../resource/host-port.ts'
import { isRegex, matchesWhole } from '../../resource/regex.ts'
import type { Bootstrap } from '../bootstrap.ts'
import type { ClusterManager } from '../cluster/cluster-manager.ts'
import type { AddressConfig } from '../config/address.ts'
import type { AdsDiscovery } from '../discovery/create-discovery.ts'
import type { ListenerManager } from '../listener/listener-manager.ts'
import type { ProxyContext } from '../proxy-context.ts'
import type { LayeredRuntime } from '../runtime.ts'
import { prometheusText } from '../stats/prometheus.ts'
import type { StatStore } from '../stats/stat-store.ts'
import { dumpCertificates } from './certificates.ts'
import { clustersText } from './clusters-text.ts'
import { dumpConfig } from './config-dump.ts'
import { type StatsQuestion, statsJson, statsText } from './stats-text.ts'

export interface AdminSubject {
  readonly bootstrap: Bootstrap
  readonly context: ProxyContext
  readonly stats: StatStore
  readonly runtime: LayeredRuntime
  readonly clusters: ClusterManager
  readonly listeners: ListenerManager
  readonly discovery: AdsDiscovery
  readonly isLive: boolean
  /** By the clock. */
  readonly startedMs: number
}

export interface AdminServer {
  readonly port: number
  close(): Promise<void>
}

interface Answer {
  readonly status?: number
  readonly type?: string
  readonly body: string
}

type Page = (subject: AdminSubject, query: URLSearchParams) => Answer

const json = (value: unknown): Answer => ({
  type: 'application/json',
  body: `${JSON.stringify(value, null, 1)}\n`,
})

const pages: Readonly<Record<string, Page>> = {
  '/ready': ({ isLive }) => (isLive ? { body: 'LIVE\n' } : { status: 503, body: 'INITIALIZING\n' }),
  '/stats': ({ stats }, query) => showStats(stats, query),
  '/stats/prometheus': ({ stats }, query) => showPrometheus(stats, query),
  '/config_dump': (subject, query) => {
    const { configs } = dumpConfig(subject)
    // As in Envoy, endpoints are shown to who asks for them.
    const wanted = query.has('include_eds')
      ? configs
      : configs.filter((part) => !(part['@type'] as string).endsWith('EndpointsConfigDump'))
    return json({ configs: wanted })
  },
  '/certs': (subject) => json(dumpCertificates(subject)),
  '/clusters': ({ clusters }) => ({ body: clustersText(clusters) }),
  '/listeners': ({ listeners }, query) => showListeners(listeners, query),
  '/server_info': (subject) => json(serverInfo(subject)),
  '/runtime': ({ runtime }) => json(showRuntime(runtime)),
}

/**
 * The admin port, with Envoy's pages for what this proxy has.
 * @throws ControlPlaneError `io` when the address cannot be listened on
 */
export async function startAdmin({ address, port }: AddressConfig, subject: AdminSubject): Promise<AdminServer> {
  const server = createServer((request, response) => respond(subject, request, response))
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) =>
      reject(
        new ControlPlaneError('io', `admin.address ${address}:${port} cannot be listened on: ${messageOf(error)}`),
      ),
    )
    server.listen({ host: address, port }, resolve)
  })
  server.on('error', (error) => subject.context.log.warn({ err: error }, 'the admin port has failed'))
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function respond(subject: AdminSubject, request: IncomingMessage, response: ServerResponse): void {
  request.resume()
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://admin')
  const page = Object.hasOwn(pages, pathname) ? pages[pathname] : undefined
  const { status = 200, type = 'text/plain; charset=UTF-8', body } = page?.(subject, searchParams) ?? help(pathname)
  response.writeHead(status, {
    'content-type': type,
    'cache-control': 'no-cache, max-age=0',
    'x-content-type-options': 'nosniff',
  })
  response.end(request.method === 'HEAD' ? undefined : body)
}

function help(path: string): Answer {
  const list = Object.keys(pages).map((name) => `  ${name}\n`)
  const body = `admin commands are:\n${list.join('')}`
  return path === '/' || path === '/help' ? { body } : { status: 404, body: `invalid path. ${body}` }
}

function showStats(stats: StatStore, query: URLSearchParams): Answer {
  const format = query.get('format')
  if (format === 'prometheus') return showPrometheus(stats, query)
  const question = questionOf(query)
  if (question === undefined) return { status: 400, body: 'Invalid re2 regex\n' }
  return format === 'json' ? json(statsJson(stats, question)) : { body: statsText(stats, question) }
}

function showPrometheus(stats: StatStore, query: URLSearchParams): Answer {
  const question = questionOf(query)
  if (question === undefined) return { status: 400, body: 'Invalid re2 regex\n' }
  return { body: prometheusText(stats, question.isWanted) }
}

const statTypes = ['All', 'Counters', 'Gauges', 'Histograms', 'TextReadouts'] as const

/** Undefined where the filter is no regular expression. */
function questionOf(query: URLSearchParams): StatsQuestion | undefined {
  const filter = query.get('filter')
  if (filter !== null && !isRegex(filter)) return undefined
  const isWanted = (name: string): boolean => filter === null || matchesWhole(`(?s:.*)(?:${filter})(?s:.*)`, name)
  const type = statTypes.find((name) => name === query.get('type')) ?? 'All'
  return { isWanted, type, isUsedOnly: query.has('usedonly') }
}

function showListeners({ listeners }: ListenerManager, query: URLSearchParams): Answer {
  const all = [...listeners.values()].map(({ name, address: { ip, port } }) => ({ name, ip, port }))
  if (query.get('format') === 'json') {
    return json({
      listener_statuses: all.map(({ name, ip, port }) => ({
        name,
        local_address: { socket_address: { address: ip, port_value: port } },
      })),
    })
  }
  const lines = all.map(({ name, ip, port }) => `${name}::${hostPort(ip, port)}\n`)
  return { body: lines.join('') }
}

function serverInfo({ bootstrap, context, isLive, startedMs }: AdminSubject): object {
  const uptime = `${Math.floor((context.clock.now() - startedMs) / 1000)}s`
  return {
    version: 'fairlead reference proxy',
    state: isLive ? 'LIVE' : 'INITIALIZING',
    uptime_current_epoch: uptime,
    uptime_all_epochs: uptime,
    node: bootstrap.content['node'] ?? {},
  }
}

function showRuntime({ layers, entries }: LayeredRuntime): object {
  return {
    layers: layers.map(({ name }) => name),
    entries: Object.fromEntries(
      [...entries].map(([key, value]) => [key, { final_value: typeof value === 'object' ? value : String(value) }]),
    ),
  }
}
