import type { ClusterHost } from '../cluster/cluster-host.ts'
import { localityKey } from '../config/locality.ts'
import type { Locality } from '../proxy-context.ts'

/**
 * The hosts of one priority at one moment, sorted out by health and locality. It never changes: what changes makes another
 * one.
 */
export interface HostSet {
  readonly priority: number
  readonly all: HostList
  readonly healthy: HostList
  readonly degraded: HostList
  /** How many are left out of the reckoning of health: their first check is not done. */
  readonly excluded: number
  /** In the order of their names, but that of the proxy itself first. */
  readonly localities: readonly LocalityHosts[]
  /** The first locality is the proxy's own. */
  readonly hasOwnLocality: boolean
  readonly overprovisioningFactor: number
  readonly weighsPriorityHealth: boolean
}

/** A list of hosts that keeps its name from one set to the next: `0:healthy`. */
export interface HostList {
  readonly name: string
  readonly hosts: readonly ClusterHost[]
}

export interface LocalityHosts {
  readonly locality: Locality
  /** 0 where it has none. */
  readonly weight: number
  readonly all: HostList
  readonly healthy: HostList
  readonly degraded: HostList
  readonly excluded: number
}

export interface HostSetOptions {
  readonly priority: number
  /** Of localities, by `localityKey`. */
  readonly weights: ReadonlyMap<string, number>
  readonly ownLocality: Locality
  readonly overprovisioningFactor: number
  readonly weighsPriorityHealth: boolean
}

export function buildHostSet(hosts: readonly ClusterHost[], options: HostSetOptions): HostSet {
  const { priority } = options
  const groups = groupByLocality(hosts)
  const ownKey = localityKey(options.ownLocality)
  const own = isNowhere(options.ownLocality) ? undefined : groups.get(ownKey)
  const others = [...groups].filter(([key]) => own === undefined || key !== ownKey)
  others.sort(([, one], [, other]) => compareLocalities(localityOf(one), localityOf(other)))
  const ordered = own === undefined ? others : [[ownKey, own] as const, ...others]
  // Spelled out: objects that are spread into others take several times as much memory, and there are many.
  const { all, healthy, degraded, excluded } = sortOut(hosts, `${priority}`)
  return {
    priority,
    all,
    healthy,
    degraded,
    excluded,
    localities: ordered.map(([key, members], index) =>
      localityHosts(members, options.weights.get(key) ?? 0, `${priority}:${index}`),
    ),
    hasOwnLocality: own !== undefined,
    overprovisioningFactor: options.overprovisioningFactor,
    weighsPriorityHealth: options.weighsPriorityHealth,
  }
}

function localityHosts(hosts: readonly ClusterHost[], weight: number, name: string): LocalityHosts {
  const { all, healthy, degraded, excluded } = sortOut(hosts, name)
  return { locality: localityOf(hosts), weight, all, healthy, degraded, excluded }
}

type Sorted = Pick<HostSet, 'all' | 'healthy' | 'degraded' | 'excluded'>

function sortOut(hosts: readonly ClusterHost[], name: string): Sorted {
  const areAllHealthy = hosts.every(({ health }) => health === 'healthy')
  return {
    all: { name: `${name}:all`, hosts },
    healthy: {
      name: `${name}:healthy`,
      hosts: areAllHealthy ? hosts : hosts.filter(({ health }) => health === 'healthy'),
    },
    degraded: {
      name: `${name}:degraded`,
      hosts: areAllHealthy ? none : hosts.filter(({ health }) => health === 'degraded'),
    },
    excluded: hosts.reduce((count, { isUnchecked }) => count + (isUnchecked ? 1 : 0), 0),
  }
}

const none: readonly ClusterHost[] = []

function groupByLocality(hosts: readonly ClusterHost[]): Map<string, readonly ClusterHost[]> {
  const [first] = hosts
  // Most clusters know of one locality only.
  if (first !== undefined && hosts.every(({ locality }) => locality === first.locality)) {
    return new Map([[localityKey(first.locality), hosts]])
  }
  const groups = new Map<string, ClusterHost[]>()
  for (const host of hosts) {
    const key = localityKey(host.locality)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [host])
    else group.push(host)
  }
  return groups
}

function localityOf(hosts: readonly ClusterHost[]): Locality {
  return (hosts[0] as ClusterHost).locality
}

const isNowhere = ({ region, zone, subZone }: Locality): boolean => region === '' && zone === '' && subZone === ''

function compareLocalities(one: Locality, other: Locality): number {
  return compare(one.region, other.region) || compare(one.zone, other.zone) || compare(one.subZone, other.subZone)
}

const compare = (one: string, other: string): number => (one < other ? -1 : one > other ? 1 : 0)

/** The set without those hosts that do not fit: what a subset of a cluster is balanced over. */
export function filterHostSet(set: HostSet, fits: (host: ClusterHost) => boolean): HostSet {
  const only = ({ name, hosts }: HostList): HostList => ({ name, hosts: hosts.filter(fits) })
  const sorted = (of: Sorted): Sorted => ({
    all: only(of.all),
    healthy: only(of.healthy),
    degraded: only(of.degraded),
    excluded: of.all.hosts.filter((host) => host.isUnchecked && fits(host)).length,
  })
  return {
    ...set,
    ...sorted(set),
    localities: set.localities.map((locality) => ({ ...locality, ...sorted(locality) })),
  }
}
