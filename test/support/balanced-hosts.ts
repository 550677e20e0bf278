import type { BalancerOwner, Peers } from '../../src/proxy/balance/balancer.ts'
import { buildHostSet, type HostSet } from '../../src/proxy/balance/host-set.ts'
import type { EndpointHealth } from '../../src/proxy/cluster/assignment.ts'
import { ClusterHost } from '../../src/proxy/cluster/cluster-host.ts'
import type { JsonObject } from '../../src/proxy/config/field-reader.ts'
import { localityKey } from '../../src/proxy/config/locality.ts'
import type { Locality } from '../../src/proxy/proxy-context.ts'
import { createTestContext, type TestContext } from './proxy-context.ts'

export interface HostText {
  readonly ip?: string
  readonly weight?: number
  readonly health?: EndpointHealth
  readonly zone?: string
  readonly active?: number
  readonly labels?: JsonObject
  readonly hostname?: string
}

export const zoneOf = (zone: string): Locality => ({ region: 'here', zone, subZone: '' })

let lastNumber = 0

export function createHost({
  weight = 1,
  health = 'UNKNOWN',
  zone = '',
  active = 0,
  ...text
}: HostText = {}): ClusterHost {
  const ip = text.ip ?? `10.0.${++lastNumber >> 8}.${lastNumber & 255}`
  const locality = zone === '' ? { region: '', zone: '', subZone: '' } : zoneOf(zone)
  const healthCheck = { port: undefined, address: undefined, hostname: '', isDisabled: false }
  const metadata = text.labels === undefined ? {} : { 'envoy.lb': text.labels }
  const host = new ClusterHost(
    { ip, port: 80, locality },
    { hostname: text.hostname ?? '', weight, metadata, health, healthCheck },
    0,
  )
  host.stats.rqActive = active
  return host
}

export interface SetText {
  readonly priority?: number
  readonly overprovisioning?: number
  readonly weighsPriorityHealth?: boolean
  /** Of the proxy itself. */
  readonly ownZone?: string
  /** By zone. */
  readonly zoneWeights?: Readonly<Record<string, number>>
}

export function createSet(hosts: readonly ClusterHost[], text: SetText = {}): HostSet {
  return buildHostSet(hosts, {
    priority: text.priority ?? 0,
    overprovisioningFactor: text.overprovisioning ?? 140,
    weighsPriorityHealth: text.weighsPriorityHealth ?? false,
    ownLocality: text.ownZone === undefined ? { region: '', zone: '', subZone: '' } : zoneOf(text.ownZone),
    weights: new Map(
      Object.entries(text.zoneWeights ?? {}).map(([zone, weight]) => [localityKey(zoneOf(zone)), weight]),
    ),
  })
}

export const many = (count: number, text: HostText = {}): readonly ClusterHost[] =>
  Array.from({ length: count }, () => createHost(text))

export interface TestOwner extends BalancerOwner {
  readonly context: TestContext
  stat(name: string): number | undefined
}

export function createOwner(panicThreshold = 50, peers?: Peers): TestOwner {
  const context = createTestContext()
  return {
    context,
    stats: context.stats.scope('cluster.cart.'),
    panicThreshold,
    peers,
    stat: (name) => context.stat(`cluster.cart.${name}`),
  }
}

/** How often each of them comes up. */
export function countBy<T>(count: number, draw: () => T): ReadonlyMap<T, number> {
  const counts = new Map<T, number>()
  for (let time = 0; time < count; time++) {
    const drawn = draw()
    counts.set(drawn, (counts.get(drawn) ?? 0) + 1)
  }
  return counts
}

/** Whether a share of `count` draws is what it should be, within 3 sigma. */
export function isNear(found: number, share: number, count: number): boolean {
  return Math.abs(found - share * count) <= 3 * Math.sqrt(count * share * (1 - share)) + 1e-9
}
