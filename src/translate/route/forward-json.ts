import type { RouteDefaults } from '../../config/kinds/common-form.ts'
import type { Rule } from '../../config/kinds/route-form.ts'
import type { FallbackCluster, RouteConfigurationInput, ServiceFacets } from '../contract.ts'
import { routeDefaults } from '../defaults.ts'
import { durationJson } from '../duration-json.ts'
import { at, type EnvoyJson, type SourcePlace, within } from '../envoy-json.ts'
import { type Arm, clusterOf, withFallback } from './fallback.ts'
import { headerFields } from './header-changes.ts'
import { type Fields, fractionOf } from './match-json.ts'
import { retryJson } from './retry-json.ts'

/** What a rule that has backends does, but for what depends on how it matched. */
export interface Forward {
  /** Of Envoy's RouteAction; undefined where every weight is 0. */
  readonly action: Fields | undefined
  readonly fallbacks: readonly FallbackCluster[]
}

export function forwardJson(
  rule: Rule,
  { services, defaults, side }: Pick<RouteConfigurationInput, 'services' | 'defaults' | 'side'>,
  from: SourcePlace,
): Forward {
  const { action } = rule
  const backends = action.kind === 'forward' ? action.backends : []
  const all = backends.map((backend, index): Arm => {
    return { backend, from: within(from, `backends[${index}]`), cluster: clusterOf(backend) }
  })
  const weighted = all.filter(({ backend }) => backend.weight !== 0)
  if (weighted.length === 0) return { action: undefined, fallbacks: [] }
  const { arms, fallbacks } = withFallback(weighted, rule.fallback, from)
  const hasPriorities = weighted.some(({ backend }) => services.get(backend.service)?.hasPriorities === true)
  const isCall = isGrpc(rule, services)
  const timeout = timeoutOf(rule, isCall, defaults)
  const longest = isCall ? 0 : longestTry(side, timeout)
  // Without one the virtual host's is taken.
  const isAsHost =
    rule.retry === undefined &&
    !isCall &&
    !hasPriorities &&
    longest === longestTry(side, timeoutOf({}, false, defaults))
  return {
    action: {
      ...destination(arms, rule),
      ...timeouts(rule, timeout, isCall, defaults, from),
      retry_policy: isAsHost
        ? undefined
        : at(
            within(from, 'retry'),
            retryJson({ own: rule.retry, inherited: defaults.retry, isGrpc: isCall, hasPriorities, longest }),
          ),
      request_mirror_policies: mirrors(rule, from),
      priority: rule.priority === 'high' ? 'HIGH' : undefined,
      upgrade_configs: takesSockets(rule) ? undefined : [{ upgrade_type: 'websocket', enabled: false }],
    },
    fallbacks,
  }
}

function destination(arms: readonly Arm[], rule: Rule): Fields {
  const [first, ...others] = arms
  if (first !== undefined && others.length === 0 && first.backend.headers === undefined) {
    return { cluster: at(first.from, first.cluster) }
  }
  const clusters = arms.map(({ backend, from, cluster }) =>
    at(from, {
      name: cluster,
      weight: at(within(from, 'weight'), backend.weight ?? 1),
      ...headerFields('request', backend.headers, within(from, 'headers')),
    }),
  )
  // Without it a request's arm is random, and only its host is not.
  const isSticky = rule.hash !== undefined && others.length > 0
  return { weighted_clusters: { clusters, use_hash_policy: isSticky ? true : undefined } }
}

/** How long a request may take, in milliseconds; 0 is any time. Calls of gRPC may be streams, which have no longest time. */
export function timeoutOf({ timeout }: Pick<Rule, 'timeout'>, isCall: boolean, defaults: RouteDefaults): number {
  return timeout ?? (isCall ? 0 : (defaults.timeout ?? routeDefaults.timeoutMs.value))
}

/** A gateway takes no deadline of its clients. */
export const longestTry = (side: RouteConfigurationInput['side'], timeout: number): number =>
  side === 'sidecar' ? timeout : 0

/** Calls of gRPC bring the time that their caller waits. */
function timeouts(rule: Rule, timeout: number, isCall: boolean, defaults: RouteDefaults, from: SourcePlace): Fields {
  const idle = rule.idleTimeout ?? defaults.idleTimeout
  return {
    timeout: at(within(from, 'timeout'), durationJson(timeout)),
    idle_timeout: idle === undefined ? undefined : at(within(from, 'idleTimeout'), durationJson(idle)),
    max_stream_duration: isCall ? { grpc_timeout_header_max: durationJson(timeout) } : undefined,
  }
}

/** Every request that the rule takes is a call of gRPC. */
export function isGrpc({ match, action }: Rule, services: ServiceFacets): boolean {
  if (match.length > 0 && match.every(({ grpc }) => grpc !== undefined)) return true
  if (action.kind !== 'forward') return false
  return action.backends.every(({ service }) => services.get(service)?.protocol === 'grpc')
}

/** A body that is held until it is whole never comes to an end in a WebSocket. */
const takesSockets = ({ websocket, maxRequestSize }: Rule): boolean =>
  websocket !== false && maxRequestSize === undefined

function mirrors({ mirror }: Rule, from: SourcePlace): readonly EnvoyJson[] | undefined {
  return mirror?.map((one, index) => {
    const place = within(from, `mirror[${index}]`)
    const { percent } = one
    return at(place, {
      cluster: clusterOf(one),
      runtime_fraction:
        percent === undefined ? undefined : at(within(place, 'percent'), { default_value: fractionOf(percent) }),
      trace_sampled: false,
    })
  })
}
