import type { Meaning } from './meaning.ts'
import type { VirtualEnvoy } from './virtual-envoy.ts'

/** What would fail a request of this client now; undefined when nothing would. */
export function brokenReference(envoy: VirtualEnvoy): string | undefined {
  if (envoy.omits('cluster')) return undefined
  for (const listener of envoy.listeners.serving()) {
    for (const [user, clusters] of usersBehind(envoy, listener)) {
      for (const name of clusters) {
        const lack = lackOf(envoy, name, 0)
        if (lack === undefined) continue
        const isActive = envoy.listeners.active(listener.name)?.meaning === listener
        return `${user} names ${lack}, behind ${isActive ? '' : 'the draining '}listener ${listener.name}`
      }
    }
  }
  return undefined
}

/** Everything that sends requests of a listener to clusters. */
function* usersBehind(envoy: VirtualEnvoy, listener: Meaning): Generator<[user: string, clusters: readonly string[]]> {
  if (listener.clusters.length > 0) yield [`listener ${listener.name}`, listener.clusters]
  for (const name of listener.extensions) {
    const extension = envoy.extensions.get(name)
    if (extension !== undefined) yield [`extension ${name}`, extension.clusters]
  }
  for (const name of listener.routes) yield* usersIn(envoy, name)
  if (!listener.hasScopes) return
  for (const scope of envoy.scopes.values()) for (const name of scope.routes) yield* usersIn(envoy, name)
}

function* usersIn(envoy: VirtualEnvoy, route: string): Generator<[user: string, clusters: readonly string[]]> {
  const configuration = envoy.routes.get(route)
  if (configuration === undefined) return
  yield [`route ${route}`, configuration.clusters]
  if (!configuration.isOnDemand) return
  for (const host of envoy.hosts.values()) {
    if (host.name.startsWith(`${route}/`)) yield [`virtual host ${host.name}`, host.clusters]
  }
}

/** Aggregates in aggregates are told apart from circles by their depth. */
const deepest = 8

/** What keeps a cluster from taking requests. */
function lackOf(envoy: VirtualEnvoy, name: string, depth: number): string | undefined {
  const active = envoy.clusters.active(name)
  if (active === undefined)
    return envoy.clusters.has(name) ? `cluster ${name}, which warms` : `the missing cluster ${name}`
  const { children } = active.meaning
  if (children.length === 0 || depth > deepest) return undefined
  // It does without those that the client refuses.
  const isOdd = (child: string): boolean =>
    envoy.isPickyAbout('cluster', child) && envoy.clusters.active(child) === undefined
  const wanted = children.filter((child) => !isOdd(child))
  if (wanted.length === 0) return undefined
  const lacks = wanted.map((child) => lackOf(envoy, child, depth + 1))
  const missing = wanted.find((child) => !envoy.clusters.has(child))
  if (missing !== undefined) return `the aggregate ${name}, which lacks ${missing}`
  // It takes whichever of its clusters are warm.
  return lacks.every((lack) => lack !== undefined) ? `the aggregate ${name}, none of whose clusters is warm` : undefined
}

/** A cluster in service with endpoints from that assignment. */
export function userOfAssignment(envoy: VirtualEnvoy, assignment: string): string | undefined {
  for (const { meaning, endpoints } of envoy.clusters.live()) {
    if (endpoints?.name !== assignment || endpoints.isEmpty) continue
    if (envoy.clusters.active(meaning.name)?.meaning === meaning) return meaning.name
  }
  return undefined
}
