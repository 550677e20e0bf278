import type { Locality } from '../proxy-context.ts'

export type HostHealth = 'healthy' | 'degraded' | 'unhealthy'

/** An endpoint of a cluster. It lives as long as its address is a member, through changes of its weight and health. */
export interface Host {
  /** `10.0.0.1:8080`, `[::1]:8080`, as Envoy prints it. */
  readonly address: string
  readonly ip: string
  readonly port: number
  /** What it was looked up as, or is called; empty where it has no name. */
  readonly hostname: string
  readonly locality: Locality
  readonly priority: number
  readonly weight: number
  /** `metadata.filter_metadata`, by filter. */
  readonly metadata: Readonly<Record<string, Readonly<Record<string, unknown>>>>
  /** By active checks, what EDS says, and outlier detection, all together. */
  readonly health: HostHealth
  /** Of `/clusters`: `cx_total`, `rq_active`, … by Envoy's names. */
  readonly stats: HostStats
  /** What became of a try, for outlier detection. */
  report(outcome: TryOutcome): void
  /** The header or trailer `endpoint-load-metrics` of a response, for balancers that go by it. */
  reportLoad?(header: string): void
  /** How long it took from sending a request until its answer began, for balancers that go by it. */
  reportLatency?(ms: number): void
  /** Called once, when the host is no member any more. */
  onRemoved(act: () => void): void
  /**
   * Called when checks or outlier detection find it unhealthy: connections for requests are used no more, and raw ones are
   * closed where its cluster wants that.
   */
  onUnhealthy(act: () => void): void
}

/** Public for whoever counts: these are hot. */
export interface HostStats {
  cxActive: number
  cxConnectFail: number
  cxTotal: number
  rqActive: number
  rqError: number
  rqSuccess: number
  rqTimeout: number
  rqTotal: number
}

export const noHostStats = (): HostStats => ({
  cxActive: 0,
  cxConnectFail: 0,
  cxTotal: 0,
  rqActive: 0,
  rqError: 0,
  rqSuccess: 0,
  rqTimeout: 0,
  rqTotal: 0,
})

export type TryOutcome =
  | { readonly status: number }
  /** What came from this side of the response: no connection, a reset, a timeout. */
  | { readonly failure: 'connect' | 'reset' | 'timeout' }
  /** A raw connection that came about. */
  | { readonly connected: true }
