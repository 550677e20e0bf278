import { isDeepStrictEqual } from 'node:util'
import type { GatewayForm } from '../../config/kinds/gateway-form.ts'
import type { KindDocument } from '../../config/kinds/kind-document.ts'
import type { FormOf, Kind } from '../../config/kinds/kind-form.ts'
import type { PatchForm } from '../../config/kinds/patch-form.ts'
import type { RouteForm } from '../../config/kinds/route-form.ts'
import type { SecretContent } from '../../config/kinds/secret-content.ts'
import type { Origin } from '../../errors.ts'
import type { EnvoyApi } from '../../resource/envoy-api.ts'
import { generatedKey, peersKey, regionalKey, versionKey } from '../../resource/generated-key.ts'
import { nearestName } from '../../resource/json/near-name.ts'
import { keyOf, type Named } from '../../resource/named.ts'
import { areDisjoint, type NodeSelector } from '../../resource/node-selector.ts'
import type { Resource } from '../../resource/resource.ts'
import type { Tree } from '../../resource/tree.ts'
import { resourceTypes } from '../../resource/type-url.ts'
import { buildAlike } from '../build-alike.ts'
import { buildFromBytes, buildFromTree, type Generated, type PlacedProblem } from '../build-generated.ts'
import { buildRoutes } from '../build-routes.ts'
import type { Reads, Rule } from '../cells.ts'
import { buildServiceUnit, facetOf } from '../cluster/build-service-unit.ts'
import type {
  Audience,
  CallerRegion,
  GatewayOutput,
  GeneratedJson,
  MeshLayer,
  Needs,
  SecretFacet,
  ServiceDefaults,
  ServiceFacet,
  ServiceFacets,
} from '../contract.ts'
import { openEgress } from '../egress/allowed-hosts.ts'
import { documentsOf, treeOf } from '../envoy-json.ts'
import { buildGateway } from '../listener/build-gateway.ts'
import { takesRequests } from '../listener/listener-part.ts'
import { tracerClusterJson } from '../listener/tracing.ts'
import { clusterName, partOfCluster, sharedOutbound } from '../names.ts'
import { applyPatches } from '../patch/apply-patches.ts'
import { absentTarget, unservedTarget } from '../patch/target-problems.ts'
import { buildFallbackCluster, membersOfFallbacks } from '../route/fallback.ts'
import { servedHosts } from '../route/host-pattern.ts'
import { buildSecret, secretFacetOf } from '../secret/build-secret.ts'
import { closeUnready } from '../secret/close-unready.ts'
import type { WayIn } from '../secret/ways-in.ts'
import { buildAlikeSidecar } from '../sidecar/alike-sidecars.ts'
import { ownPortProblems } from '../sidecar/own-ports.ts'
import { type AddressRules, addressRules } from './address-rules.ts'
import { audienceOf, joinAudience, peersOf, regionalAudience, selectorsOfNodes } from './audience.ts'
import { type OutboundRules, outboundRules } from './outbound-rules.ts'

/** A unit of the world, raw or of a kind, as far as translation looks at it. */
export interface WorldUnit {
  readonly key: string
  readonly origin: Origin
  readonly selectors: readonly NodeSelector[]
  readonly resources: readonly Resource[]
}

/** Who provides and uses a name among the documents. */
export interface WorldIndex {
  providers(typeUrl: string, name: string): ReadonlyMap<string, WorldUnit>
  users(typeUrl: string, name: string): ReadonlyMap<string, WorldUnit>
}

/** What a document of a kind was translated to. */
export interface GeneratedUnit {
  readonly key: string
  readonly origin: Origin
  readonly selectors: readonly NodeSelector[]
  readonly resources: readonly Resource[]
}

/** Resources that others have made otherwise, or have not. */
export interface BuiltPart {
  readonly isForPeers: boolean
  /** Undefined: the Service itself. */
  readonly version: string | undefined
  /** Undefined: of whatever region. */
  readonly callers: CallerRegion | undefined
  readonly resources: readonly Resource[]
}

/** What a builder gave, checked and encoded. */
export interface Built {
  readonly resources: readonly Resource[]
  /** What only some of its proxies get. */
  readonly parts: readonly BuiltPart[]
  /** What the builder made, also where a rule of the API refuses it: `cluster cart`. */
  readonly made: readonly string[]
  /** What is closed for want of a Secret. */
  readonly closed: readonly WayIn[]
  /** By the resource's key: of which documents it is made. */
  readonly documents: ReadonlyMap<string, ReadonlySet<string>>
  readonly needs: Needs
  readonly problems: readonly PlacedProblem[]
}

/** A raw resource with the type and name of a generated one, for a node that gets both. */
export interface GeneratedClash {
  readonly resource: Resource
  readonly rivalKey: string
  readonly rival: Resource
}

export interface MeshRules extends AddressRules {
  readonly service: Rule<Built>
  readonly instance: Rule<string | undefined>
  readonly route: Rule<readonly string[]>
  readonly fallbackMembers: Rule<readonly string[]>
  /** By kind and name: `Gateway/edge`. */
  readonly proxy: Rule<Built>
  readonly gatewayName: Rule<string>
  readonly serviceHosts: OutboundRules['serviceHosts']
  readonly meshRoute: OutboundRules['meshRoute']
  readonly sidecarKind: OutboundRules['sidecarKind']
  readonly anchor: OutboundRules['anchor']
  readonly patch: Rule<string | undefined>
  readonly patchTarget: Rule<readonly PlacedProblem[]>
  readonly attachment: Rule<readonly PlacedProblem[]>
  /** Several where a document becomes something else for callers of other regions. */
  readonly units: Rule<readonly GeneratedUnit[]>
  readonly clashes: Rule<readonly GeneratedClash[]>
}

/** The kinds of inputs beside the documents' own (`Service`): what raw documents say of a name. */
export const rawUsers = 'raw users'
export const rawProviders = 'raw providers'

const nothingNeeded: Needs = { clusters: [], secrets: [], meshClusters: [] }

/** The unit of what all sidecars share that may call every Service. */
export const sharedOutboundKey: string = `+${sharedOutbound}`

/** The kind of input that a Secret's content is. */
export const secretContent = 'Secret content'

/** Shown each resource before it is encoded, while each of its values still says what it was made of (`explain`). */
export type OnBuilt = (built: Pick<GeneratedJson, 'type' | 'name'> & { readonly tree: Tree }) => void

/** Told of an error of the server's own in a builder, which concerns one document. */
export type OnFailure = (error: unknown, document: KindDocument) => void

/** How what is generated follows from the documents. `indexOf` gives the index of the candidate that is looked at. */
export function meshRules(
  api: EnvoyApi,
  indexOf: () => WorldIndex,
  onFailure: OnFailure,
  lastOf: (unitKey: string) => readonly GeneratedUnit[],
  onBuilt: OnBuilt | undefined,
): MeshRules {
  const facet: Rule<ServiceFacet | undefined> = {
    name: 'facet',
    level: 1,
    compute(read, name) {
      const service = documentIn(read, 'Service', name)
      return service && facetOf(service, read.get(serviceDefaults, ''))
    },
    isSame: isDeepStrictEqual,
  }

  const serviceDefaults: Rule<ServiceDefaults | undefined> = {
    name: 'service defaults',
    level: 0,
    compute(read) {
      const mesh = documentIn(read, 'Mesh', 'mesh')
      const policy = mesh?.form.defaults?.service
      return mesh && policy && { policy, from: { document: mesh, path: 'defaults.service' } }
    },
    // Where that stands is looked up by the document's key when somebody is told.
    isSame: (a, b) => a?.from.document.key === b?.from.document.key && isDeepStrictEqual(a?.policy, b?.policy),
  }

  const failover: Rule<readonly string[] | undefined> = {
    name: 'failover',
    level: 0,
    compute: (read) => documentIn(read, 'Mesh', 'mesh')?.form.failover,
    isSame: isDeepStrictEqual,
  }

  const meshLayer: Rule<MeshLayer> = {
    name: 'mesh layer',
    level: 1,
    compute(read) {
      const form = documentIn(read, 'Mesh', 'mesh')?.form
      const { service: _, ...defaults } = form?.defaults ?? {}
      return {
        accessLog: form?.accessLog,
        tracing: form?.tracing,
        defaults,
        connectTimeout: form?.defaults?.service?.connectionPool?.connectTimeout,
        outbound: form?.outbound ?? 'deny',
      }
    },
    isSame: isDeepStrictEqual,
  }

  /** The Service that an instance registered for. */
  const instance: Rule<string | undefined> = {
    name: 'instance',
    level: 1,
    compute: (read, name) => documentIn(read, 'Instance', name)?.form.service,
    isSame: (a, b) => a === b,
    facts: (registry) => (registry === undefined ? [] : [['instances of', registry] as const]),
  }

  /** What a Patch is for: `cluster cart`. */
  const patch: Rule<string | undefined> = {
    name: 'patch',
    level: 1,
    compute(read, name) {
      const target = documentIn(read, 'Patch', name)?.form.target
      return target && `${target.type} ${target.name}`
    },
    isSame: (a, b) => a === b,
    facts: (target) => (target === undefined ? [] : [['patches of', target] as const]),
  }

  const service: Rule<Built> = {
    name: 'service',
    level: 2,
    compute(read, name) {
      const document = documentIn(read, 'Service', name)
      if (document === undefined) return nothingBuilt
      const registry = document.form.registry?.name
      const names = registry === undefined ? [] : read.members('instances of', registry)
      return guarded(document, () => {
        const output = buildServiceUnit({
          service: document,
          instances: names.flatMap((one) => documentIn(read, 'Instance', one)?.form ?? []),
          defaults: read.get(serviceDefaults, ''),
          failover: read.get(failover, ''),
          secrets: { get: (wanted) => read.get(secretFacet, wanted) },
          isFallbackMember: read.members('fallback members', name).length > 0,
        })
        return build(read, output.resources, { ...nothingNeeded, secrets: output.secrets }, output.problems)
      })
    },
    isSame: isSameBuilt,
    facts: (built) => [
      ...built.needs.secrets.map((needed) => ['called by secret', needed] as const),
      ...generatedFacts(built),
    ],
  }

  /** The Gateways that a Route names. */
  const route: Rule<readonly string[]> = {
    name: 'route',
    level: 1,
    compute: (read, name) => documentIn(read, 'Route', name)?.form.gateways ?? [],
    isSame: isDeepStrictEqual,
    facts: (gateways) => gateways.map((gateway) => ['routes of', gateway] as const),
  }

  /** The Services of a Route's rules that fall back, and those that they fall back to. */
  const fallbackMembers: Rule<readonly string[]> = {
    name: 'fallback members',
    level: 1,
    compute: (read, name) => membersOfFallbacks(documentIn(read, 'Route', name)?.form.rules ?? []),
    isSame: isDeepStrictEqual,
    facts: (services) => services.map((service) => ['fallback members', service] as const),
  }

  /** Found under `gateways`, so that a wrong name can be told what is near. */
  const gatewayName: Rule<string> = {
    name: 'gateway name',
    level: 1,
    compute: (_, name) => name,
    isSame: (a, b) => a === b,
    facts: () => [['gateways', '']],
  }

  const proxy: Rule<Built> = {
    name: 'proxy',
    level: 5,
    compute(read, key) {
      const [kind, name] = kindAndName(key)
      if (key === sharedOutbound) return sharedOutboundBuilt(read)
      if (kind === 'Sidecar') return sidecar(read, name)
      if (kind === 'Secret') return secret(read, name)
      if (kind === 'Mesh') return mesh(read)
      const document = kind === 'Gateway' ? documentIn(read, kind, name) : undefined
      if (document === undefined) return nothingBuilt
      return guarded(document, () => {
        const output = gateway(read, document)
        return build(read, withFallbacks(output), output.needs, output.problems)
      })
    },
    isSame: isSameBuilt,
    facts: (built) => [
      ...built.needs.clusters.map((needed) => ['users of', needed] as const),
      ...built.needs.secrets.map((needed) => ['users of secret', needed] as const),
      ...(built.needs.meshClusters.length > 0 ? [['users of the mesh', ''] as const] : []),
      ...generatedFacts(built),
    ],
  }

  function gateway(read: Reads, document: KindDocument<GatewayForm>): GatewayOutput {
    return buildGateway({
      gateway: document,
      routes: routesOf(read, document.form.name),
      services: { get: (wanted) => read.get(facet, wanted) },
      secrets: { get: (wanted) => read.get(secretFacet, wanted) },
      mesh: read.get(meshLayer, ''),
    })
  }

  function sidecar(read: Reads, name: string): Built {
    const document = documentIn(read, 'Sidecar', name)
    if (document === undefined) return nothingBuilt
    return guarded(document, () => {
      const services: ServiceFacets = { get: (wanted) => read.get(facet, wanted) }
      const { own, ...outbound } = outboundRule.outboundOf(read, document)
      const layer = read.get(meshLayer, '')
      const listeners = buildAlikeSidecar({ sidecar: document, outbound, services, mesh: layer })
      const needs: Needs = {
        clusters: own?.clusters ?? [],
        secrets: [],
        meshClusters: layer.tracing === undefined ? [] : [layer.tracing.otlp === undefined ? 'zipkin' : 'otlp'],
      }
      const problems = [...(own?.problems ?? []), ...ownPortProblems({ sidecar: document, outbound })]
      return build(read, [...listeners, ...(own?.resources ?? [])], needs, problems)
    })
  }

  /** What all sidecars share that may call every Service. */
  function sharedOutboundBuilt(read: Reads): Built {
    const document = read.get(outboundRule.anchor, '')
    if (document === undefined) return nothingBuilt
    return guarded(document, () => {
      const output = read.get(outboundRule.shared, '')
      if (output === undefined) return nothingBuilt
      // Those of the Services themselves are for every sidecar that may call all of them.
      const clusters = output.clusters.filter((cluster) => partOfCluster(cluster).version !== undefined)
      return build(read, output.resources, { ...nothingNeeded, clusters }, output.problems)
    })
  }

  /** After a restart its content is not at hand until its files are read: clients keep what they have (rule 53). */
  function secret(read: Reads, name: string): Built {
    const document = documentIn(read, 'Secret', name)
    if (document === undefined) return nothingBuilt
    const content = read.input(secretContent, name) as SecretContent | undefined
    const { resource, problems } = buildSecret({ secret: document, content })
    if (resource !== undefined) return build(read, [resource], nothingNeeded, problems)
    return { ...nothingBuilt, resources: lastOf(generatedKey('Secret', name)).flatMap((unit) => unit.resources) }
  }

  /** The clusters that proxies share: where they send traces. */
  function mesh(read: Reads): Built {
    const document = documentIn(read, 'Mesh', 'mesh')
    if (document === undefined) return nothingBuilt
    const { tracing, egress } = document.form
    return guarded(document, () => {
      const tracers = tracing === undefined ? [] : tracerClusterJson('mesh', tracing, { document, path: 'tracing' })
      const open = egress === undefined ? [] : openEgress({ egress, from: { document, path: 'egress' } })
      return build(read, tracers, nothingNeeded, open)
    })
  }

  const meshAudience: Rule<Audience | undefined> = {
    name: 'mesh audience',
    level: 6,
    compute: (read) => audienceOf(read.members('users of the mesh', '').flatMap((user) => read.get(nodes, user))),
    isSame: (a, b) => a === b,
  }

  const secretFacet: Rule<SecretFacet | undefined> = {
    name: 'secret facet',
    level: 1,
    compute(read, name) {
      const document = documentIn(read, 'Secret', name)
      const content = read.input(secretContent, name) as SecretContent | undefined
      return document && secretFacetOf({ secret: document, content })
    },
    isSame: isDeepStrictEqual,
  }

  /**
   * The proxies that show a Secret, or check others by it, as a server or as who calls a Service; and those for which a raw
   * document names it.
   */
  const secretAudience: Rule<Audience | undefined> = {
    name: 'secret audience',
    level: 7,
    compute(read, name) {
      const servers = read.members('users of secret', name).flatMap((user) => read.get(nodes, user))
      const called = read.members('called by secret', name)
      const clusters = called.flatMap((one) => [undefined, ...versionsOf(read, one)].map((v) => clusterName(one, v)))
      const callers = clusters.flatMap((cluster) => read.get(audience, cluster)?.selectors ?? [])
      return audienceOf([
        ...servers,
        ...callers,
        ...rawUsersOf(read, indexOf(), { typeUrl: resourceTypes.secret.typeUrl, name }),
      ])
    },
    isSame: (a, b) => a === b,
  }

  /** One document on which a builder fails must not stop the others: its change falls back. */
  function guarded(document: KindDocument, make: () => Built): Built {
    return attempted(document, make, (problem) => ({ ...nothingBuilt, problems: [problem] }))
  }

  function attempted<T>(document: KindDocument, make: () => T, failed: (problem: PlacedProblem) => T): T {
    try {
      return make()
    } catch (error) {
      onFailure(error, document)
      return failed(builderFailure(document))
    }
  }

  /** The proxies that a Gateway or Sidecar is for. */
  const nodes: Rule<readonly NodeSelector[]> = {
    name: 'nodes',
    level: 1,
    compute(read, key) {
      const [kind, name] = kindAndName(key)
      const document = documentIn(read, kind === 'Sidecar' ? 'Sidecar' : 'Gateway', name)
      return selectorsOfNodes(document?.form.nodes ?? [])
    },
    isSame: isDeepStrictEqual,
  }

  const outboundRule = outboundRules({ facet, meshLayer, nodes, attempted })

  /** The hosts that the listeners of a Gateway serve, a list each; undefined where there is no such Gateway. */
  const hosts: Rule<readonly (readonly string[])[] | undefined> = {
    name: 'hosts',
    level: 1,
    compute: (read, name) =>
      documentIn(read, 'Gateway', name)
        ?.form.listeners.filter(takesRequests)
        .map((one) => one.hosts ?? []),
    isSame: isDeepStrictEqual,
  }

  /** The proxies that call a cluster of a Service, and those for which a raw document names it. */
  const audience: Rule<Audience | undefined> = {
    name: 'audience',
    level: 6,
    compute(read, cluster) {
      const callers = read
        .members('users of', cluster)
        .flatMap((user) =>
          user === sharedOutbound ? (read.get(outboundRule.sharing, '')?.selectors ?? []) : read.get(nodes, user),
        )
      const others = rawUsersOf(read, indexOf(), { typeUrl: resourceTypes.cluster.typeUrl, name: cluster })
      const isWhole = partOfCluster(cluster).version === undefined
      return joinAudience(isWhole ? read.get(outboundRule.untrimmed, '') : undefined, [...callers, ...others])
    },
    isSame: (a, b) => a === b,
  }

  const versionsOf = (read: Reads, service: string): readonly string[] => read.get(facet, service)?.versions ?? []

  /** `patch`: what a Patch would change is not there; `no-effect`: it is, for nobody. */
  const patchTarget: Rule<readonly PlacedProblem[]> = {
    name: 'patch target',
    level: 9,
    compute(read, name) {
      const document = documentIn(read, 'Patch', name)
      if (document === undefined) return []
      const { type, name: wanted } = document.form.target
      const makers = read.members('generated', `${type} ${wanted}`)
      if (makers.length > 0) return unserved(read, document, makers)
      const names = read
        .members('generated of', type)
        .flatMap((maker) =>
          builtBy(read, maker).made.flatMap((one) => (one.startsWith(`${type} `) ? one.slice(type.length + 1) : [])),
        )
      return [absentTarget(document, names)]
    },
    isSame: isDeepStrictEqual,
  }

  /** By what is found in an index: a Service, or another document by kind and name. */
  function builtBy(read: Reads, maker: string): Built {
    return maker.includes('/') ? read.get(proxy, maker) : read.get(service, maker)
  }

  /** What cannot be built, or waits for a Secret, is told where that is wrong. */
  function unserved(
    read: Reads,
    document: KindDocument<PatchForm>,
    makers: readonly string[],
  ): readonly PlacedProblem[] {
    const { type, name } = document.form.target
    const { typeUrl } = resourceTypes[type]
    const isBuilt = makers.some((maker) => {
      const { resources, parts } = builtBy(read, maker)
      const all = [...resources, ...parts.flatMap((part) => part.resources)]
      return all.some((one) => one.typeUrl === typeUrl && one.name === name)
    })
    if (!isBuilt) return []
    const served = makers
      .flatMap((maker) => read.get(units, maker.includes('/') ? `+${maker}` : generatedKey('Service', maker)))
      .flatMap(({ resources }) => resources.flatMap((one) => (one.typeUrl === typeUrl ? one.name : [])))
    return served.includes(name) ? [] : [unservedTarget(document, [...new Set(served)])]
  }

  const hasSidecars: Rule<boolean> = {
    name: 'has sidecars',
    level: 2,
    compute: (read) => read.members('sidecars', '').length > 0,
    isSame: (a, b) => a === b,
  }

  /** `unattached`: what a Route says to nobody. */
  const attachment: Rule<readonly PlacedProblem[]> = {
    name: 'attachment',
    level: 3,
    compute(read, name) {
      const document = documentIn(read, 'Route', name)
      if (document === undefined) return []
      return unattached(
        document,
        (gateway) => read.get(hosts, gateway),
        () => read.members('gateways', ''),
        () => read.get(hasSidecars, ''),
      )
    },
    isSame: isDeepStrictEqual,
  }

  const units: Rule<readonly GeneratedUnit[]> = {
    name: 'units',
    level: 8,
    compute(read, key) {
      const [kind, name] = ownerOf(key)
      const owner = key === sharedOutboundKey ? read.get(outboundRule.anchor, '') : documentIn(read, kind, name)
      const origin = owner?.origin
      const isService = kind === 'Service'
      const { resources, parts } = isService ? read.get(service, name) : read.get(proxy, `${kind}/${name}`)
      const selectors = selectorsOf(read, kind, name)
      if (origin === undefined) return []
      const units = parts.flatMap(({ isForPeers, version, callers, resources: own }): readonly GeneratedUnit[] => {
        const named = version === undefined ? selectors : read.get(audience, clusterName(name, version))?.selectors
        const all = isForPeers ? peersOf(name).selectors : named
        if (all === undefined) return []
        const whole = version === undefined ? key : versionKey(key, version)
        const common = isForPeers ? peersKey(whole) : whole
        if (callers === undefined) return [{ key: common, origin, selectors: all, resources: own }]
        const ownKey = regionalKey(common, 'region' in callers ? callers.region : '')
        return [{ key: ownKey, origin, selectors: regionalAudience(all, callers), resources: own }]
      })
      if (selectors === undefined || resources.length === 0) return units
      return [{ key, origin, selectors, resources }, ...units]
    },
    isSame: (a, b) => a.length === b.length && a.every((one, index) => isSameUnit(one, b[index])),
  }

  function selectorsOf(read: Reads, kind: Kind, name: string): readonly NodeSelector[] | undefined {
    if (kind === 'Service') return read.get(audience, name)?.selectors
    if (`${kind}/${name}` === sharedOutbound) return read.get(outboundRule.sharing, '')?.selectors
    if (kind === 'Secret') return read.get(secretAudience, name)?.selectors
    if (kind === 'Mesh') return read.get(meshAudience, '')?.selectors
    return read.get(nodes, `${kind}/${name}`)
  }

  const clashes: Rule<readonly GeneratedClash[]> = {
    name: 'clashes',
    level: 9,
    compute(read, key) {
      const found = read.get(units, key).flatMap((generated) => clashesOf(read, indexOf(), generated))
      // One that is for all callers meets what those of each region have of the name.
      const byRival = new Map(found.map((clash) => [`${clash.rivalKey}\0${keyOf(clash.resource)}`, clash]))
      return [...byRival.values()]
    },
    isSame: (a, b) =>
      a.length === b.length &&
      a.every((one, index) => one.resource.version === b[index]?.resource.version && one.rival === b[index]?.rival),
  }

  /** What is encoded already, or made of what is; undefined where it has to be made of its JSON. */
  function builtOfOthers(one: GeneratedJson): Generated | undefined {
    const { type, name, from, encode, alike } = one
    if (encode !== undefined) return buildFromBytes(type, name, encode(), from)
    if (alike !== undefined) return buildAlike(api, { type, name, from, alike })
    return type === 'route' ? buildRoutes(api, one.json, from) : undefined
  }

  function build(
    read: Reads,
    jsons: readonly GeneratedJson[],
    needs: Needs,
    problems: readonly PlacedProblem[],
  ): Built {
    const patchedIn: string[] = []
    const built = jsons.map((one): Generated => {
      const { type, name, from } = one
      const patches = read
        .members('patches of', `${type} ${name}`)
        .flatMap((patch) => documentIn(read, 'Patch', patch) ?? [])
      const known = patches.length > 0 || onBuilt !== undefined ? undefined : builtOfOthers(one)
      if (known !== undefined) return known
      const patched = applyPatches({ api, type, tree: treeOf(one.json, from), patches })
      onBuilt?.({ type, name, tree: patched.tree })
      const generated = buildFromTree(api, type, patched.tree, from)
      if (patches.length > 0) patchedIn.push(...clustersIn(generated.resource))
      const problems = [...patched.problems, ...generated.problems]
      return one.unready === undefined
        ? { ...generated, problems }
        : { ...buildReady(one, patched.tree, one.unready), problems }
    })
    const told = built.flatMap((one) => one.problems)
    const { common, parts } = partsOf(jsons, built)
    return {
      resources: common,
      parts,
      made: [...new Set(jsons.map(({ type, name }) => `${type} ${name}`))],
      closed: built.flatMap(({ closed }) => closed ?? []),
      documents: documentsByKey(built),
      needs: patchedIn.length === 0 ? needs : { ...needs, clusters: [...new Set([...needs.clusters, ...patchedIn])] },
      // What is wrong with one is wrong with what others get of it.
      problems: [...problems, ...(parts.length === 0 ? told : distinct(told))],
    }
  }

  /** What of a resource can be served before the files of some Secrets are right; all of it was checked. */
  function buildReady({ type, from }: GeneratedJson, tree: Tree, unready: readonly string[]): Generated {
    const { tree: ready, closed } = closeUnready(type, tree, new Set(unready))
    const built =
      ready === undefined ? { documents: documentsOf(tree), problems: [] } : buildFromTree(api, type, ready, from)
    return { ...built, closed }
  }

  const { serviceHosts, meshRoute, sidecarKind, anchor } = outboundRule
  return {
    ...addressRules(proxy, nodes),
    service,
    serviceHosts,
    instance,
    route,
    fallbackMembers,
    meshRoute,
    proxy,
    gatewayName,
    sidecarKind,
    anchor,
    patch,
    patchTarget,
    attachment,
    units,
    clashes,
  }
}

/** Clusters that several proxies fall back by are in the units of each, under a name that says what they are. */
function withFallbacks({ resources, fallbacks }: GatewayOutput): readonly GeneratedJson[] {
  const named = new Map(fallbacks.map((one) => [one.name, one]))
  return [...resources, ...[...named.values()].map(buildFallbackCluster)]
}

/** The kind and name of the document that units were generated from. */
export function ownerOf(key: string): [kind: Kind, name: string] {
  return kindAndName(key.slice(1))
}

/** Of `Gateway/edge`. */
export function kindAndName(key: string): [kind: Kind, name: string] {
  const slash = key.indexOf('/')
  return [key.slice(0, slash) as Kind, key.slice(slash + 1)]
}

const nothingBuilt: Built = {
  resources: [],
  parts: [],
  made: [],
  closed: [],
  documents: new Map(),
  needs: nothingNeeded,
  problems: [],
}

/** What was built, by whom it is for. */
function partsOf(
  jsons: readonly GeneratedJson[],
  built: readonly Generated[],
): { readonly common: readonly Resource[]; readonly parts: readonly BuiltPart[] } {
  const common: Resource[] = []
  const parts: (BuiltPart & { readonly resources: Resource[] })[] = []
  for (const [index, { callers, version, isForPeers = false }] of jsons.entries()) {
    const resource = built[index]?.resource
    if (resource === undefined) continue
    if (callers === undefined && version === undefined && !isForPeers) {
      common.push(resource)
      continue
    }
    const part = parts.find(
      (one) => one.callers === callers && one.version === version && one.isForPeers === isForPeers,
    )
    if (part === undefined) parts.push({ isForPeers, version, callers, resources: [resource] })
    else part.resources.push(resource)
  }
  return { common, parts }
}

/** What a Patch puts into a resource is known by what it came to. */
function clustersIn(resource: Resource | undefined): readonly string[] {
  const { typeUrl } = resourceTypes.cluster
  return (resource?.references ?? []).flatMap((one) => (one.typeUrl === typeUrl ? [one.name] : []))
}

/** Of which documents each resource is made, in whatever form for whatever callers. */
function documentsByKey(built: readonly Generated[]): Built['documents'] {
  const byKey = new Map<string, ReadonlySet<string>>()
  for (const { resource, documents } of built) {
    if (resource === undefined) continue
    const others = byKey.get(keyOf(resource))
    byKey.set(keyOf(resource), others === undefined ? documents : new Set([...others, ...documents]))
  }
  return byKey
}

function distinct(problems: readonly PlacedProblem[]): readonly PlacedProblem[] {
  return problems.filter((one, index) => problems.findIndex((other) => isDeepStrictEqual(one, other)) === index)
}

function documentIn<K extends Kind>(read: Reads, kind: K, name: string): KindDocument<FormOf<K>> | undefined {
  return read.input(kind, name) as KindDocument<FormOf<K>> | undefined
}

function builderFailure({ key, form }: KindDocument): PlacedProblem {
  return {
    severity: 'error',
    code: 'unreadable',
    at: { key, path: '' },
    message: `The server failed to translate the ${form.kind} ${form.name}, which is an error of the server.`,
    fix: 'Report it with the stack in the log; writing the document in another way may help.',
  }
}

/** The Routes that name a Gateway, in the order of their names. */
function routesOf(read: Reads, gateway: string): readonly KindDocument<RouteForm>[] {
  return read.members('routes of', gateway).flatMap((name) => documentIn(read, 'Route', name) ?? [])
}

function rawUsersOf(read: Reads, index: WorldIndex, named: Named): readonly NodeSelector[] {
  read.external(rawUsers, keyOf(named))
  return [...index.users(named.typeUrl, named.name).values()].flatMap(({ selectors }) => selectorsOfNodes(selectors))
}

function clashesOf(read: Reads, index: WorldIndex, generated: GeneratedUnit): readonly GeneratedClash[] {
  return generated.resources.flatMap((resource) => {
    const { typeUrl, name } = resource
    read.external(rawProviders, keyOf(resource))
    return [...index.providers(typeUrl, name)].flatMap(([rivalKey, rivalUnit]) => {
      // A document of a kind provides the name as well, by what it is translated to.
      const rival = rivalUnit.resources.find((one) => one.typeUrl === typeUrl && one.name === name)
      return rival !== undefined && canMeet(generated.selectors, rivalUnit.selectors)
        ? [{ resource, rivalKey, rival }]
        : []
    })
  })
}

/** How a Patch finds what it is for. */
function generatedFacts({ made }: Built): readonly (readonly [index: string, key: string])[] {
  const words = new Set(made.map((one) => one.slice(0, one.indexOf(' '))))
  return [
    ...made.map((one) => ['generated', one] as const),
    ...[...words].map((word) => ['generated of', word] as const),
  ]
}

function canMeet(a: readonly NodeSelector[], b: readonly NodeSelector[]): boolean {
  return selectorsOfNodes(a).some((x) => selectorsOfNodes(b).some((y) => !areDisjoint(x, y)))
}

function unattached(
  document: KindDocument<RouteForm>,
  hostsOf: (gateway: string) => readonly (readonly string[])[] | undefined,
  names: () => readonly string[],
  hasSidecars: () => boolean,
): readonly PlacedProblem[] {
  const { gateways, hosts } = document.form
  const told = (path: string, message: string, fix: string): PlacedProblem => ({
    severity: 'warning',
    code: 'unattached',
    at: { key: document.key, path },
    message,
    fix,
  })
  const forNobody = (path: string): readonly PlacedProblem[] => {
    if (hasSidecars()) return []
    const message = 'The Route is for the sidecars, and there is none, so it has no effect.'
    return [told(path, message, 'Name the Gateways that it is for: `gateways: [edge]`.')]
  }
  if (gateways === undefined || gateways.length === 0) return forNobody('')
  return gateways.flatMap((gateway, index) => {
    if (gateway === 'mesh') return forNobody(`gateways[${index}]`)
    const listeners = hostsOf(gateway)
    const path = `gateways[${index}]`
    if (listeners === undefined) {
      const near = nearestName(gateway, [...names()])
      const fix = near === undefined ? `Define the Gateway ${gateway}.` : `Did you mean \`${near}\`?`
      return [told(path, `There is no Gateway ${gateway}, so the Route has no effect there.`, fix)]
    }
    if (listeners.some((listener) => servedHosts(hosts, listener).length > 0)) return []
    const message = `No listener of the Gateway ${gateway} is for a host of this Route, so it has no effect there.`
    return [told(path, message, 'Change `hosts` here or there.')]
  })
}

function isSameBuilt(a: Built, b: Built): boolean {
  return (
    haveSameVersions(a.resources, b.resources) &&
    areSameParts(a.parts, b.parts) &&
    isDeepStrictEqual(a.made, b.made) &&
    isDeepStrictEqual(a.closed, b.closed) &&
    isDeepStrictEqual(a.needs, b.needs) &&
    isDeepStrictEqual(a.problems, b.problems) &&
    isDeepStrictEqual(a.documents, b.documents)
  )
}

function areSameParts(a: readonly BuiltPart[], b: readonly BuiltPart[]): boolean {
  return (
    a.length === b.length &&
    a.every(({ isForPeers, version, callers, resources }, index) => {
      const other = b[index]
      return (
        other !== undefined &&
        other.isForPeers === isForPeers &&
        other.version === version &&
        isDeepStrictEqual(callers, other.callers) &&
        haveSameVersions(resources, other.resources)
      )
    })
  )
}

/** Another object that says the same. */
export function isSameUnit(a: GeneratedUnit, b: GeneratedUnit | undefined): boolean {
  if (a === b || b === undefined) return a === b
  if (a.key !== b.key) return false
  return haveSameVersions(a.resources, b.resources) && isDeepStrictEqual(a.selectors, b.selectors)
}

function haveSameVersions(a: readonly Resource[], b: readonly Resource[]): boolean {
  return (
    a.length === b.length &&
    a.every(({ typeUrl, name, version, isReady }, index) => {
      const other = b[index]
      return other?.typeUrl === typeUrl && other.name === name && other.version === version && other.isReady === isReady
    })
  )
}
