import { hasOnDemandHosts } from '../resource/references/on-demand-hosts.ts'
import type { Resource } from '../resource/resource.ts'
import { resourceTypes, type TypeUrl } from '../resource/type-url.ts'
import { diffSets } from '../snapshot/resource-set.ts'
import { noHostOf } from './protocol/content.ts'
import { type NameSet, nameSetOf, noNames, unionNames } from './protocol/names.ts'
import type { Reply } from './protocol/reply.ts'
import type { Protocol } from './stream-event.ts'
import { followersOf } from './transition/cluster-news.ts'
import type { TypeBook } from './type-book.ts'

const clusterType = resourceTypes.cluster.typeUrl
const hostType = resourceTypes.virtualHost.typeUrl
const listenerType = resourceTypes.listener.typeUrl
const routeType = resourceTypes.route.typeUrl

/** What one client is to be sent with the first answer of a type that it has not asked for yet (rule 58). */
export class FollowUps {
  readonly #names = new Map<TypeUrl, NameSet>()

  add(typeUrl: TypeUrl, names: NameSet): void {
    this.#names.set(typeUrl, unionNames(this.#names.get(typeUrl) ?? noNames, names))
  }

  take(typeUrl: TypeUrl): NameSet | undefined {
    const names = this.#names.get(typeUrl)
    this.#names.delete(typeUrl)
    return names
  }
}

const none: ReadonlyMap<TypeUrl, NameSet> = new Map()

/**
 * What was sent warms, and needs what it names again, though that is unchanged: a cluster its assignment and secrets
 * (rules 58, 72), a listener its secrets and filter configurations (rule 73). By type. `isFirst`: of its type on the stream.
 */
export function followersOfReply(protocol: Protocol, reply: Reply, isFirst: boolean): ReadonlyMap<TypeUrl, NameSet> {
  const { typeUrl } = reply.question.to
  if (typeUrl === clusterType)
    return isFirst && protocol === 'sotw' ? none : followersOf(newClustersIn(protocol, reply))
  return typeUrl === listenerType && protocol === 'delta' ? followersOf(reply.content.resources) : none
}

/** Those that are news to the client: a full state has all of them. */
export function newClustersIn(protocol: Protocol, { question: { from, to }, content }: Reply): readonly Resource[] {
  if (protocol === 'delta') return content.resources
  const [only] = from
  return from.length === 1 ? diffSets(only, to).changed : from.flatMap((set) => diffSets(set, to).changed)
}

/** Envoy asks for VHDS once a stream: of the route configurations that come later it waits to be told unasked (rule 46). */
export function tellOfNoHosts(types: TypeBook, { question: { owed, to }, content }: Reply): void {
  if (to.typeUrl !== routeType) return
  const hosts = types.get(hostType)
  if (hosts?.subscription.sent === undefined) return
  const routes = content.resources.filter(
    (route) => (owed === 'all' || owed.has(route.name)) && hasOnDemandHosts(route),
  )
  if (routes.length > 0) types.owe(hosts, nameSetOf(routes.map(({ name }) => noHostOf(name))))
}
