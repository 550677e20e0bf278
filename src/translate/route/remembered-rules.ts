import type { Rule } from '../../config/kinds/route-form.ts'
import type { ServiceFacet, ServiceFacets } from '../contract.ts'
import type { EnvoyJson } from '../envoy-json.ts'
import { type NamedRule, type RouteContext, type RuleRoutes, routesOfRule } from './route-json.ts'

/** What a rule became, and all that it was made of beside the rule itself. */
interface Remembered {
  readonly key: string
  readonly facets: ReadonlyMap<string, ServiceFacet | undefined>
  readonly routes: RuleRoutes
}

/** One rule is in as many route configurations as its Route is attached to; of more than that the oldest is forgotten. */
const formsAtMost = 8

const remembered = new WeakMap<Rule, Remembered[]>()

/** A context, and the text of all of it but the Services. */
export interface KeyedContext extends RouteContext {
  readonly key: string
}

export function keyedContext(context: RouteContext): KeyedContext {
  return { ...context, key: JSON.stringify([context.defaults, context.side, context.httpsPort]) }
}

/**
 * The routes of a rule, the same object as long as the rule, its context and the Services that it asks for are the same:
 * a change of one Route among thousands costs that one.
 */
export function rememberedRoutes(named: NamedRule, context: KeyedContext): RuleRoutes {
  const { rule, name, from } = named
  const key = `${name} ${from.document.key} ${from.path} ${context.key}`
  const forms = remembered.get(rule) ?? []
  const known = forms.find((one) => one.key === key)
  if (known !== undefined && isUnchanged(known.facets, context.services)) return known.routes
  const facets = new Map<string, ServiceFacet | undefined>()
  const services: ServiceFacets = {
    get(service) {
      const facet = context.services.get(service)
      facets.set(service, facet)
      return facet
    },
  }
  const routes = routesOfRule(named, { ...context, services })
  remembered.set(rule, [...forms.filter((one) => one !== known), { key, facets, routes }].slice(-formsAtMost))
  return routes
}

/** Every one is asked for, so that whoever keeps account of what was asked sees them all. */
function isUnchanged(facets: Remembered['facets'], services: ServiceFacets): boolean {
  let isSame = true
  for (const [name, facet] of facets) if (services.get(name) !== facet) isSame = false
  return isSame
}

interface RememberedHost {
  readonly key: string
  readonly rules: readonly RuleRoutes[]
  readonly json: EnvoyJson
}

const hosts = new WeakMap<RuleRoutes, RememberedHost[]>()

/** The virtual host that `make` makes of some rules, the same object as long as they and `key` are the same. */
export function rememberedHost(key: string, rules: readonly RuleRoutes[], make: () => EnvoyJson): EnvoyJson {
  const [first] = rules
  if (first === undefined) return make()
  const forms = hosts.get(first) ?? []
  const known = forms.find((one) => one.key === key)
  if (known?.rules.length === rules.length && known.rules.every((rule, index) => rule === rules[index]))
    return known.json
  const json = make()
  hosts.set(first, [...forms.filter((one) => one !== known), { key, rules, json }].slice(-formsAtMost))
  return json
}
