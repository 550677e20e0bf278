import type { Clock } from '../clock.ts'
import type { Log } from '../log.ts'
import type { EnvoyApi } from '../resource/envoy-api.ts'
import type { Runtime } from './runtime.ts'
import type { StatStore } from './stats/stat-store.ts'

/** What every part of one proxy may use. */
export interface ProxyContext {
  readonly api: EnvoyApi
  readonly node: ProxyIdentity
  readonly clock: Clock
  /** From 0 up to 1. */
  readonly random: () => number
  readonly log: Log
  readonly stats: StatStore
  readonly runtime: Runtime
  /** Where access logs go that are meant for stdout and stderr; those of the process where absent. */
  readonly stdout?: NodeJS.WritableStream
  readonly stderr?: NodeJS.WritableStream
}

/** `node` of the bootstrap, as far as the data plane itself goes by it. */
export interface ProxyIdentity {
  readonly id: string
  readonly cluster: string
  readonly locality: Locality
}

export interface Locality {
  readonly region: string
  readonly zone: string
  readonly subZone: string
}
