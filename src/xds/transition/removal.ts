import type { Named } from '../../resource/named.ts'
import type { Resource } from '../../resource/resource.ts'
import { resourceTypes } from '../../resource/type-url.ts'
import { diffSets, type ResourceSet } from '../../snapshot/resource-set.ts'
import { setIn, type View } from './view.ts'

const routeType = resourceTypes.route.typeUrl
const hostType = resourceTypes.virtualHost.typeUrl

/** The versions in `set` that `to` does not have. */
export function* outdatedIn(set: ResourceSet, to: View): Generator<Resource> {
  const { changed, removed } = diffSets(set, setIn(to, set.typeUrl))
  for (const { name } of changed) {
    const old = set.get(name)
    if (old !== undefined) yield old
  }
  for (const name of removed) yield set.get(name) as Resource
}

/**
 * What must not go yet: the resources of `from` that `to` lacks and that `names` lead to, directly or over others that
 * must not go (rule 76). Costs what `names` has, not the views.
 */
export function reachedBy(names: Iterable<Named>, from: View, to: View): readonly Resource[] {
  const reached = new Set<Resource>()
  const visit = ({ typeUrl, name }: Named): void => {
    if (to.sets.get(typeUrl)?.get(name) !== undefined) return
    const resource = from.sets.get(typeUrl)?.get(name)
    if (resource === undefined || reached.has(resource)) return
    reached.add(resource)
    // A chain of resources is short: listener, scope, route, aggregate cluster, cluster, endpoints.
    for (const reference of resource.references) visit(reference)
    if (typeUrl === routeType) for (const host of goneHostsOf(from, to).get(name) ?? []) visit(host)
  }
  for (const name of names) visit(name)
  return [...reached]
}

const goneHosts = new WeakMap<ResourceSet, WeakMap<ResourceSet, ReadonlyMap<string, readonly Resource[]>>>()

/** The virtual hosts that go, by their route configuration: they are named by theirs (`<route configuration>/<host>`), not by a field. */
function goneHostsOf(from: View, to: View): ReadonlyMap<string, readonly Resource[]> {
  const [before, after] = [setIn(from, hostType), setIn(to, hostType)]
  const ofBefore = goneHosts.get(before) ?? new WeakMap<ResourceSet, ReadonlyMap<string, readonly Resource[]>>()
  goneHosts.set(before, ofBefore)
  let byRoute = ofBefore.get(after)
  if (byRoute === undefined) {
    const grouped = new Map<string, Resource[]>()
    for (const name of diffSets(before, after).removed) {
      const route = name.slice(0, name.lastIndexOf('/'))
      grouped.set(route, [...(grouped.get(route) ?? []), before.get(name) as Resource])
    }
    byRoute = grouped
    ofBefore.set(after, byRoute)
  }
  return byRoute
}
