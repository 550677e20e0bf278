import type { Backend } from '../../config/kinds/common-form.ts'
import type { Match, TextMatch } from '../../config/kinds/route-form.ts'
import type { ServiceFacets } from '../contract.ts'
import { routeDefaults } from '../defaults.ts'
import { durationJson } from '../duration-json.ts'
import { at, type EnvoyJson, type SourcePlace, within } from '../envoy-json.ts'
import { clusterName, routeName } from '../names.ts'
import type { PlacedRule } from './merge-rules.ts'

type Fields = Readonly<Record<string, EnvoyJson | undefined>>

/** The routes of one rule, one for each path of each match. */
export function routesOfRule(placed: PlacedRule, services: ServiceFacets, defaultTimeoutMs?: number): EnvoyJson[] {
  const { route, rule, index } = placed
  const from: SourcePlace = { document: route, path: `rules[${index}]` }
  const matches = matchesOf(rule.match, from)
  const action = actionOf(placed, services, from, defaultTimeoutMs)
  return matches.map((match, part) =>
    at(from, {
      name: routeName(route.form.name, rule.name ?? index, matches.length > 1 ? part : undefined),
      match,
      ...action,
    }),
  )
}

function matchesOf(matches: readonly Match[], from: SourcePlace): readonly EnvoyJson[] {
  if (matches.length === 0) return [{ prefix: '/' }]
  return matches.flatMap(({ path = [] }, index): EnvoyJson[] => {
    const place = within(from, `match[${index}]`)
    if (path.length === 0) return [at(place, { prefix: '/' })]
    return path.map((text, alternative) => at(within(place, `path[${alternative}]`), pathMatch(text)))
  })
}

function pathMatch(text: TextMatch): EnvoyJson {
  if ('exact' in text) return { path: text.exact }
  if ('prefix' in text) {
    // Envoy's own `prefix` would match /apiary for /api, and its separated one refuses a `/` at the end.
    const prefix = text.prefix.replace(/\/+$/, '')
    return prefix === '' ? { prefix: '/' } : { path_separated_prefix: prefix }
  }
  throw new Error('a path is matched by something that is not in this version')
}

function actionOf(
  { rule }: PlacedRule,
  services: ServiceFacets,
  from: SourcePlace,
  defaultTimeoutMs: number | undefined,
): Fields {
  if (rule.action.kind !== 'forward') throw new Error(`the action ${rule.action.kind} is not in this version`)
  const { backends } = rule.action
  const arms = backends.map((backend, index) => ({ backend, place: within(from, `backends[${index}]`) }))
  const weighted = arms.filter(({ backend }) => backend.weight !== 0)
  // Envoy refuses weights whose sum is 0; MODEL.md says what all zero means.
  if (weighted.length === 0) return { direct_response: { status: 503 } }
  const isGrpc = backends.every(({ service }) => services.get(service)?.protocol === 'grpc')
  const timeout = isGrpc ? '0s' : durationJson(defaultTimeoutMs ?? routeDefaults.timeoutMs.value)
  const [first, ...others] = weighted
  if (first !== undefined && others.length === 0)
    return { route: { cluster: at(first.place, nameOf(first.backend)), timeout } }
  const clusters = weighted.map(({ backend, place }) =>
    at(place, { name: nameOf(backend), weight: at(within(place, 'weight'), backend.weight ?? 1) }),
  )
  return { route: { weighted_clusters: { clusters }, timeout } }
}

const nameOf = ({ service, version }: Backend): string => clusterName(service, version)
