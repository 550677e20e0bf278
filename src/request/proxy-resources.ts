import type { EnvoyApi } from '../resource/envoy-api.ts'
import { messageToJson } from '../resource/json/codec.ts'
import { type ResourceWord, resourceTypes } from '../resource/type-url.ts'
import { type Snapshot, setOf } from '../snapshot/snapshot.ts'
import type { AssignmentForm, ClusterForm, ListenerForm, RouteConfigurationForm } from './envoy-form.ts'

/** What one proxy has, as far as it decides where a request goes. */
export interface ProxyResources {
  /** In order of name. */
  readonly listeners: readonly ListenerForm[]
  routeConfiguration(name: string): RouteConfigurationForm | undefined
  cluster(name: string): ClusterForm | undefined
  assignment(name: string): AssignmentForm | undefined
  /** Clusters that its bootstrap holds, of which no more is known. */
  readonly ownClusters: ReadonlySet<string>
}

/** Decodes what is asked for, each once. */
export function proxyResources(api: EnvoyApi, snapshot: Snapshot, ownClusters: readonly string[] = []): ProxyResources {
  const decoded = new Map<string, unknown>()
  const lookUp = (word: ResourceWord, name: string): unknown => {
    const { typeUrl } = resourceTypes[word]
    const key = `${word}\0${name}`
    const resource = setOf(snapshot, typeUrl).get(name)
    if (resource !== undefined && !decoded.has(key)) decoded.set(key, messageToJson(api, typeUrl, resource.bytes))
    return decoded.get(key)
  }
  const names = Array.from(setOf(snapshot, resourceTypes.listener.typeUrl).values(), ({ name }) => name)
  return resourcesBy(names, ownClusters, lookUp)
}

/** The same of resources that are JSON already. */
export function proxyResourcesOf(resources: readonly NamedJson[], ownClusters: readonly string[] = []): ProxyResources {
  const known = new Map(resources.map(({ type, name, json }) => [`${type}\0${name}`, json]))
  const names = resources.flatMap(({ type, name }) => (type === 'listener' ? [name] : []))
  return resourcesBy(names.sort(), ownClusters, (word, name) => known.get(`${word}\0${name}`))
}

export interface NamedJson {
  /** The type's word: `cluster`. */
  readonly type: string
  readonly name: string
  readonly json: unknown
}

function resourcesBy(
  names: readonly string[],
  ownClusters: readonly string[],
  lookUp: (word: ResourceWord, name: string) => unknown,
): ProxyResources {
  return {
    ownClusters: new Set(ownClusters),
    get listeners() {
      return names.map((name) => lookUp('listener', name) as ListenerForm)
    },
    routeConfiguration: (name) => lookUp('route', name) as RouteConfigurationForm | undefined,
    cluster: (name) => lookUp('cluster', name) as ClusterForm | undefined,
    assignment: (name) => lookUp('endpoint', name) as AssignmentForm | undefined,
  }
}
