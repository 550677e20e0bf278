/** What the builders give and take. A builder is pure; the rules of `model/` alone call them and compose what they give. */
import type { AccessLog, Hash, Percent, RouteDefaults, Tracing } from '../config/kinds/common-form.ts'
import type { GatewayForm, GatewayListener } from '../config/kinds/gateway-form.ts'
import type { InstanceForm } from '../config/kinds/instance-form.ts'
import type { KindDocument } from '../config/kinds/kind-document.ts'
import type { PatchForm } from '../config/kinds/patch-form.ts'
import type { RouteForm } from '../config/kinds/route-form.ts'
import type { SecretContent } from '../config/kinds/secret-content.ts'
import type { SecretForm } from '../config/kinds/secret-form.ts'
import type { Endpoint, ServiceForm, ServicePolicy } from '../config/kinds/service-form.ts'
import type { SidecarForm } from '../config/kinds/sidecar-form.ts'
import type { EnvoyApi } from '../resource/envoy-api.ts'
import type { NodeSelector } from '../resource/node-selector.ts'
import type { Tree } from '../resource/tree.ts'
import type { ResourceWord } from '../resource/type-url.ts'
import type { PlacedProblem } from './build-generated.ts'
import type { AllowedHosts } from './egress/allowed-hosts.ts'
import type { EnvoyJson, SourcePlace } from './envoy-json.ts'

/** A resource before it is checked and encoded. */
export interface GeneratedJson {
  readonly type: ResourceWord
  readonly name: string
  readonly json: EnvoyJson
  readonly from: SourcePlace
  /** Only for callers of this region; others have another of the same name. */
  readonly callers?: CallerRegion
  /** Not for who calls the Service, but for proxies that are in front of it themselves. */
  readonly isForPeers?: true
  /** Only for who names this version of the Service. */
  readonly version?: string
  /** Secrets whose files were never right: what needs one is left out, and comes with its files. */
  readonly unready?: readonly string[]
  /** What the JSON is encoded, where that is known without it: taken where nothing changes or shows the JSON. */
  readonly encode?: () => Uint8Array
  readonly alike?: AlikeJson
}

/** The same with blanks for the names of whoever it is for: those that differ by nothing else are checked and encoded once. */
export interface AlikeJson {
  /** Made of places of `anyone`. */
  readonly json: EnvoyJson
  /** Equal for what has equal JSON of one type, made of the same place. */
  readonly text: string
  /** For the blanks; none is empty. */
  readonly names: readonly [name: string, service: string]
}

/** Callers by the region that they are in: of one, or of none of some. */
export type CallerRegion = { readonly region: string } | { readonly notRegions: readonly string[] }

/**
 * What others may know of a Service. Endpoints are not in it: a change of one leaves the facet as it is, and so nothing
 * but the Service's own assignments is made anew.
 */
export interface ServiceFacet {
  /** Of its document, to tell things of. */
  readonly key: string
  readonly name: string
  readonly protocol: ServiceForm['protocol']
  readonly port: number | undefined
  readonly address: string | undefined
  /** Names that callers use: its own, and further ones. */
  readonly hosts: readonly string[]
  readonly versions: readonly string[]
  readonly isConsistentHash: boolean
  /** What of a request decides its endpoint, where a rule does not say; only of one that balances by it. */
  readonly hash: Hash | undefined
  readonly isDns: boolean
  /** Some of its endpoints, or of those that may register, are only used when others fail. */
  readonly hasPriorities: boolean
}

export interface ServiceFacets {
  /** Undefined for a Service that is not in force, which a Route cannot name. */
  get(name: string): ServiceFacet | undefined
}

/** The endpoints behind a cluster. */
export interface Assignment {
  readonly name: string
  readonly overprovisioningFactor?: number
  /** Asked by health checks where an endpoint says no other. */
  readonly healthPort?: number
  readonly localities: readonly AssignedLocality[]
}

export interface AssignedLocality {
  readonly region: string
  readonly zone: string
  readonly subZone: string
  readonly priority: number
  readonly weight?: number
  readonly endpoints: readonly Endpoint[]
}

/** A cluster that tries its members in order. */
export interface FallbackCluster {
  readonly name: string
  readonly members: readonly string[]
  readonly from: SourcePlace
}

/** HTTP filters, in the fixed order of the chain; the router is last. */
export const httpFilters = ['cors', 'fault', 'buffer', 'compressor', 'dynamic-forward-proxy'] as const

export type HttpFilterKind = (typeof httpFilters)[number]

/** What a proxy must have for what was built to work: names of clusters of Services, of Secrets, and of clusters of the Mesh. */
export interface Needs {
  readonly clusters: readonly string[]
  readonly secrets: readonly string[]
  readonly meshClusters: readonly MeshCluster[]
}

export type MeshCluster = 'otlp' | 'zipkin' | 'passthrough' | 'egress'

/** What the Mesh says of how all Services are called. */
export interface ServiceDefaults {
  readonly policy: ServicePolicy
  readonly from: SourcePlace
}

export interface ServiceInput {
  readonly service: KindDocument<ServiceForm>
  readonly instances: readonly InstanceForm[]
  readonly defaults: ServiceDefaults | undefined
  /** The Mesh's order of regions, for Services without their own. */
  readonly failover: readonly string[] | undefined
  readonly secrets: SecretFacets
  /** Some rule falls back to it, or from it: its clusters spill over host by host. */
  readonly isFallbackMember: boolean
}

export interface ServiceOutput {
  readonly resources: readonly GeneratedJson[]
  /** Names of those that its clusters name. */
  readonly secrets: readonly string[]
  readonly problems: readonly PlacedProblem[]
}

export interface RouteConfigurationInput {
  readonly name: string
  /** Of the listener; empty is every host. */
  readonly hosts: readonly string[]
  /** Attached, in the order of their names. */
  readonly routes: readonly KindDocument<RouteForm>[]
  readonly services: ServiceFacets
  /** First of the caller's side, then of the Mesh. */
  readonly defaults: RouteDefaults
  readonly side: 'gateway' | 'sidecar'
  /** Services that are reached by their names without a Route. */
  readonly implicit: readonly ServiceFacet[]
  /** Hosts that are served where no Route is for them (`*`, say). */
  readonly others?: readonly OtherHosts[]
  /** Where redirects to https lead whose request has a port; 443 where nothing is said. */
  readonly httpsPort?: number
  /** What it is made for, where nothing more particular is at hand. */
  readonly from: SourcePlace
}

/** Hosts of nobody here, and how they are served: Envoy's routes, and its retry policy. */
export interface OtherHosts {
  readonly hosts: readonly string[]
  readonly routes: readonly EnvoyJson[]
  readonly retry?: EnvoyJson
}

export interface RouteConfigurationOutput {
  readonly json: EnvoyJson
  readonly filters: ReadonlySet<HttpFilterKind>
  readonly fallbacks: readonly FallbackCluster[]
  /** Those of Services that its routes name. */
  readonly clusters: readonly string[]
  readonly problems: readonly PlacedProblem[]
}

/** What a Mesh says to listeners and routes that do not say it themselves. */
export interface MeshLayer {
  readonly accessLog: AccessLog | undefined
  readonly tracing: Tracing | undefined
  readonly defaults: RouteDefaults
  /** Milliseconds for whatever is called, where nothing nearer says another. */
  readonly connectTimeout: number | undefined
  /** What a sidecar does with a host of no Service. */
  readonly outbound: 'deny' | 'allow'
}

export interface GatewayInput {
  readonly gateway: KindDocument<GatewayForm>
  /** Those that name it, in the order of their names. */
  readonly routes: readonly KindDocument<RouteForm>[]
  readonly services: ServiceFacets
  readonly secrets: SecretFacets
  readonly mesh: MeshLayer
}

export interface GatewayOutput {
  readonly resources: readonly GeneratedJson[]
  readonly fallbacks: readonly FallbackCluster[]
  readonly needs: Needs
  readonly problems: readonly PlacedProblem[]
}

/** Where a proxy sends traces, and how many. */
export interface Tracer {
  readonly collector: 'otlp' | 'zipkin'
  /** The collector's cluster. */
  readonly cluster: string
  /** The collector's host, which Zipkin is asked for. */
  readonly host: string
  /** What spans say the proxy is. */
  readonly service: string
  readonly sample: Percent | undefined
}

export interface HcmOptions {
  readonly statPrefix: string
  readonly side: 'edge' | 'inbound' | 'outbound'
  readonly routes: { readonly rds: string } | { readonly inline: EnvoyJson }
  readonly filters: ReadonlySet<HttpFilterKind>
  readonly accessLog: AccessLog | undefined
  readonly tracing: Tracer | undefined
  readonly listener: Partial<GatewayListener>
  readonly trustedHops?: number
  /** The cache of names that requests to hosts outside share with their cluster. */
  readonly dnsCache?: string
  readonly from: SourcePlace
}

/** What others may know of a Secret: not its content, so that a rotation changes no listener. */
export interface SecretFacet {
  readonly name: string
  readonly isCa: boolean
  /** The names of its certificate; undefined where its files were never right. */
  readonly dnsNames: readonly string[] | undefined
}

export interface SecretFacets {
  get(name: string): SecretFacet | undefined
}

/** A file that a document names. */
export type FileState =
  | { readonly kind: 'read'; readonly bytes: Uint8Array }
  | { readonly kind: 'failed'; readonly why: string; readonly fix: string }

export interface SecretInput {
  readonly secret: KindDocument<SecretForm>
  /** Undefined where its files were never right. */
  readonly content: SecretContent | undefined
}

export interface SecretOutput {
  /** Undefined where the content is not at hand. */
  readonly resource: GeneratedJson | undefined
  readonly problems: readonly PlacedProblem[]
}

export interface SidecarInput {
  readonly sidecar: KindDocument<SidecarForm>
  readonly outbound: SidecarOutbound
  /** Those of its workloads. */
  readonly services: { get(name: string): Pick<ServiceFacet, 'protocol'> | undefined }
  readonly mesh: MeshLayer
}

/** What a workload may call. */
export interface OutboundInput {
  /** Of its route configuration. */
  readonly name: string
  /** The Services. */
  readonly reachable: readonly ServiceFacet[]
  /** For the hosts that it may call, in the order of their names. */
  readonly routes: readonly KindDocument<RouteForm>[]
  readonly services: ServiceFacets
  readonly defaults: RouteDefaults
  readonly connectTimeout: number | undefined
  /** The cluster through which hosts of no Service are reached; undefined where they are refused. */
  readonly passthrough: string | undefined
  readonly egress: OutboundEgress | undefined
  readonly from: SourcePlace
}

/** Hosts outside that a workload may reach. */
export interface OutboundEgress {
  readonly cluster: string
  /** One at least. */
  readonly allowed: readonly AllowedHosts[]
}

export interface OutboundOutput {
  readonly resources: readonly GeneratedJson[]
  readonly filters: ReadonlySet<HttpFilterKind>
  /** Those of Services that it calls. */
  readonly clusters: readonly string[]
  readonly problems: readonly PlacedProblem[]
}

/** What the listeners of a Sidecar need to know of it. */
export interface SidecarOutbound {
  /** The route configuration. */
  readonly routes: string
  readonly filters: ReadonlySet<HttpFilterKind>
  readonly ports: readonly OutboundPort[]
  readonly passthrough: string | undefined
  readonly egress: OutboundEgress | undefined
}

/** Where a Service is called that is not told by its host: HTTP ones of one port are one, without `service`. */
export interface OutboundPort {
  /** Undefined: wherever the sidecar listens. */
  readonly address: string | undefined
  readonly port: number
  readonly service?: Pick<ServiceFacet, 'name' | 'protocol' | 'hosts'>
}

export interface PatchInput {
  readonly api: EnvoyApi
  readonly type: ResourceWord
  readonly tree: Tree
  /** Those of the resource, in the order of their names. */
  readonly patches: readonly KindDocument<PatchForm>[]
}

export interface PatchOutput {
  readonly tree: Tree
  /** At the places of the patches. */
  readonly problems: readonly PlacedProblem[]
}

/** The selectors of the proxies that a unit is for; equal sets are one object. */
export interface Audience {
  readonly key: string
  readonly selectors: readonly NodeSelector[]
}
