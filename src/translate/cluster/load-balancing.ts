import { type BalancingPolicy, policiesWith } from '../../config/kinds/balancing-policies.ts'
import type { Hash } from '../../config/kinds/common-form.ts'
import type { LoadBalancing } from '../../config/kinds/service-form.ts'
import type { PlacedProblem } from '../build-generated.ts'
import { serviceDefaults as defaults } from '../defaults.ts'
import { at, type EnvoyJson, placeOf, within } from '../envoy-json.ts'
import { extension } from './extension.ts'
import { duration, or, type PolicyLayers, said } from './policy-layers.ts'

/** The policy in force, and the layer that chose it: the number of layers where it is the default. */
export interface ChosenPolicy {
  readonly policy: BalancingPolicy
  readonly layer: number
}

/** The nearest layer that names one; a `hash` asks for one that hashes. */
export function chosenPolicy(layers: PolicyLayers): ChosenPolicy {
  for (const [layer, { policy }] of layers.entries()) {
    const { policy: named, hash } = policy.loadBalancing ?? {}
    if (named !== undefined) return { policy: named, layer }
    if (hash === undefined) continue
    const behind = chosenPolicy(layers.slice(layer + 1)).policy
    return { policy: isConsistentHash(behind) ? behind : 'maglev', layer }
  }
  return { policy: defaults.balancing.value, layer: layers.length }
}

export function isConsistentHash(policy: BalancingPolicy): boolean {
  return isUsedBy('hash', policy)
}

/** What of a request decides its endpoint; undefined where the policy does not hash, or nothing is said. */
export function hashOf(layers: PolicyLayers): Hash | undefined {
  return isConsistentHash(chosenPolicy(layers).policy) ? said(layers, 'loadBalancing', 'hash')?.value : undefined
}

/** Zone to weight, where they hold. */
export function localityWeights(layers: PolicyLayers): ReturnType<typeof said<'loadBalancing', 'localityWeights'>> {
  const weights = said(layers, 'loadBalancing', 'localityWeights')
  const zoneAware = said(layers, 'loadBalancing', 'zoneAware')
  const isOverruled = zoneAware?.value === true && zoneAware.layer < (weights?.layer ?? 0)
  return isOverruled || chosenPolicy(layers).policy === 'orca' ? undefined : weights
}

const namespace = 'envoy.load_balancing_policies'
const messages: { readonly [P in BalancingPolicy]: readonly [name: string, message: string] } = {
  'least-request': ['least_request', 'least_request.v3.LeastRequest'],
  'round-robin': ['round_robin', 'round_robin.v3.RoundRobin'],
  random: ['random', 'random.v3.Random'],
  'ring-hash': ['ring_hash', 'ring_hash.v3.RingHash'],
  maglev: ['maglev', 'maglev.v3.Maglev'],
  orca: ['client_side_weighted_round_robin', 'client_side_weighted_round_robin.v3.ClientSideWeightedRoundRobin'],
}

export function loadBalancingPolicy(layers: PolicyLayers): EnvoyJson {
  const { policy, layer } = chosenPolicy(layers)
  const [name, message] = messages[policy]
  const json = extension(`${namespace}.${name}`, `envoy.extensions.load_balancing_policies.${message}`, {
    ...(policy === 'least-request' && { choice_count: or(said(layers, 'loadBalancing', 'choices'), defaults.choices) }),
    ...(isUsedBy('slowStart', policy) && { slow_start_config: slowStart(layers) }),
    ...zones(layers, policy),
  })
  const chosen = layers[layer]
  const placed = chosen === undefined ? json : at(within(chosen.from, 'loadBalancing.policy'), json)
  return { policies: [{ typed_extension_config: placed }] }
}

function slowStart(layers: PolicyLayers): EnvoyJson | undefined {
  const window = duration(said(layers, 'loadBalancing', 'slowStart'))
  return window && { slow_start_window: window }
}

/** How localities share the requests. */
function zones(layers: PolicyLayers, policy: BalancingPolicy): { readonly [field: string]: EnvoyJson } {
  if (policy === 'orca') return {}
  if (localityWeights(layers) !== undefined) {
    const weighted = { locality_weighted_lb_config: {} }
    return isConsistentHash(policy) ? weighted : { locality_lb_config: weighted }
  }
  const zoneAware = said(layers, 'loadBalancing', 'zoneAware')?.value ?? defaults.zoneAware.value
  if (!zoneAware || !isUsedBy('zoneAware', policy)) return {}
  const least = or(said(layers, 'loadBalancing', 'zoneMinEndpoints'), defaults.zoneMinEndpoints)
  return { locality_lb_config: { zone_aware_lb_config: { min_cluster_size: least } } }
}

function isUsedBy(field: keyof LoadBalancing, policy: BalancingPolicy): boolean {
  return policiesWith[field]?.includes(policy) ?? true
}

/**
 * Settings of the nearest layer that the policy, which another layer chose, cannot use. What is inherited and cannot be used
 * is nothing to tell: who chose another policy meant that.
 */
export function unusedSettings(layers: PolicyLayers): readonly PlacedProblem[] {
  const [nearest] = layers
  const { policy, layer } = chosenPolicy(layers)
  if (nearest === undefined || layer === 0) return []
  const fields = Object.keys(nearest.policy.loadBalancing ?? {}) as (keyof LoadBalancing)[]
  return fields
    .filter((field) => !isUsedBy(field, policy) && nearest.policy.loadBalancing?.[field] !== false)
    .map((field) => ({
      severity: 'warning',
      code: 'no-effect',
      at: placeOf(within(nearest.from, `loadBalancing.${field}`)),
      message: `\`${field}\` has no effect with the policy \`${policy}\`${chooser(layers, layer)}.`,
      fix: 'Remove it, or choose a `policy` here.',
    }))
}

function chooser(layers: PolicyLayers, layer: number): string {
  const chosen = layers[layer]
  return chosen === undefined ? '' : `, which the ${chosen.from.document.form.kind} chooses`
}
