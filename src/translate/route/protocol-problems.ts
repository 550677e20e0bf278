import type { KindDocument } from '../../config/kinds/kind-document.ts'
import type { RouteForm, Rule } from '../../config/kinds/route-form.ts'
import type { PlacedProblem } from '../build-generated.ts'
import type { ServiceFacets } from '../contract.ts'
import { placeOf, type SourcePlace, within } from '../envoy-json.ts'
import { isGrpc } from './forward-json.ts'

/** What of a Route does not go with how the Services that it names are spoken to, and chosen from. */
export function protocolProblems(route: KindDocument<RouteForm>, services: ServiceFacets): readonly PlacedProblem[] {
  return route.form.rules.flatMap((rule, index) => {
    const from: SourcePlace = { document: route, path: `rules[${index}]` }
    return [
      ...strangers(rule, services, from),
      ...mixtures(rule, services, from),
      ...callMethods(rule, services, from),
      ...nothingHashed(rule, services, from),
    ]
  })
}

/** A Route is about HTTP, and its backends must speak it. */
function strangers(rule: Rule, services: ServiceFacets, from: SourcePlace): readonly PlacedProblem[] {
  const { action, mirror = [], fallback } = rule
  const backends = action.kind === 'forward' ? action.backends : []
  const named = [
    ...backends.map(({ service }, index) => [`backends[${index}].service`, service] as const),
    ...mirror.map(({ service }, index) => [`mirror[${index}].service`, service] as const),
    ...(fallback === undefined ? [] : [['fallback.service', fallback.service] as const]),
  ]
  return named.flatMap(([below, service]): PlacedProblem[] => {
    const protocol = services.get(service)?.protocol
    if (protocol !== 'tcp' && protocol !== 'tls') return []
    return [
      {
        severity: 'error',
        code: 'rule-violation',
        at: placeOf(within(from, below)),
        message: `The Service ${service} speaks \`${protocol}\`, and a Route is for HTTP.`,
        fix: 'Change its `protocol`, or reach it by a Gateway listener with `service`.',
      },
    ]
  })
}

function mixtures(rule: Rule, services: ServiceFacets, from: SourcePlace): readonly PlacedProblem[] {
  const { action, timeout } = rule
  if (action.kind !== 'forward' || timeout !== undefined || isGrpc(rule, services)) return []
  if (action.backends.every(({ service }) => services.get(service)?.protocol !== 'grpc')) return []
  return [
    {
      severity: 'warning',
      code: 'conflict',
      at: placeOf(within(from, 'backends')),
      message: 'Some of the backends speak gRPC and some do not, so that streams end when a request would time out.',
      fix: 'Give `timeout`; `0s` is none.',
    },
  ]
}

function callMethods(rule: Rule, services: ServiceFacets, from: SourcePlace): readonly PlacedProblem[] {
  if (rule.retry?.methods === undefined || !isGrpc(rule, services)) return []
  return [
    {
      severity: 'warning',
      code: 'no-effect',
      at: placeOf(within(from, 'retry.methods')),
      message: 'Calls of gRPC are all POSTs, so that `methods` has no say in which are tried again.',
      fix: 'Remove it, and say in `retryOn` what may be tried again.',
    },
  ]
}

/** One `hash`, of the rule or of any of its backends, is for all of them. */
function nothingHashed({ action, hash }: Rule, services: ServiceFacets, from: SourcePlace): readonly PlacedProblem[] {
  if (action.kind !== 'forward' || hash !== undefined) return []
  const facets = action.backends.map(({ service }) => services.get(service))
  if (facets.some((facet) => facet?.hash !== undefined)) return []
  const index = facets.findIndex((facet) => facet?.isConsistentHash === true)
  if (index < 0) return []
  return [
    {
      severity: 'warning',
      code: 'no-effect',
      at: placeOf(within(from, `backends[${index}].service`)),
      message: `The Service ${facets[index]?.name ?? ''} chooses endpoints by hash, and nothing says of what, so that any gets a request.`,
      fix: 'Add `hash` to the rule, or to `loadBalancing` of the Service.',
    },
  ]
}
