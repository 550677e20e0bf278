import type { KindDocument } from '../../config/kinds/kind-document.ts'
import type { RouteForm, Rule } from '../../config/kinds/route-form.ts'
import type { PlacedProblem } from '../build-generated.ts'
import type { RouteConfigurationInput, RouteConfigurationOutput, ServiceFacet } from '../contract.ts'
import { anyone, type EnvoyJson, sharedJson } from '../envoy-json.ts'
import { clusterName, routeName, virtualHostName } from '../names.ts'
import { clusterOf } from './fallback.ts'
import { longestTry, timeoutOf } from './forward-json.ts'
import { servedHosts } from './host-pattern.ts'
import { mergeRules } from './merge-rules.ts'
import { protocolProblems } from './protocol-problems.ts'
import { keyedContext, rememberedHost, rememberedRoutes } from './remembered-rules.ts'
import { retryJson } from './retry-json.ts'
import type { NamedRule, RuleRoutes } from './route-json.ts'
import { type RankedRule, ruleConflicts } from './rule-conflicts.ts'

/** The route configuration of a listener, or of the sidecars: a virtual host for each host, with the rules of all its Routes. */
export function buildRouteConfiguration(input: RouteConfigurationInput): RouteConfigurationOutput {
  const { name, routes, services, defaults, side, httpsPort } = input
  const context = keyedContext({ services, defaults, side, httpsPort })
  const built = new Map<string, RuleRoutes>()
  const routesOf = (rule: NamedRule): RuleRoutes => {
    const known = built.get(rule.name) ?? rememberedRoutes(rule, context)
    built.set(rule.name, known)
    return known
  }
  const tables = tablesOf(input).map(({ hosts, attached }) => ({ hosts, rules: mergedRules(attached) }))
  const shown = tables.map(({ hosts, rules }) => ruledHost(hosts, rules.map(routesOf), input))
  const taken = new Set(tables.flatMap(({ hosts }) => hosts))
  const implicit = implicitRules(input, taken)
  const unclaimed = implicit.hosts.map(({ host, rule }) => ruledHost([host], [routesOf(rule)], input))
  const rest = (input.others ?? []).flatMap(({ hosts, routes: own, retry }) => {
    const free = hosts.filter((host) => !taken.has(host))
    return free.length === 0 ? [] : [sharedJson(virtualHost(free, own, retry))]
  })
  const results = [...built.values()]
  const longestBody = Math.max(0, ...results.map((one) => one.longestBody))
  const used = new Set(tables.flatMap(({ rules }) => rules.map(({ from }) => from.document as KindDocument<RouteForm>)))
  return {
    json: {
      name,
      virtual_hosts: [...shown, ...unclaimed, ...rest],
      // A plain `cart` would answer 404 to `Host: cart:8080`.
      ignore_port_in_host_matching: true,
      // The server has checked them, and Envoy would ask for an order that the protocol does not promise.
      validate_clusters: false,
      most_specific_header_mutations_wins: true,
      // Envoy's own limit is 4 KiB.
      max_direct_response_body_size_bytes: longestBody > envoysLongestBody ? longestBody : undefined,
    },
    filters: new Set(results.flatMap(({ filters }) => filters)),
    fallbacks: [...new Map(results.flatMap(({ fallbacks }) => fallbacks).map((one) => [one.name, one])).values()],
    clusters: [...new Set([...[...used].flatMap(clustersOf), ...implicit.hosts.map((one) => one.cluster)])].sort(),
    problems: [
      ...ruleConflicts(tables.map(({ rules }) => rules.map((rule) => ranked(rule, routesOf(rule))))),
      ...implicit.problems,
      ...routes.filter((route) => used.has(route)).flatMap((route) => protocolProblems(route, services)),
    ],
  }
}

const envoysLongestBody = 4096

function virtualHost(hosts: readonly string[], routes: readonly EnvoyJson[], retry?: EnvoyJson): EnvoyJson {
  return { name: virtualHostName(hosts[0] as string), domains: [...hosts], routes, retry_policy: retry }
}

/** The retries that most routes have stand once. */
function ruledHost(
  hosts: readonly string[],
  rules: readonly RuleRoutes[],
  { defaults, side }: Pick<RouteConfigurationInput, 'defaults' | 'side'>,
): EnvoyJson {
  const longest = longestTry(side, timeoutOf({}, false, defaults))
  return rememberedHost(JSON.stringify([hosts, defaults.retry, longest]), rules, () => {
    const retry = rules.some((rule) => rule.isForwarding)
      ? retryJson({ own: undefined, inherited: defaults.retry, isGrpc: false, longest })
      : undefined
    return virtualHost(
      hosts,
      rules.flatMap(({ routes }) => routes),
      retry,
    )
  })
}

/** Hosts with the Routes that are for them: those with the same ones stand together. */
function tablesOf({ routes, hosts }: RouteConfigurationInput): readonly {
  readonly hosts: readonly string[]
  readonly attached: readonly KindDocument<RouteForm>[]
}[] {
  const byHost = new Map<string, KindDocument<RouteForm>[]>()
  for (const route of routes) {
    for (const host of servedHosts(route.form.hosts, hosts)) {
      const attached = byHost.get(host)
      if (attached === undefined) byHost.set(host, [route])
      else attached.push(route)
    }
  }
  const tables = new Map<string, { readonly hosts: string[]; readonly attached: KindDocument<RouteForm>[] }>()
  for (const [host, attached] of [...byHost].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const key = attached
      .map(({ form }) => form.name)
      .sort()
      .join(' ')
    const table = tables.get(key)
    if (table === undefined) tables.set(key, { hosts: [host], attached })
    else table.hosts.push(host)
  }
  return [...tables.values()]
}

function mergedRules(routes: readonly KindDocument<RouteForm>[]): readonly (NamedRule & { readonly route: string })[] {
  return mergeRules(routes).map(({ route, rule, index }) => ({
    rule,
    name: routeName(route.form.name, rule.name ?? index),
    from: { document: route, path: `rules[${index}]` },
    route: route.form.name,
  }))
}

function ranked({ name, from, route }: NamedRule & { readonly route: string }, { parts }: RuleRoutes): RankedRule {
  return { name, route, from, parts }
}

interface ImplicitRules {
  readonly hosts: readonly { readonly host: string; readonly cluster: string; readonly rule: NamedRule }[]
  readonly problems: readonly PlacedProblem[]
}

/** Services that are reached by their names: of two that go by one name the first has it. */
function implicitRules({ implicit }: RouteConfigurationInput, taken: Set<string>): ImplicitRules {
  const owners = new Map<string, ServiceFacet>()
  const hosts: ImplicitRules['hosts'][number][] = []
  const problems: PlacedProblem[] = []
  for (const facet of implicit.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const rule = implicitRule(facet)
    for (const host of facet.hosts) {
      const owner = owners.get(host)
      if (owner !== undefined) problems.push(sameHost(host, owner, facet))
      if (taken.has(host)) continue
      taken.add(host)
      owners.set(host, facet)
      hosts.push({ host, cluster: clusterName(facet.name), rule: { rule, name: facet.name, from: anyone } })
    }
  }
  return { hosts, problems }
}

const implicitOnes = new WeakMap<ServiceFacet, Rule>()

/** Made once, so that what it becomes is remembered. */
function implicitRule(facet: ServiceFacet): Rule {
  const known = implicitOnes.get(facet)
  if (known !== undefined) return known
  const rule: Rule = { match: [], action: { kind: 'forward', backends: [{ service: facet.name }] } }
  implicitOnes.set(facet, rule)
  return rule
}

function sameHost(host: string, owner: ServiceFacet, facet: ServiceFacet): PlacedProblem {
  return {
    severity: 'warning',
    code: 'conflict',
    at: { key: facet.key, path: host === facet.name ? 'name' : 'hosts' },
    message: `The Services ${owner.name} and ${facet.name} both go by ${host}, and ${owner.name} gets the requests.`,
    fix: `Take ${host} from \`hosts\` of one of them, or write a Route for it.`,
  }
}

/** The clusters that a Route names, also those that get nothing at present. */
function clustersOf({ form }: KindDocument<RouteForm>): readonly string[] {
  return form.rules.flatMap(({ action, mirror = [], fallback }) =>
    [
      ...(action.kind === 'forward' ? action.backends : []),
      ...mirror,
      ...(fallback === undefined ? [] : [fallback]),
    ].map(clusterOf),
  )
}
