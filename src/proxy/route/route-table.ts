import { ConfigRejection } from '../config/config-rejection.ts'
import { readDataSource } from '../config/data-source.ts'
import { FieldReader, type JsonObject, type Read, type ReadByType } from '../config/field-reader.ts'
import { type ForwardAction, type Mirror, readForwardAction, readMirror } from './forward-action.ts'
import { type CompileFormat, type HeaderChanges, readHeaderChanges } from './header-changes.ts'
import { HostIndex, withoutPort } from './host-index.ts'
import { endOfPath } from './path-rewrite.ts'
import { type Redirect, readRedirect } from './redirect.ts'
import { type RetryPolicy, readRetryPolicy } from './retry-policy.ts'
import { type RouteMatch, type RouteQuestion, readRouteMatch } from './route-match.ts'

/** A route configuration in use. */
export interface RouteTable {
  readonly name: string
  readonly level: Level
  /** The levels' header changes apply from the route configuration to the route, so that the route's are the last. */
  readonly mostSpecificWins: boolean
  /** Undefined for a configuration that does not say. */
  readonly validatesClusters: boolean | undefined
  /** All that its routes name, for `validate_clusters`. */
  readonly clusterNames: ReadonlySet<string>
  /** A `virtualHost` without a route: no route of it matches. Undefined: no virtual host does. */
  find(question: RouteQuestion): RouteFound | undefined
}

export interface RouteFound {
  readonly table: RouteTable
  readonly virtualHost: VirtualHost
  readonly route: Route | undefined
}

/** What a route configuration, a virtual host and a route all have. */
export interface Level {
  readonly request: HeaderChanges | undefined
  readonly response: HeaderChanges | undefined
  /** By the name of the filter. */
  readonly perFilter: ReadonlyMap<string, unknown>
  /** Undefined: the level above says. */
  readonly mirrors: readonly Mirror[] | undefined
}

export interface VirtualHost {
  readonly name: string
  readonly level: Level
  readonly retry: RetryPolicy | undefined
  readonly requiresTls: 'NONE' | 'EXTERNAL_ONLY' | 'ALL'
  /** `x-envoy-attempt-count` for the upstream, or for the client. */
  readonly sendsAttemptCount: boolean
  readonly answersAttemptCount: boolean
  readonly bufferLimit: number | undefined
}

export interface Route {
  readonly name: string
  readonly level: Level
  readonly action: RouteAction
  readonly bufferLimit: number | undefined
}

export type RouteAction = ForwardAction | Redirect | DirectResponse

export interface DirectResponse {
  readonly kind: 'respond'
  readonly status: number
  readonly body: Buffer | undefined
}

/** `typed_per_filter_config` in the general form, which may also switch a filter off or on. */
export class FilterSwitch {
  readonly isDisabled: boolean
  readonly config: unknown
  constructor(isDisabled: boolean, config: unknown) {
    this.isDisabled = isDisabled
    this.config = config
  }
}

export interface RouteTableOptions {
  /** What filters take of `typed_per_filter_config`, by the full name of the message. */
  readonly perRoute: ReadByType<unknown>
  readonly compile: CompileFormat
}

/**
 * `envoy.config.route.v3.RouteConfiguration`.
 * @throws ConfigRejection for what is not supported, and for two virtual hosts of one domain
 */
export function readRouteTable(content: JsonObject, options: RouteTableOptions): RouteTable {
  return FieldReader.read(content, routeTableReader(options))
}

/** The same of one that stands within a connection manager's configuration. */
export function routeTableReader(options: RouteTableOptions): Read<RouteTable> {
  const all = withSwitch(options)
  return (fields) => routeTable(fields, all)
}

function withSwitch({ perRoute, compile }: RouteTableOptions): RouteTableOptions {
  const readSwitch = (fields: FieldReader): FilterSwitch => {
    fields.ignore('is_optional', 'what is not known is refused')
    return new FilterSwitch(fields.flag('disabled'), fields.any('config', perRoute))
  }
  return { compile, perRoute: { ...perRoute, 'envoy.config.route.v3.FilterConfig': readSwitch } }
}

interface Known {
  readonly host: VirtualHost
  readonly routes: readonly { readonly match: RouteMatch; readonly route: Route }[]
}

function routeTable(fields: FieldReader, options: RouteTableOptions): RouteTable {
  fields.ignore('metadata', 'nothing of it is asked for')
  const name = fields.string('name')
  const ignoresPort = fields.flag('ignore_port_in_host_matching')
  const dropsParameters = fields.flag('ignore_path_parameters_in_path_matching')
  const bodyLimit = fields.number('max_direct_response_body_size_bytes') ?? 4096
  const clusterNames = new Set<string>()
  const index = new HostIndex<Known>()
  const level = readLevel(fields, options)
  noteMirrors(level, clusterNames)
  fields.list('virtual_hosts', (host) => {
    const known = readVirtualHost(host, options, bodyLimit, clusterNames)
    for (const domain of host.strings('domains')) {
      if (!index.add(domain, known)) {
        throw new ConfigRejection(
          `Only unique values for domains are permitted. Duplicate entry of domain ${domain} in route ${name}`,
        )
      }
    }
  })
  const table: RouteTable = {
    name,
    level,
    mostSpecificWins: fields.flag('most_specific_header_mutations_wins'),
    validatesClusters: fields.has('validate_clusters') ? fields.flag('validate_clusters') : undefined,
    clusterNames,
    find(question) {
      const authority = question.headers.get(':authority') ?? ''
      const known = index.find(ignoresPort ? withoutPort(authority) : authority)
      return known && { table, virtualHost: known.host, route: findRoute(known, question, dropsParameters) }
    },
  }
  return table
}

function findRoute({ routes }: Known, question: RouteQuestion, dropsParameters: boolean): Route | undefined {
  const whole = question.headers.get(':path') ?? ''
  const end = endOfPath(whole)
  const isConnect = question.headers.get(':method') === 'CONNECT'
  const query = whole[end] === '?' ? (whole.slice(end + 1).split('#', 1)[0] ?? '') : ''
  const path = dropsParameters ? (whole.slice(0, end).split(';', 1)[0] ?? '') : whole.slice(0, end)
  for (const { match, route } of routes) {
    if (isConnect !== (match.path.kind === 'connect') || !match.path.test(path)) continue
    if (match.tests.every((test) => test(question, path, query))) return route
  }
  return undefined
}

function readLevel(fields: FieldReader, { compile, perRoute }: RouteTableOptions): Level {
  return {
    request: readHeaderChanges(fields, 'request', compile),
    response: readHeaderChanges(fields, 'response', compile),
    perFilter: fields.anyMap('typed_per_filter_config', perRoute),
    mirrors: fields.has('request_mirror_policies') ? fields.list('request_mirror_policies', readMirror) : undefined,
  }
}

function readVirtualHost(
  fields: FieldReader,
  options: RouteTableOptions,
  bodyLimit: number,
  clusterNames: Set<string>,
): Known {
  fields.ignore('metadata', 'nothing of it is asked for')
  fields.strings('domains')
  const level = readLevel(fields, options)
  noteMirrors(level, clusterNames)
  const host: VirtualHost = {
    name: fields.string('name'),
    level,
    retry: fields.message('retry_policy', readRetryPolicy),
    requiresTls: fields.choice('require_tls', ['NONE', 'EXTERNAL_ONLY', 'ALL']),
    sendsAttemptCount: fields.flag('include_request_attempt_count'),
    answersAttemptCount: fields.flag('include_attempt_count_in_response'),
    bufferLimit: fields.number('per_request_buffer_limit_bytes'),
  }
  return {
    host,
    routes: fields.list('routes', (route) => readRoute(route, options, bodyLimit, clusterNames)),
  }
}

function readRoute(
  fields: FieldReader,
  options: RouteTableOptions,
  bodyLimit: number,
  clusterNames: Set<string>,
): { readonly match: RouteMatch; readonly route: Route } {
  fields.ignore('metadata', 'nothing of it is asked for')
  fields.ignore('decorator', 'it traces nothing')
  fields.ignore('tracing', 'it traces nothing')
  const match = fields.message('match', readRouteMatch) ?? { path: nothing, tests: [] }
  const action: RouteAction = fields.message('route', (route) =>
    readForwardAction(route, match.path, options.compile, options.perRoute),
  ) ??
    fields.message('redirect', (redirect) => readRedirect(redirect, match.path)) ??
    fields.message('direct_response', (response) => readDirectResponse(response, bodyLimit)) ?? {
      kind: 'respond',
      status: 404,
      body: undefined,
    }
  // A route's mirrors are its action's.
  const level: Level = {
    request: readHeaderChanges(fields, 'request', options.compile),
    response: readHeaderChanges(fields, 'response', options.compile),
    perFilter: fields.anyMap('typed_per_filter_config', options.perRoute),
    mirrors: action.kind === 'forward' ? action.mirrors : undefined,
  }
  noteMirrors(level, clusterNames)
  if (action.kind === 'forward') noteClusters(action, clusterNames)
  const bufferLimit = fields.number('per_request_buffer_limit_bytes')
  return { match, route: { name: fields.string('name'), level, action, bufferLimit } }
}

const nothing = { kind: 'exact', length: 0, test: () => false } as const

function readDirectResponse(fields: FieldReader, bodyLimit: number): DirectResponse {
  const body = fields.message('body', readDataSource)
  if (body !== undefined && body.length > bodyLimit) {
    fields.refuse('body', `response body size is ${body.length} bytes; maximum is ${bodyLimit}`)
  }
  return { kind: 'respond', status: fields.number('status') ?? 0, body }
}

function noteMirrors({ mirrors = [] }: Level, names: Set<string>): void {
  for (const { cluster } of mirrors) if (cluster !== '') names.add(cluster)
}

function noteClusters({ cluster }: ForwardAction, names: Set<string>): void {
  if (cluster.kind === 'one') names.add(cluster.name)
  if (cluster.kind === 'weighted') for (const { name } of cluster.clusters) if (name !== '') names.add(name)
}
