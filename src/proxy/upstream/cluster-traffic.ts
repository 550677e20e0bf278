import type { Cluster } from '../cluster/cluster.ts'
import type { Host } from '../cluster/host.ts'
import type { Counter, Gauge, Histogram } from '../stats/stat-store.ts'

/** The stats of a cluster's connections and requests, by Envoy's names. */
export interface ClusterTraffic {
  readonly cxTotal: Counter
  readonly cxActive: Gauge
  readonly cxHttp1Total: Counter
  readonly cxHttp2Total: Counter
  readonly cxConnectFail: Counter
  readonly cxConnectTimeout: Counter
  readonly cxIdleTimeout: Counter
  readonly cxMaxDurationReached: Counter
  readonly cxMaxRequests: Counter
  readonly cxOverflow: Counter
  readonly cxConnectMs: Histogram
  readonly cxLengthMs: Histogram
  readonly cxDestroy: Counter
  readonly cxDestroyLocal: Counter
  readonly cxDestroyRemote: Counter
  readonly cxDestroyWithActiveRq: Counter
  readonly cxDestroyLocalWithActiveRq: Counter
  readonly cxDestroyRemoteWithActiveRq: Counter
  readonly cxCloseNotify: Counter
  readonly cxProtocolError: Counter
  readonly cxRxBytes: Counter
  readonly cxTxBytes: Counter
  readonly rqTotal: Counter
  readonly rqActive: Gauge
  readonly rqPendingTotal: Counter
  readonly rqPendingActive: Gauge
  readonly rqPendingOverflow: Counter
  readonly rqPendingFailureEject: Counter
  readonly rqRxReset: Counter
  readonly rqTxReset: Counter
  /** Made with the first HTTP/2 connection. */
  http2KeepaliveTimeout(): Counter
}

export function trafficOf({ stats }: Cluster): ClusterTraffic {
  return {
    cxTotal: stats.counter('upstream_cx_total'),
    cxActive: stats.gauge('upstream_cx_active'),
    cxHttp1Total: stats.counter('upstream_cx_http1_total'),
    cxHttp2Total: stats.counter('upstream_cx_http2_total'),
    cxConnectFail: stats.counter('upstream_cx_connect_fail'),
    cxConnectTimeout: stats.counter('upstream_cx_connect_timeout'),
    cxIdleTimeout: stats.counter('upstream_cx_idle_timeout'),
    cxMaxDurationReached: stats.counter('upstream_cx_max_duration_reached'),
    cxMaxRequests: stats.counter('upstream_cx_max_requests'),
    cxOverflow: stats.counter('upstream_cx_overflow'),
    cxConnectMs: stats.histogram('upstream_cx_connect_ms'),
    cxLengthMs: stats.histogram('upstream_cx_length_ms'),
    cxDestroy: stats.counter('upstream_cx_destroy'),
    cxDestroyLocal: stats.counter('upstream_cx_destroy_local'),
    cxDestroyRemote: stats.counter('upstream_cx_destroy_remote'),
    cxDestroyWithActiveRq: stats.counter('upstream_cx_destroy_with_active_rq'),
    cxDestroyLocalWithActiveRq: stats.counter('upstream_cx_destroy_local_with_active_rq'),
    cxDestroyRemoteWithActiveRq: stats.counter('upstream_cx_destroy_remote_with_active_rq'),
    cxCloseNotify: stats.counter('upstream_cx_close_notify'),
    cxProtocolError: stats.counter('upstream_cx_protocol_error'),
    cxRxBytes: stats.counter('upstream_cx_rx_bytes_total'),
    cxTxBytes: stats.counter('upstream_cx_tx_bytes_total'),
    rqTotal: stats.counter('upstream_rq_total'),
    rqActive: stats.gauge('upstream_rq_active'),
    rqPendingTotal: stats.counter('upstream_rq_pending_total'),
    rqPendingActive: stats.gauge('upstream_rq_pending_active'),
    rqPendingOverflow: stats.counter('upstream_rq_pending_overflow'),
    rqPendingFailureEject: stats.counter('upstream_rq_pending_failure_eject'),
    rqRxReset: stats.counter('upstream_rq_rx_reset'),
    rqTxReset: stats.counter('upstream_rq_tx_reset'),
    http2KeepaliveTimeout: () => stats.counter('http2.keepalive_timeout'),
  }
}

/** A connection to a host is begun: it counts for the cluster and for the host. */
export function countBegun({ cxTotal, cxActive }: ClusterTraffic, { stats }: Host): void {
  cxTotal.add()
  cxActive.add(1)
  stats.cxTotal++
  stats.cxActive++
}

/** It is over, or has not come about. */
export function countOver({ cxActive, cxDestroy }: ClusterTraffic, { stats }: Host): void {
  cxActive.add(-1)
  stats.cxActive--
  cxDestroy.add()
}

/** Who ended it. */
export function countEnder({ cxDestroyLocal, cxDestroyRemote }: ClusterTraffic, isLocal: boolean): void {
  if (isLocal) cxDestroyLocal.add()
  else cxDestroyRemote.add()
}
