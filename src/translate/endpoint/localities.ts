import type { Endpoint } from '../../config/kinds/service-form.ts'
import type { AssignedLocality } from '../contract.ts'

/**
 * Endpoints by priority and place, in an order that does not depend on theirs. One with the weight 0 is left out: told as
 * one that drains, it would count as unhealthy, and the balancing would end in panic.
 * @param weights zone to its share. One without gets nothing, but where none of them has one.
 */
export function localitiesOf(
  endpoints: readonly Endpoint[],
  weights?: Readonly<Record<string, number>>,
): readonly AssignedLocality[] {
  const used = endpoints.filter(({ weight }) => weight !== 0)
  const priorities = [...new Set(used.map(priorityOf))].sort((a, b) => a - b)
  const groups = new Map<string, Group>()
  for (const endpoint of used) {
    const { zone = '', subZone = '' } = endpoint
    const key = `${priorityOf(endpoint)}\0${zone}\0${subZone}`
    const group = groups.get(key)
    if (group !== undefined) {
      group.endpoints.push(endpoint)
      continue
    }
    // Envoy takes no gaps between priorities.
    const priority = priorities.indexOf(priorityOf(endpoint))
    groups.set(key, { region: '', zone, subZone, priority, endpoints: [endpoint] })
  }
  const localities = [...groups.values()].sort(inOrder)
  return weights === undefined ? localities : localities.map((one) => weighted(one, localities, weights))
}

interface Group extends AssignedLocality {
  readonly endpoints: Endpoint[]
}

function inOrder(a: AssignedLocality, b: AssignedLocality): number {
  return a.priority - b.priority || compared(a.zone, b.zone) || compared(a.subZone, b.subZone)
}

const compared = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

const priorityOf = ({ priority = 0 }: Endpoint): number => priority

/** A zone's share is shared among its parts by their endpoints; in thousandths, for Envoy takes no fractions. */
function weighted(
  locality: AssignedLocality,
  all: readonly AssignedLocality[],
  weights: Readonly<Record<string, number>>,
): AssignedLocality {
  const peers = all.filter(({ priority }) => priority === locality.priority)
  const isAnyKnown = peers.some(({ zone }) => shareOf(zone, weights) > 0)
  const share = isAnyKnown ? shareOf(locality.zone, weights) : 1
  if (share === 0) return locality
  const inZone = isAnyKnown ? peers.filter(({ zone }) => zone === locality.zone) : peers
  const total = inZone.reduce((sum, { endpoints }) => sum + endpoints.length, 0)
  return { ...locality, weight: Math.max(1, Math.round((share * 1000 * locality.endpoints.length) / total)) }
}

const shareOf = (zone: string, weights: Readonly<Record<string, number>>): number =>
  Object.hasOwn(weights, zone) ? (weights[zone] ?? 0) : 0

/** Zones whose endpoints get nothing by these weights, though they do not say that it is none. */
export function forgottenZones(
  endpoints: readonly Endpoint[],
  weights: Readonly<Record<string, number>>,
): readonly string[] {
  const localities = localitiesOf(endpoints, weights)
  const zones = localities.filter(({ weight }) => weight === undefined).map(({ zone }) => zone)
  return [...new Set(zones)].filter((zone) => !Object.hasOwn(weights, zone)).sort()
}
