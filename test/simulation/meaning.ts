import { type DescMessage, fromBinary, type JsonObject, type JsonValue, toJson } from '@bufbuild/protobuf'
import { envoyApi } from '../support/resource.ts'
import type { Word } from './scenario.ts'

/**
 * What the virtual Envoy makes of a resource: its own reading of the bytes, by the paths where Envoy itself looks, and
 * not by what src/resource finds to be references. Of equal bytes it is one object.
 */
export interface Meaning {
  readonly word: Word
  readonly name: string
  /** The number in it that stands for all content that nothing else here reads. */
  readonly revision: number
  /** Cluster: the assignment that it waits for. */
  readonly assignment: string | undefined
  /** Aggregate cluster: what it is made of. */
  readonly children: readonly string[]
  /** Clusters that requests are sent to, mirrors included. */
  readonly clusters: readonly string[]
  /** Of these, the ones whose absence makes Envoy refuse a listener: those of an inline route configuration. */
  readonly checked: readonly string[]
  readonly secrets: readonly string[]
  readonly extensions: readonly string[]
  /** Route configurations that a listener or a scope takes by RDS. */
  readonly routes: readonly string[]
  readonly hasScopes: boolean
  /** Route configuration: more hosts come by VHDS. */
  readonly isOnDemand: boolean
  /** Assignment without endpoints. */
  readonly isEmpty: boolean
}

const messages: Readonly<Record<Word, string>> = {
  cluster: 'envoy.config.cluster.v3.Cluster',
  endpoint: 'envoy.config.endpoint.v3.ClusterLoadAssignment',
  secret: 'envoy.extensions.transport_sockets.tls.v3.Secret',
  extension: 'envoy.config.core.v3.TypedExtensionConfig',
  listener: 'envoy.config.listener.v3.Listener',
  scopedRoute: 'envoy.config.route.v3.ScopedRouteConfiguration',
  route: 'envoy.config.route.v3.RouteConfiguration',
  virtualHost: 'envoy.config.route.v3.VirtualHost',
}

export const typeUrls = Object.fromEntries(
  Object.entries(messages).map(([word, message]) => [word, `type.googleapis.com/${message}`]),
) as Readonly<Record<Word, string>>

const words = new Map<string, Word>(Object.entries(typeUrls).map(([word, typeUrl]) => [typeUrl, word as Word]))

export function wordOfUrl(typeUrl: string): Word | undefined {
  return words.get(typeUrl)
}

const rememberedAtMost = 50_000

const known = new Map<string, Meaning>()

/** Remembered over scenarios, within bounds. Never called while one is played: what is equal must stay one object. */
export function forgetMeanings(): void {
  if (known.size > rememberedAtMost) known.clear()
}

export function meaningOf(word: Word, bytes: Uint8Array): Meaning {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  const key = `${word} ${buffer.toString('latin1')}`
  let meaning = known.get(key)
  if (meaning === undefined) {
    meaning = read(word, buffer)
    known.set(key, meaning)
  }
  return meaning
}

function read(word: Word, bytes: Buffer): Meaning {
  const desc = envoyApi.registry.getMessage(messages[word]) as DescMessage
  const json = toJson(desc, fromBinary(desc, bytes), { registry: envoyApi.registry }) as JsonObject
  const nothing: Meaning = {
    word,
    name: textAt(json, word === 'endpoint' ? 'clusterName' : 'name'),
    revision: revisionIn(word, json),
    assignment: undefined,
    children: [],
    clusters: [],
    checked: [],
    secrets: [],
    extensions: [],
    routes: [],
    hasScopes: false,
    isOnDemand: false,
    isEmpty: false,
  }
  switch (word) {
    case 'cluster':
      return { ...nothing, ...readCluster(json) }
    case 'endpoint':
      return { ...nothing, isEmpty: listAt(json, 'endpoints').length === 0 }
    case 'listener':
      return { ...nothing, ...readListener(json) }
    case 'route':
      return { ...nothing, clusters: clustersOfRoutes(json), isOnDemand: json['vhds'] !== undefined }
    case 'virtualHost':
      return { ...nothing, clusters: clustersOfHost(json) }
    case 'scopedRoute':
      return { ...nothing, routes: [textAt(json, 'routeConfigurationName')] }
    case 'extension':
      return { ...nothing, clusters: named(textAt(json, 'typedConfig', 'grpcService', 'envoyGrpc', 'clusterName')) }
    case 'secret':
      return nothing
  }
}

/** Where resources.ts puts it. */
function revisionIn(word: Word, json: JsonObject): number {
  switch (word) {
    case 'cluster':
      return Number.parseInt(textAt(json, 'connectTimeout'), 10)
    case 'listener':
      return Number(textAt(json, 'statPrefix'))
    case 'route':
      return Number(at(json, 'maxDirectResponseBodySizeBytes') ?? 0)
    case 'secret':
      return Number(textAt(json, 'genericSecret', 'secret', 'inlineString'))
    case 'extension':
      return Number(textAt(json, 'typedConfig', 'statPrefix'))
    case 'endpoint':
    case 'scopedRoute':
    case 'virtualHost':
      return 0
  }
}

function readCluster(cluster: JsonObject): Partial<Meaning> {
  const isEds = textAt(cluster, 'type') === 'EDS'
  const service = textAt(cluster, 'edsClusterConfig', 'serviceName')
  const validation = ['transportSocket', 'typedConfig', 'commonTlsContext', 'validationContextSdsSecretConfig', 'name']
  return {
    assignment: isEds ? service || textAt(cluster, 'name') : undefined,
    children: listAt(cluster, 'clusterType', 'typedConfig', 'clusters').map(String),
    secrets: named(textAt(cluster, ...validation)),
  }
}

function readListener(listener: JsonObject): Partial<Meaning> {
  const found = { clusters: [] as string[], checked: [] as string[], secrets: [] as string[] }
  const [extensions, routes] = [[] as string[], [] as string[]]
  let hasScopes = false
  for (const chain of objectsAt(listener, 'filterChains')) {
    const certificates = ['transportSocket', 'typedConfig', 'commonTlsContext', 'tlsCertificateSdsSecretConfigs']
    for (const secret of objectsAt(chain, ...certificates)) found.secrets.push(textAt(secret, 'name'))
    for (const filter of objectsAt(chain, 'filters')) {
      const config = at(filter, 'typedConfig') as JsonObject
      found.clusters.push(...named(textAt(config, 'cluster')))
      for (const weighted of objectsAt(config, 'weightedClusters', 'clusters')) {
        found.clusters.push(textAt(weighted, 'name'))
      }
      const inline = at(config, 'routeConfig')
      if (inline !== undefined) found.checked.push(...clustersOfRoutes(inline as JsonObject))
      routes.push(...named(textAt(config, 'rds', 'routeConfigName')))
      hasScopes ||= at(config, 'scopedRoutes', 'scopedRds') !== undefined
      for (const http of objectsAt(config, 'httpFilters')) {
        if (http['configDiscovery'] !== undefined) extensions.push(textAt(http, 'name'))
      }
    }
  }
  found.clusters.push(...found.checked)
  return { ...found, extensions, routes, hasScopes }
}

function clustersOfRoutes(configuration: JsonObject): string[] {
  return objectsAt(configuration, 'virtualHosts').flatMap(clustersOfHost)
}

function clustersOfHost(host: JsonObject): string[] {
  return objectsAt(host, 'routes').flatMap((route) => [
    ...named(textAt(route, 'route', 'cluster')),
    ...objectsAt(route, 'route', 'weightedClusters', 'clusters').map((weighted) => textAt(weighted, 'name')),
    ...objectsAt(route, 'route', 'requestMirrorPolicies').map((mirror) => textAt(mirror, 'cluster')),
  ])
}

function at(value: JsonValue | undefined, ...path: readonly string[]): JsonValue | undefined {
  let found = value
  for (const key of path) found = (found as JsonObject | undefined)?.[key]
  return found
}

const textAt = (value: JsonValue, ...path: readonly string[]): string => (at(value, ...path) as string) ?? ''
const listAt = (value: JsonValue, ...path: readonly string[]): JsonValue[] => (at(value, ...path) as JsonValue[]) ?? []
const objectsAt = (value: JsonValue, ...path: readonly string[]): JsonObject[] => listAt(value, ...path) as JsonObject[]
const named = (name: string): string[] => (name === '' ? [] : [name])
