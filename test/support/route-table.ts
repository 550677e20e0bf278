/** Tables of routes by chance, over so few words that rules collide; and requests that hit, or miss by little. */
import { notYet } from '../../src/config/kinds/not-yet.ts'
import type { Random } from './random.ts'

export type TextSpec = { exact: string } | { prefix: string } | { suffix: string } | { regex: string }
export type ValueSpec = string[] | { not: string[] } | { present: boolean } | TextSpec

/** A match as a document has it. */
export interface MatchSpec {
  path?: TextSpec[]
  methods?: string[]
  headers?: Record<string, ValueSpec>
  query?: Record<string, ValueSpec>
  cookies?: Record<string, ValueSpec>
  grpc?: { service: string; method?: string }
  percent?: number
}

export interface RuleSpec {
  match: MatchSpec[]
  /** Services by number: the arms, with their weights. */
  backends?: { service: string; weight: number }[]
  respond?: { status: number; body: string }
  redirect?: { scheme?: 'https'; host?: string; port?: number; path?: string; prefix?: string; status?: number }
  rewrite?: { prefix?: string; path?: string; host?: string; regex?: { pattern: string; with: string } }
}

export interface RouteSpec {
  name: string
  hosts: string[]
  rules: RuleSpec[]
}

/** What one listener serves. */
export interface RouteTable {
  /** Of the listener; undefined for every host. */
  hosts: string[] | undefined
  routes: RouteSpec[]
  /** As many as the rules need, each told by its number. */
  services: string[]
}

export interface TableRequest {
  readonly method: string
  readonly host: string
  readonly path: string
  readonly headers: readonly (readonly [string, string])[]
}

const isBuilt = (field: string): boolean => !notYet.fields.has(field)

const hostWords = ['a.test', 'b.test', 'x.a.test', '*.test', '*.a.test', '*']
const paths = ['/', '/a', '/ab', '/a/b', '/b', '/a/b/c', '/B', '/a.b']
const prefixes = ['/', '/a', '/a/', '/a/b', '/b']
const regexes = ['/a.*', '/[ab]', '/(a|b)/b', '/.+']
const suffixes = ['b', '/b', 'xb', 'c']
const methods = ['GET', 'POST', 'PUT']
const values = ['a', 'b', 'ab', 'A']
const grpcService = 'a.B'

export function randomTable(random: Random, name: string): RouteTable {
  const table: RouteTable = {
    hosts: random.pick([undefined, undefined, ['*.test'], ['a.test', '*.a.test']]),
    routes: [],
    services: [],
  }
  const count = 1 + random.below(4)
  for (let index = 0; index < count; index++) {
    table.routes.push({
      name: `${name}-${random.pick(['p', 'q', 'r'])}${index}`,
      hosts: random.some(hostWords, 1 + random.below(3)),
      rules: Array.from({ length: 1 + random.below(3) }, () => randomRule(random, table)),
    })
  }
  return table
}

function randomRule(random: Random, table: RouteTable): RuleSpec {
  const match = Array.from({ length: random.below(3) }, () => randomMatch(random))
  const rule: RuleSpec = { match }
  const kind = random.below(8)
  if (kind === 0 && isBuilt('Rule.respond')) {
    rule.respond = { status: random.pick([200, 404, 503]), body: `said ${random.below(1000)}` }
    return rule
  }
  const havePrefix = match.length > 0 && match.every(({ path }) => path?.every((text) => 'prefix' in text) === true)
  if (kind === 1 && isBuilt('Rule.redirect')) {
    rule.redirect = randomRedirect(random, havePrefix)
    return rule
  }
  rule.backends = Array.from({ length: random.pick([1, 1, 1, 2]) }, () => {
    const service = `${table.services.length}`
    table.services.push(service)
    return { service, weight: random.pick([1, 1, 3, 0]) }
  })
  if (isBuilt('Rule.rewrite') && random.chance(0.3)) rule.rewrite = randomRewrite(random, havePrefix)
  return rule
}

function randomRedirect(random: Random, havePrefix: boolean): NonNullable<RuleSpec['redirect']> {
  const kinds = [
    { scheme: 'https' as const, port: 8443 },
    { host: 'other.test' },
    { host: 'other.test', port: 81 },
    { path: '/elsewhere' },
    ...(havePrefix ? [{ prefix: '/new' }, { prefix: '/' }] : []),
  ]
  return { ...random.pick(kinds), status: random.pick([301, 302, 303, 307, 308]) }
}

function randomRewrite(random: Random, havePrefix: boolean): NonNullable<RuleSpec['rewrite']> {
  return random.pick([
    { host: 'inner.test' },
    { path: '/all' },
    { regex: { pattern: '/(a|b)', with: '/\\1\\1' } },
    ...(havePrefix ? [{ prefix: '/' }, { prefix: '/new' }, { prefix: '/new/' }] : []),
  ])
}

function randomMatch(random: Random): MatchSpec {
  const match: MatchSpec = {}
  if (isBuilt('Match.grpc') && random.chance(0.08)) {
    match.grpc = { service: grpcService, ...(random.chance(0.5) && { method: 'C' }) }
  } else if (random.chance(0.8)) {
    match.path = Array.from({ length: random.pick([1, 1, 2]) }, () => randomPath(random))
  }
  if (isBuilt('Match.methods') && random.chance(0.25)) match.methods = random.some(methods, 1 + random.below(2))
  if (isBuilt('Match.headers') && random.chance(0.3)) match.headers = randomValues(random, ['x-a', 'x-b'])
  if (isBuilt('Match.query') && random.chance(0.25)) match.query = randomValues(random, ['p', 'q'])
  if (isBuilt('Match.cookies') && random.chance(0.2)) match.cookies = randomValues(random, ['c', 'd'])
  if (isBuilt('Match.percent') && random.chance(0.08)) match.percent = random.pick([0, 30, 100])
  return match
}

function randomPath(random: Random): TextSpec {
  const kind = random.below(6)
  if (kind === 0 && isBuilt('TextMatch.regex')) return { regex: random.pick(regexes) }
  if (kind === 1 && isBuilt('TextMatch.suffix')) return { suffix: random.pick(suffixes) }
  return kind < 4 ? { prefix: random.pick(prefixes) } : { exact: random.pick(paths) }
}

function randomValues(random: Random, names: readonly string[]): Record<string, ValueSpec> {
  return Object.fromEntries(random.some(names, random.pick([1, 1, 2])).map((name) => [name, randomValue(random)]))
}

function randomValue(random: Random): ValueSpec {
  switch (random.below(8)) {
    case 0:
      return { present: true }
    case 1:
      return { present: false }
    case 2:
      return { not: random.some(values, 1 + random.below(2)) }
    case 3:
      return { prefix: random.pick(values) }
    case 4:
      return isBuilt('TextMatch.suffix') ? { suffix: random.pick(values) } : [random.pick(values)]
    case 5:
      return isBuilt('TextMatch.regex') ? { regex: random.pick(['a|b', 'a.*', '[aA]+']) } : [random.pick(values)]
    default:
      return random.some(values, 1 + random.below(2))
  }
}

/** Most of them mutated from what some rule wants. */
export function randomRequest(random: Random, table: RouteTable): TableRequest {
  const route = random.pick(table.routes)
  const rule = random.pick(route.rules)
  const aim = random.chance(0.8) && rule.match.length > 0 ? random.pick(rule.match) : {}
  const isAimed = (): boolean => random.chance(0.85)
  const headers: (readonly [string, string])[] = []
  for (const [name, wanted] of entriesFor(random, aim.headers, ['x-a', 'x-b'], isAimed)) headers.push([name, wanted])
  const cookies = entriesFor(random, aim.cookies, ['c', 'd'], isAimed).map(([name, value]) => `${name}=${value}`)
  if (cookies.length > 0) headers.push(['cookie', cookies.join('; ')])
  const query = entriesFor(random, aim.query, ['p', 'q'], isAimed).map(([name, value]) => `${name}=${value}`)
  const isGrpc = aim.grpc !== undefined ? isAimed() : random.chance(0.03)
  if (isGrpc)
    headers.push(['content-type', random.pick(['application/grpc', 'application/grpc+proto', 'application/json'])])
  const path =
    aim.grpc !== undefined && isAimed() ? `/${grpcService}/${aim.grpc.method ?? 'D'}` : pathFor(random, aim, isAimed)
  return {
    method: isGrpc ? 'POST' : aim.methods !== undefined && isAimed() ? random.pick(aim.methods) : random.pick(methods),
    host: hostFor(random, random.pick(route.hosts)),
    path: query.length === 0 ? path : `${path}?${query.join('&')}`,
    headers,
  }
}

function hostFor(random: Random, pattern: string): string {
  const wanted = random.chance(0.85) ? pattern : random.pick(hostWords)
  const host = wanted.replace('*', random.pick(['x', 'a', 'x.a']))
  const cased = random.chance(0.15) ? host.toUpperCase() : host
  return random.chance(0.2) ? `${cased}:8080` : cased
}

function pathFor(random: Random, { path }: MatchSpec, isAimed: () => boolean): string {
  const plain = random.pick(paths)
  if (path === undefined || !isAimed()) return untidy(random, plain)
  const text = random.pick(path)
  if ('exact' in text) return untidy(random, text.exact)
  if ('prefix' in text) return untidy(random, `${text.prefix}${random.pick(['', '', '/', '/x', 'x', '/b'])}`)
  if ('suffix' in text) return untidy(random, `${random.pick(['/', '/x', '/a/'])}${text.suffix}`)
  return untidy(random, random.pick(['/a', '/ab', '/b', '/a/b', '/b/b', '/c']))
}

/** What a proxy has to tidy up first. */
function untidy(random: Random, path: string): string {
  switch (random.below(16)) {
    case 0:
      return `/.${path}`
    case 1:
      return `/x/..${path}`
    case 2:
      return `/${path}`
    case 3:
      return `${path}/.`
    default:
      return path
  }
}

function entriesFor(
  random: Random,
  wanted: Record<string, ValueSpec> | undefined,
  names: readonly string[],
  isAimed: () => boolean,
): readonly (readonly [string, string])[] {
  return names.flatMap((name): (readonly [string, string])[] => {
    const spec = wanted?.[name]
    if (spec === undefined || !isAimed()) return random.chance(0.2) ? [[name, random.pick(values)]] : []
    const value = valueFor(random, spec)
    return value === undefined ? [] : [[name, value]]
  })
}

function valueFor(random: Random, spec: ValueSpec): string | undefined {
  if (Array.isArray(spec)) return random.pick(spec)
  if ('present' in spec) return spec.present ? random.pick(values) : undefined
  if ('not' in spec) return random.chance(0.5) ? undefined : random.pick(values)
  if ('prefix' in spec) return `${spec.prefix}${random.pick(['', 'b'])}`
  if ('suffix' in spec) return `${random.pick(['', 'a'])}${spec.suffix}`
  return random.pick(values)
}

/** What to put into the documents of a table beside its Routes. */
export interface TableGround {
  /** Of the gateway, and in front of the names of services. */
  readonly name: string
  readonly port: number
  readonly address: string
  readonly endpointOf: (service: string) => { readonly address: string; readonly port: number }
}

export const serviceName = (ground: Pick<TableGround, 'name'>, service: string): string => `${ground.name}-s${service}`

/** The documents, each as a file's text; JSON is YAML. */
export function documentsOfTable(table: RouteTable, ground: TableGround): string {
  const { hosts, routes, services } = table
  const documents = [
    {
      kind: 'Gateway',
      name: ground.name,
      nodes: { cluster: 'edge' },
      listeners: [
        { name: 'http', address: ground.address, port: ground.port, protocol: 'http', ...(hosts && { hosts }) },
      ],
    },
    ...services.map((service) => ({
      kind: 'Service',
      name: serviceName(ground, service),
      endpoints: [ground.endpointOf(service)],
    })),
    ...routes.map((route) => ({
      kind: 'Route',
      ...route,
      gateways: [ground.name],
      rules: route.rules.map(({ match, backends, ...rest }) => ({
        ...(match.length > 0 && { match }),
        ...(backends && {
          backends: backends.map(({ service, weight }) => ({ service: serviceName(ground, service), weight })),
        }),
        ...rest,
      })),
    })),
  ]
  return documents.map((document) => JSON.stringify(document)).join('\n---\n')
}

/** Smaller tables that are worth a try, the boldest first. */
export function smallerTables(table: RouteTable): readonly RouteTable[] {
  const without = <T>(items: readonly T[], index: number): T[] => items.filter((_, at) => at !== index)
  const withRoute = (at: number, route: RouteSpec): RouteTable => ({
    ...table,
    routes: table.routes.map((one, index) => (index === at ? route : one)),
  })
  const withRule = (at: number, ruleAt: number, rule: RuleSpec): RouteTable => {
    const route = table.routes[at] as RouteSpec
    return withRoute(at, { ...route, rules: route.rules.map((one, index) => (index === ruleAt ? rule : one)) })
  }
  return [
    ...(table.hosts === undefined ? [] : [{ ...table, hosts: undefined }]),
    ...table.routes.map((_, index) => ({ ...table, routes: without(table.routes, index) })),
    ...table.routes.flatMap((route, at) => [
      ...(route.rules.length > 1
        ? route.rules.map((_, index) => withRoute(at, { ...route, rules: without(route.rules, index) }))
        : []),
      ...(route.hosts.length > 1
        ? route.hosts.map((_, index) => withRoute(at, { ...route, hosts: without(route.hosts, index) }))
        : []),
      ...route.rules.flatMap((rule, ruleAt) => [
        ...rule.match.map((_, index) => withRule(at, ruleAt, { ...rule, match: without(rule.match, index) })),
        ...rule.match.flatMap((match, matchAt) =>
          Object.keys(match).map((field) => {
            const { [field as keyof MatchSpec]: _, ...rest } = match
            return withRule(at, ruleAt, {
              ...rule,
              match: rule.match.map((one, index) => (index === matchAt ? rest : one)),
            })
          }),
        ),
      ]),
    ]),
  ]
}
