/**
 * What a mesh in plain config must do, as cases that take the data plane as a parameter: a stock Envoy today, whatever else
 * speaks xDS tomorrow. A case knows documents, apps and requests; what it asks of a proxy has names of its own.
 */
import { describe, test } from 'vitest'
import { testBeside } from '../../support/side-by-side.ts'
import type { Protocol } from '../../support/wire-client.ts'
import { createBed, type MeshBed } from './bed.ts'
import { balancingCases } from './cases/balancing.ts'
import { convergenceCases } from './cases/convergence.ts'
import { defaultsCases } from './cases/defaults.ts'
import { discoveryCases } from './cases/discovery.ts'
import { egressCases } from './cases/egress.ts'
import { extensionCases } from './cases/extension.ts'
import { failoverCases } from './cases/failover.ts'
import { gatewayCases } from './cases/gateway.ts'
import { grpcCases } from './cases/grpc.ts'
import { protectionCases } from './cases/protection.ts'
import { releaseCases } from './cases/release.ts'
import { retryCases } from './cases/retry.ts'
import { routingCases } from './cases/routing.ts'
import { sidecarCases } from './cases/sidecar.ts'
import { wholeCases } from './cases/whole.ts'

/** What a case needs and a data plane may lack; a case whose needs are not met is skipped, and says so in its name. */
export type Feature =
  | 'http'
  | 'http2'
  | 'tcp'
  | 'grpc'
  | 'weights'
  | 'mirror'
  | 'retry'
  | 'regex'
  | 'sticky'
  | 'faults'
  | 'fallback'
  | 'balancing'
  | 'limits'
  | 'outliers'
  | 'dns'
  | 'regions'
  | 'zones'
  | 'sidecar'
  /** Hosts that it looks up when they are asked for. */
  | 'egress'
  | 'access log'
  /** Certificates of both sides. */
  | 'tls'
  /** Counters that Prometheus reads. */
  | 'metrics'
  /** Spans by OTLP. */
  | 'tracing'
  /** Filters of Envoy's own API. */
  | 'filters'

/** Who a proxy says that it is. */
export interface ProxyNode {
  readonly id: string
  readonly cluster: string
  readonly metadata?: Readonly<Record<string, unknown>>
  readonly locality?: { readonly region?: string; readonly zone?: string; readonly subZone?: string }
  /** The Service that it is in front of, by which it knows its peers. */
  readonly service?: string
}

export interface DataPlane {
  readonly name: string
  readonly features: ReadonlySet<Feature>
  /** Starts a proxy that gets its configuration from `xds`; resolves when it serves what it was sent first. */
  start(options: {
    readonly node: ProxyNode
    /** `127.0.0.1:PORT` */
    readonly xds: string
    readonly protocol: Protocol
    /** The port on 127.0.0.1 of a name server, in place of the machine's. */
    readonly nameServer?: number
    /** Among how many its connections are, where it can have several; one where nothing is said. */
    readonly threads?: number
  }): Promise<RunningProxy>
}

/** Closed by whoever started it, or at the end of the test. */
export interface RunningProxy {
  /** The port of a listener; waits for it. */
  port(listener: string): Promise<number>
  /** 0 while there is nothing to count. */
  count(what: ProxyCount): Promise<number>
  /** What Prometheus is told, as text. */
  metrics(): Promise<string>
  /** Whether this text is anywhere in what it was sent. */
  knows(text: string): Promise<boolean>
  /** The version of each cluster, listener and route configuration that it goes by: `cluster cart`. */
  versions(): Promise<Readonly<Record<string, string>>>
  close(): Promise<void>
}

export type ProxyCount =
  /** Requests that came in by a listener. */
  | { readonly requestsBy: string }
  /** Connections to a listener that were closed because it goes. */
  | { readonly drainedBy: string }
  /** Tries, not what clients sent. */
  | { readonly requestsTo: string }
  | { readonly retriesTo: string }
  /** Requests that were too many to wait for a connection. */
  | { readonly refusedTo: string }
  /** Open now. */
  | { readonly connectionsTo: string }
  /** Endpoints that get nothing now, for they failed requests. */
  | { readonly ejectedOf: string }
  /** Endpoints that are healthy now. */
  | { readonly healthyOf: string }
  /** 1 while it is connected to a control plane. */
  | 'connected'
  /** Updates that it did not take. */
  | 'rejections'
  /** Clusters that it made anew, and so warmed and connected again. */
  | 'clusters changed'
  /** Listeners that it made anew or drained. */
  | 'listeners changed'

export interface MeshCase {
  /** Of the project's map of functions. */
  readonly rows: readonly string[]
  /** A sentence. */
  readonly name: string
  readonly needs: readonly Feature[]
  /** It is about the way of documents to the proxy: asked of every source. Others are asked of the first alone. */
  readonly isAboutSources?: true
  /** It takes seconds by its nature: a data plane may have it asked in the long form alone. */
  readonly isLong?: true
  /** It is about what only this source has. */
  readonly source?: MeshSource
  run(bed: MeshBed): Promise<void>
}

export const meshCases: readonly MeshCase[] = [
  ...discoveryCases,
  ...routingCases,
  ...releaseCases,
  ...retryCases,
  ...balancingCases,
  ...protectionCases,
  ...failoverCases,
  ...gatewayCases,
  ...egressCases,
  ...grpcCases,
  ...extensionCases,
  ...sidecarCases,
  ...defaultsCases,
  ...convergenceCases,
  ...wholeCases,
]

export type MeshSource = 'files' | 'etcd'

/** Each source with another protocol, so that both are seen. */
const protocolOf: Readonly<Record<MeshSource, Protocol>> = { files: 'delta', etcd: 'sotw' }

export interface MeshCaseOptions {
  /**
   * `brief`: without those that are long; `long`: those alone; `thorough`: every case from every source, and not only those that are about
   * sources.
   */
  readonly form?: 'brief' | 'long' | 'thorough'
}

/** Defines a test for each case; call it within a suite that has the data plane at hand. */
export function runMeshCases(plane: DataPlane, sources: readonly MeshSource[], { form }: MeshCaseOptions = {}): void {
  for (const [index, source] of sources.entries()) {
    describe(`${plane.name}, from ${source}`, () => {
      const isOfAll = index === 0 || form === 'thorough'
      const isAsked = (one: MeshCase): boolean => {
        if (form === 'brief' && one.isLong) return false
        if (form === 'long' && !one.isLong) return false
        return one.source === undefined ? isOfAll || one.isAboutSources === true : one.source === source
      }
      for (const one of meshCases.filter(isAsked)) {
        const lacking = one.needs.filter((feature) => !plane.features.has(feature))
        const name = `${one.name} (${one.rows.join(' ')})`
        if (lacking.length > 0) test.skip(`${name} (skipped: it has no ${lacking.join(', ')})`, () => {})
        else testBeside(name, async () => await one.run(await createBed(plane, source, protocolOf[source])))
      }
    })
  }
}
