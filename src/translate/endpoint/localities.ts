import type { Endpoint } from '../../config/kinds/service-form.ts'
import type { AssignedLocality } from '../contract.ts'
import type { RegionRank } from './region-order.ts'

/** Envoy's priorities go so far. */
const lastPriority = 127

/**
 * Endpoints by priority and place, in an order that does not depend on theirs. What an endpoint says of its priority goes
 * before how far its region is. One with the weight 0 is left out: told as
 * one that drains, it would count as unhealthy, and the balancing would end in panic.
 * @param weights zone to its share. One without gets nothing, but where none of them has one.
 */
export function localitiesOf(
  endpoints: readonly Endpoint[],
  weights?: Readonly<Record<string, number>>,
  rankOf: RegionRank = () => 0,
): readonly AssignedLocality[] {
  const used = endpoints.filter(isUsed)
  const localities = grouped(used, levels(used, rankOf))
  return weights === undefined ? localities : localities.map((one) => weighted(one, localities, weights))
}

/** By place alone, all of one priority. */
export function placesOf(endpoints: readonly Endpoint[]): readonly AssignedLocality[] {
  return grouped(endpoints.filter(isUsed), () => 0)
}

const isUsed = ({ weight }: Endpoint): boolean => weight !== 0

function grouped(endpoints: readonly Endpoint[], levelOf: (endpoint: Endpoint) => number): readonly AssignedLocality[] {
  const groups = new Map<string, Group>()
  for (const endpoint of endpoints) {
    const { region = '', zone = '', subZone = '' } = endpoint
    const priority = levelOf(endpoint)
    const key = `${priority}\0${region}\0${zone}\0${subZone}`
    const group = groups.get(key)
    if (group !== undefined) {
      group.endpoints.push(endpoint)
      continue
    }
    groups.set(key, { region, zone, subZone, priority, endpoints: [endpoint] })
  }
  return [...groups.values()].sort(inOrder)
}

/** From 0 without gaps, for Envoy takes none. */
function levels(endpoints: readonly Endpoint[], rankOf: RegionRank): (endpoint: Endpoint) => number {
  const steps = [...new Set(endpoints.map(rankOf))].sort((a, b) => a - b)
  const stepOf = (endpoint: Endpoint): number => priorityOf(endpoint) * steps.length + steps.indexOf(rankOf(endpoint))
  const used = [...new Set(endpoints.map(stepOf))].sort((a, b) => a - b)
  const byStep = new Map(used.map((step, level) => [step, Math.min(level, lastPriority)]))
  return (endpoint) => byStep.get(stepOf(endpoint)) ?? lastPriority
}

interface Group extends AssignedLocality {
  readonly endpoints: Endpoint[]
}

function inOrder(a: AssignedLocality, b: AssignedLocality): number {
  return (
    a.priority - b.priority ||
    compared(a.region, b.region) ||
    compared(a.zone, b.zone) ||
    compared(a.subZone, b.subZone)
  )
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
  rankOf?: RegionRank,
): readonly string[] {
  const localities = localitiesOf(endpoints, weights, rankOf)
  const zones = localities.filter(({ weight }) => weight === undefined).map(({ zone }) => zone)
  return [...new Set(zones)].filter((zone) => !Object.hasOwn(weights, zone)).sort()
}
