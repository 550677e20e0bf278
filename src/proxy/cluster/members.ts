import { hostPort } from '../../resource/host-port.ts'
import { buildHostSet, type HostSet } from '../balance/host-set.ts'
import { localityKey } from '../config/locality.ts'
import type { Locality } from '../proxy-context.ts'
import type { Assignment, Endpoint } from './assignment.ts'
import { ClusterHost, type HostPlace, isSaidUnhealthy } from './cluster-host.ts'

export interface MembersOptions {
  /** Where the proxy itself is. */
  readonly ownLocality: Locality
  /** New hosts are unhealthy until a check has passed, and healthy ones stay though they are no members any more. */
  readonly isChecked: boolean
  readonly ignoresHealthOnRemoval: boolean
  /** New hosts do not count in the reckoning of health until their first check. */
  readonly ignoresNewUntilChecked: boolean
  /** A host is known by its name, and stays the same wherever that leads to. */
  readonly isLogical: boolean
}

/** What has become of the members of a cluster. */
export interface MemberChange {
  readonly added: readonly ClusterHost[]
  readonly removed: readonly ClusterHost[]
  /** Whether anything at all is other than before. */
  readonly isChange: boolean
}

/** The hosts of one cluster: who is in, through all assignments that come. */
export class Members {
  readonly #options: MembersOptions
  #hosts: readonly ClusterHost[] = []
  #assignment: Pick<Assignment, 'overprovisioningFactor' | 'weightedPriorityHealth'> = {
    overprovisioningFactor: 140,
    weightedPriorityHealth: false,
  }
  /** Of localities, for each priority. */
  #weights: readonly ReadonlyMap<string, number>[] = []
  #shape = ''

  constructor(options: MembersOptions) {
    this.#options = options
  }

  get hosts(): readonly ClusterHost[] {
    return this.#hosts
  }

  /**
   * A host stays the same one as long as its address is in, at the same place: only what is said of it changes.
   * @param assignment its addresses are of IP; of those that are in it twice the first counts
   */
  apply(assignment: Assignment): MemberChange {
    const { isLogical } = this.#options
    const keyOf = (hostname: string, address: string, port: number): string =>
      isLogical ? `${hostname}:${port}` : address
    const before = new Map(this.#hosts.map((host) => [keyOf(host.hostname, host.address, host.port), host]))
    const added: ClusterHost[] = []
    const after = new Map<string, ClusterHost>()
    let isAnyOther = false
    for (const { locality, priority, endpoints } of assignment.groups) {
      for (const endpoint of endpoints) {
        const place: HostPlace = { ip: endpoint.address.address, port: endpoint.address.port, locality }
        const key = keyOf(endpoint.hostname, hostPort(place.ip, place.port), place.port)
        if (after.has(key)) continue
        const known = before.get(key)
        if (known !== undefined && isSamePlace(known, locality, endpoint)) {
          if (isLogical) known.moveTo(place)
          isAnyOther = changeHost(known, endpoint, priority) || isAnyOther
          after.set(key, known)
        } else {
          const host = this.#createHost(place, endpoint, priority, known)
          added.push(host)
          after.set(key, host)
        }
      }
    }
    const staying = new Set(after.values())
    const gone = this.#hosts.filter((host) => !staying.has(host))
    const removed = gone.filter(
      (host) => after.has(keyOf(host.hostname, host.address, host.port)) || !this.#mayStay(host),
    )
    for (const host of gone) {
      if (removed.includes(host)) continue
      host.isLeaving = true
      after.set(keyOf(host.hostname, host.address, host.port), host)
    }
    const isReshaped = this.#reshape(assignment)
    const isChange = added.length > 0 || removed.length > 0 || isAnyOther || isReshaped
    this.#hosts = [...after.values()]
    return { added, removed, isChange }
  }

  /** A host that was only kept because checks found it healthy, and do no longer. */
  drop(host: ClusterHost): void {
    this.#hosts = this.#hosts.filter((other) => other !== host)
  }

  /** The hosts as they are now; there is always a first priority. */
  sets(): readonly HostSet[] {
    const highest = this.#hosts.reduce((most, { priority }) => Math.max(most, priority), this.#weights.length - 1)
    return Array.from({ length: Math.max(0, highest) + 1 }, (_, priority) =>
      buildHostSet(highest <= 0 ? this.#hosts : this.#hosts.filter((host) => host.priority === priority), {
        priority,
        weights: this.#weights[priority] ?? noWeights,
        ownLocality: this.#options.ownLocality,
        overprovisioningFactor: this.#assignment.overprovisioningFactor,
        weighsPriorityHealth: this.#assignment.weightedPriorityHealth,
      }),
    )
  }

  #createHost(place: HostPlace, endpoint: Endpoint, priority: number, known: ClusterHost | undefined): ClusterHost {
    const host = new ClusterHost(place, endpoint, priority)
    if (!this.#options.isChecked || endpoint.healthCheck.isDisabled) return host
    if (known !== undefined && !known.healthCheck.isDisabled && isSameCheck(known.healthCheck, endpoint.healthCheck)) {
      // It has only moved to another locality: what is known of its health is true there too.
      host.isFailing = known.isFailing
      host.isUnchecked = known.isUnchecked
      return host
    }
    host.isFailing = true
    host.isUnchecked = this.#options.ignoresNewUntilChecked
    return host
  }

  #mayStay(host: ClusterHost): boolean {
    const { isChecked, ignoresHealthOnRemoval } = this.#options
    if (!isChecked || ignoresHealthOnRemoval || host.healthCheck.isDisabled) return false
    return !host.isFailing && !isSaidUnhealthy(host.said)
  }

  /** Takes what an assignment says beside its endpoints; whether that is other than before. */
  #reshape(assignment: Assignment): boolean {
    const { overprovisioningFactor, weightedPriorityHealth, groups } = assignment
    const highest = groups.reduce((most, { priority }) => Math.max(most, priority), -1)
    const weights = Array.from({ length: highest + 1 }, () => new Map<string, number>())
    for (const { priority, locality, weight } of groups) {
      if (weight !== undefined) weights[priority]?.set(localityKey(locality), weight)
    }
    const shape = JSON.stringify([overprovisioningFactor, weightedPriorityHealth, weights.map((of) => [...of])])
    const isOther = shape !== this.#shape
    this.#shape = shape
    this.#assignment = { overprovisioningFactor, weightedPriorityHealth }
    this.#weights = weights
    return isOther
  }
}

const noWeights: ReadonlyMap<string, number> = new Map()

function isSamePlace(host: ClusterHost, locality: Locality, { healthCheck, hostname }: Endpoint): boolean {
  const isHere = host.locality === locality || localityKey(host.locality) === localityKey(locality)
  return isHere && host.hostname === hostname && isSameCheck(host.healthCheck, healthCheck)
}

function isSameCheck(one: Endpoint['healthCheck'], other: Endpoint['healthCheck']): boolean {
  return (
    one.port === other.port &&
    one.hostname === other.hostname &&
    one.isDisabled === other.isDisabled &&
    one.address?.address === other.address?.address &&
    one.address?.port === other.address?.port
  )
}

/** Whether it is other than before, in what balancers go by. */
function changeHost(host: ClusterHost, { weight, metadata, health }: Endpoint, priority: number): boolean {
  const isOther =
    host.weight !== weight ||
    host.said !== health ||
    host.priority !== priority ||
    host.isLeaving ||
    (host.metadata !== metadata && JSON.stringify(host.metadata) !== JSON.stringify(metadata))
  host.weight = weight
  host.said = health
  host.priority = priority
  host.metadata = metadata
  host.isLeaving = false
  return isOther
}
