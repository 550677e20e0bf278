import type { ServicePolicy } from '../../config/kinds/service-form.ts'
import type { Default } from '../defaults.ts'
import { durationJson } from '../duration-json.ts'
import { at, type EnvoyJson, type SourcePlace, within } from '../envoy-json.ts'

/** What one document, or a version in it, says of how a Service is called. */
export interface PolicyLayer {
  readonly policy: ServicePolicy
  readonly from: SourcePlace
}

/** The nearest first: version, Service, Mesh. What none of them says, the defaults say. */
export type PolicyLayers = readonly PolicyLayer[]

/** What a layer says, and where. */
export interface Said<T> {
  readonly value: T
  readonly from: SourcePlace
  /** Index of the layer. */
  readonly layer: number
}

/** The parts of a policy that have fields of their own. */
type Group = Exclude<keyof ServicePolicy, 'proxyProtocol'>
type Fields<G extends Group> = Extract<NonNullable<ServicePolicy[G]>, object>

/**
 * Field by field, the nearest layer that says it. `outlierDetection: off` ends what lies behind it: of that nothing is
 * inherited.
 */
export function said<G extends Group, F extends keyof Fields<G> & string>(
  layers: PolicyLayers,
  group: G,
  field: F,
): Said<NonNullable<Fields<G>[F]>> | undefined {
  for (const [layer, { policy, from }] of layers.entries()) {
    const held: unknown = policy[group]
    if (held === 'off') return undefined
    const value = (held as Fields<G> | undefined)?.[field]
    if (value !== undefined && value !== null) return { value, from: within(from, `${group}.${field}`), layer }
  }
  return undefined
}

/** What is said, at its place, or else the default. */
export function or<T extends EnvoyJson>(found: Said<T> | undefined, fallback: Default<T>): EnvoyJson {
  return found === undefined ? fallback.value : at(found.from, found.value)
}

/** The same for a time in milliseconds. */
export function durationOr(found: Said<number> | undefined, fallback: Default<number>): EnvoyJson {
  return duration(found) ?? durationJson(fallback.value)
}

/** Nothing where nothing is said. */
export function ifSaid(found: Said<EnvoyJson> | undefined): EnvoyJson | undefined {
  return found && at(found.from, found.value)
}

export function duration(found: Said<number> | undefined): EnvoyJson | undefined {
  return found && at(found.from, durationJson(found.value))
}
