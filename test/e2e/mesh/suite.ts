/**
 * What a mesh in plain config must do, as cases that take the data plane as a parameter: a stock Envoy today, whatever else
 * speaks xDS tomorrow. A case knows documents, apps and requests; what it asks of a proxy has names of its own.
 */
import { describe, test } from 'vitest'
import type { Protocol } from '../../support/wire-client.ts'
import { createBed, type MeshBed } from './bed.ts'
import { convergenceCases } from './cases/convergence.ts'
import { discoveryCases } from './cases/discovery.ts'
import { gatewayCases } from './cases/gateway.ts'
import { releaseCases } from './cases/release.ts'
import { retryCases } from './cases/retry.ts'
import { routingCases } from './cases/routing.ts'

/** What a case needs and a data plane may lack; a case whose needs are not met is skipped, and says so in its name. */
export type Feature = 'http' | 'weights' | 'mirror' | 'retry' | 'regex' | 'sticky'

export interface DataPlane {
  readonly name: string
  readonly features: ReadonlySet<Feature>
  /** Starts a proxy that gets its configuration from `xds`; resolves when it serves what it was sent first. */
  start(options: {
    readonly node: {
      readonly id: string
      readonly cluster: string
      readonly metadata?: Readonly<Record<string, unknown>>
    }
    /** `127.0.0.1:PORT` */
    readonly xds: string
    readonly protocol: Protocol
  }): Promise<RunningProxy>
}

/** Closed by whoever started it, or at the end of the test. */
export interface RunningProxy {
  /** The port of a listener; waits for it. */
  port(listener: string): Promise<number>
  /** A number that only grows. 0 while there is nothing to count. */
  count(what: ProxyCount): Promise<number>
  close(): Promise<void>
}

export type ProxyCount =
  /** Tries, not what clients sent. */
  | { readonly requestsTo: string }
  | { readonly retriesTo: string }
  /** Updates that it did not take. */
  | 'rejections'
  /** Clusters that it made anew, and so warmed and connected again. */
  | 'clusters changed'
  /** Listeners that it made anew or drained. */
  | 'listeners changed'

export interface MeshCase {
  /** Of SCOPE.md. */
  readonly rows: readonly string[]
  /** A sentence. */
  readonly name: string
  readonly needs: readonly Feature[]
  /** It is about the way of documents to the proxy: asked of every source. Others are asked of the first alone. */
  readonly isAboutSources?: true
  run(bed: MeshBed): Promise<void>
}

export const meshCases: readonly MeshCase[] = [
  ...discoveryCases,
  ...routingCases,
  ...releaseCases,
  ...retryCases,
  ...gatewayCases,
  ...convergenceCases,
]

export type MeshSource = 'files' | 'etcd'

/** Each source with another protocol, so that both are seen. */
const protocolOf: Readonly<Record<MeshSource, Protocol>> = { files: 'delta', etcd: 'sotw' }

/** Defines a test for each case; call it within a suite that has the data plane at hand. */
export function runMeshCases(plane: DataPlane, sources: readonly MeshSource[]): void {
  for (const [index, source] of sources.entries()) {
    describe(`${plane.name}, from ${source}`, () => {
      for (const one of meshCases.filter(({ isAboutSources }) => index === 0 || isAboutSources === true)) {
        const lacking = one.needs.filter((feature) => !plane.features.has(feature))
        const name = `${one.name} (${one.rows.join(' ')})`
        if (lacking.length > 0) test.skip(`${name} (skipped: it has no ${lacking.join(', ')})`, () => {})
        else test(name, async () => await one.run(await createBed(plane, source, protocolOf[source])))
      }
    })
  }
}
