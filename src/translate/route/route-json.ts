import type { RouteDefaults } from '../../config/kinds/common-form.ts'
import type { Match, Rule } from '../../config/kinds/route-form.ts'
import type { FallbackCluster, HttpFilterKind, ServiceFacets } from '../contract.ts'
import { at, type EnvoyJson, type SourcePlace, within } from '../envoy-json.ts'
import { filterSettings } from './filter-settings.ts'
import { forwardJson } from './forward-json.ts'
import { hashVariants } from './hash-json.ts'
import { headerFields } from './header-changes.ts'
import { type Fields, type MatchPart, matchesOf } from './match-json.ts'
import { redirectVariants } from './redirect-json.ts'
import { rewriteFields } from './rewrite-json.ts'

/** What the rules of one route configuration have in common. */
export interface RouteContext {
  readonly services: ServiceFacets
  readonly defaults: RouteDefaults
  readonly side: 'gateway' | 'sidecar'
  /** Where a redirect to https leads. */
  readonly httpsPort: number | undefined
}

/** A rule, what it is called, and where it stands. */
export interface NamedRule {
  readonly rule: Rule
  /** `cart/0` */
  readonly name: string
  readonly from: SourcePlace
}

export interface RuleRoutes {
  /** In the order in which Envoy asks them. */
  readonly routes: readonly EnvoyJson[]
  /** How the rule matches, for what is said of several together. */
  readonly parts: readonly MatchPart[]
  readonly filters: readonly HttpFilterKind[]
  readonly fallbacks: readonly FallbackCluster[]
  readonly longestBody: number
  readonly isForwarding: boolean
}

/** A form of the action for some of the requests that a part matches. */
interface Variant {
  readonly headers: readonly EnvoyJson[]
  /** Of the Route. */
  readonly fields: Fields
  readonly responseHeaders: readonly EnvoyJson[]
}

/** The routes of one rule: one for each path of each match, or more where what is done depends on the request. */
export function routesOfRule({ rule, name, from }: NamedRule, context: RouteContext): RuleRoutes {
  const nameOf = (part: number, of: number): string => (of > 1 ? `${name}/${part}` : name)
  const parts = matchesOf(rule.match, from, nameOf)
  const settings = filterSettings(rule, from)
  const { variantsOf, fallbacks } = actionOf(rule, context, from)
  const common: Fields = {
    ...headerFields('request', rule.headers?.request, within(from, 'headers.request')),
    ...headerFields('response', rule.headers?.response, within(from, 'headers.response')),
    typed_per_filter_config: Object.values(settings.fields).some((field) => field !== undefined)
      ? settings.fields
      : undefined,
  }
  const routes = parts.flatMap((part, index) =>
    variantsOf(part).map(({ headers, fields, responseHeaders }) => {
      const added = common['response_headers_to_add'] as readonly EnvoyJson[] | undefined
      const conditions = [...part.headers, ...headers]
      return at(from, {
        name: nameOf(index, parts.length),
        match: at(part.from, { ...part.fields, headers: conditions.length > 0 ? conditions : undefined }),
        ...fields,
        ...common,
        response_headers_to_add:
          responseHeaders.length > 0 ? [...(added ?? []), ...responseHeaders] : common['response_headers_to_add'],
      })
    }),
  )
  const longestBody = rule.action.kind === 'respond' ? Buffer.byteLength(rule.action.respond.body ?? '') : 0
  return {
    routes: [...preflights(rule, common, from, nameOf, variantsOf), ...routes],
    parts,
    filters: settings.filters,
    fallbacks,
    longestBody,
    isForwarding: rule.action.kind === 'forward',
  }
}

interface Action {
  readonly fallbacks: readonly FallbackCluster[]
  readonly variantsOf: (part: MatchPart) => readonly Variant[]
}

function actionOf(rule: Rule, context: RouteContext, from: SourcePlace): Action {
  const { action } = rule
  if (action.kind === 'respond') {
    const { status, body } = action.respond
    const place = within(from, 'respond')
    return always({
      direct_response: at(place, { status, body: body === undefined ? undefined : { inline_string: body } }),
    })
  }
  if (action.kind === 'redirect') {
    return {
      fallbacks: [],
      variantsOf: ({ prefix }) =>
        redirectVariants(action.redirect, prefix, from, context.httpsPort).map(({ headers, redirect }) => ({
          headers,
          fields: { redirect },
          responseHeaders: [],
        })),
    }
  }
  const { action: forward, fallbacks } = forwardJson(rule, context, from)
  // Envoy refuses weights whose sum is 0: where nobody has a share, nobody takes the request.
  if (forward === undefined) return always({ direct_response: at(within(from, 'backends'), { status: 503 }) })
  const own = action.backends.map(({ service }) => context.services.get(service)?.hash)
  const hash = rule.hash ?? own.find((one) => one !== undefined)
  return {
    fallbacks,
    variantsOf: ({ prefix }) =>
      hashVariants(hash, from).map(({ headers, action: hashing, responseHeaders }) => ({
        headers,
        fields: { route: { ...forward, ...rewriteFields(rule.rewrite, prefix, from), ...hashing } },
        responseHeaders,
      })),
  }
}

const always = (fields: Fields): Action => ({
  fallbacks: [],
  variantsOf: () => [{ headers: [], fields, responseHeaders: [] }],
})

/** A browser asks by OPTIONS before it sends another method, which a rule for that method would not hear. */
function preflights(
  rule: Rule,
  common: Fields,
  from: SourcePlace,
  nameOf: (part: number, of: number) => string,
  variantsOf: Action['variantsOf'],
): readonly EnvoyJson[] {
  if (rule.cors === undefined) return []
  const isDeaf = ({ methods }: Match): boolean => methods !== undefined && !methods.includes('OPTIONS')
  const asked = { name: 'access-control-request-method', present_match: true }
  const matches = rule.match.map((match): Match => (isDeaf(match) ? { ...match, methods: ['OPTIONS'] } : match))
  return matchesOf(matches, from, nameOf).flatMap((part, index, parts) => {
    const match = rule.match[part.match]
    const [variant] = variantsOf(part)
    if (match === undefined || variant === undefined || !isDeaf(match)) return []
    const name = nameOf(index, parts.length)
    const headers = [...part.headers, at(part.from, asked)]
    return [at(from, { name, match: at(part.from, { ...part.fields, headers }), ...variant.fields, ...common })]
  })
}
