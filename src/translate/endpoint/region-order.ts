import type { Endpoint } from '../../config/kinds/service-form.ts'
import type { CallerRegion } from '../contract.ts'

/**
 * The callers to whom these endpoints are not the same: those of each region that some endpoint names, and all others.
 * Undefined where there is no second region.
 */
export function callerRegionsOf(endpoints: readonly Endpoint[]): readonly CallerRegion[] | undefined {
  const regions = [...new Set(endpoints.flatMap(({ region }) => region ?? []))].sort()
  return regions.length < 2 ? undefined : [...regions.map((region) => ({ region })), { notRegions: regions }]
}

/** How far an endpoint's region is from a caller: 0 is asked first. */
export type RegionRank = (endpoint: Endpoint) => number

/**
 * A caller's own region, then those of `failover` in their order, then the others by name, and behind them endpoints of
 * which no region is known. To callers of whose region there is no endpoint only the order of `failover` means anything:
 * without one all endpoints are alike.
 */
export function regionRank(
  endpoints: readonly Endpoint[],
  caller: CallerRegion,
  failover: readonly string[] | undefined,
): RegionRank {
  const named = [...new Set(endpoints.flatMap(({ region }) => region ?? []))].sort()
  // A version may have none where the Service has some.
  const own = 'region' in caller && named.includes(caller.region) ? [caller.region] : []
  if (failover === undefined && own.length === 0) return () => 0
  const order = [...new Set([...own, ...(failover ?? []), ...named])]
  const ranks = new Map(order.map((region, rank) => [region, rank]))
  return ({ region }) => (region === undefined ? order.length : (ranks.get(region) ?? order.length))
}
