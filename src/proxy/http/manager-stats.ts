import type { Counter, Gauge, Histogram, StatScope } from '../stats/stat-store.ts'

/** What a connection manager counts, below `http.PREFIX.`; responses also below that of its listener. */
export interface ManagerStats {
  readonly scope: StatScope
  readonly connections: {
    readonly total: Counter
    readonly active: Gauge
    readonly sslTotal: Counter
    readonly sslActive: Gauge
    readonly http1Total: Counter
    readonly http1Active: Gauge
    readonly http2Total: Counter
    readonly http2Active: Gauge
    readonly upgradesTotal: Counter
    readonly upgradesActive: Gauge
    readonly protocolError: Counter
    readonly drainClose: Counter
    readonly idleTimeout: Counter
    readonly maxDuration: Counter
    readonly maxRequests: Counter
    readonly destroyed: Counter
    readonly destroyedRemote: Counter
    readonly destroyedLocal: Counter
    readonly destroyedActive: Counter
    readonly destroyedRemoteActive: Counter
    readonly destroyedLocalActive: Counter
    readonly prematureResets: Counter
    readonly rxBytes: Counter
    readonly txBytes: Counter
    readonly lengthMs: Histogram
  }
  readonly requests: {
    readonly total: Counter
    readonly http1Total: Counter
    readonly http2Total: Counter
    readonly active: Gauge
    readonly completed: Counter
    /** By the first digit of the status. */
    readonly byClass: readonly (Counter | undefined)[]
    readonly listenerCompleted: Counter
    readonly listenerByClass: readonly (Counter | undefined)[]
    readonly rxReset: Counter
    readonly txReset: Counter
    readonly timeout: Counter
    readonly headerTimeout: Counter
    readonly idleTimeout: Counter
    readonly maxDuration: Counter
    readonly nonRelativePath: Counter
    readonly redirectedPath: Counter
    readonly failedPath: Counter
    readonly beforeComplete: Counter
    readonly upgradeRefused: Counter
    readonly underscores: Counter
    readonly underscoreHeadersDropped: Counter
    readonly timeMs: Histogram
  }
  readonly routes: {
    readonly noRoute: Counter
    readonly noCluster: Counter
    readonly direct: Counter
    readonly total: Counter
    readonly resetAfterStart: Counter
  }
}

export function createManagerStats(scope: StatScope, listener: StatScope): ManagerStats {
  const counter = (name: string): Counter => scope.counter(name)
  return {
    scope,
    connections: {
      total: counter('downstream_cx_total'),
      active: scope.gauge('downstream_cx_active'),
      sslTotal: counter('downstream_cx_ssl_total'),
      sslActive: scope.gauge('downstream_cx_ssl_active'),
      http1Total: counter('downstream_cx_http1_total'),
      http1Active: scope.gauge('downstream_cx_http1_active'),
      http2Total: counter('downstream_cx_http2_total'),
      http2Active: scope.gauge('downstream_cx_http2_active'),
      upgradesTotal: counter('downstream_cx_upgrades_total'),
      upgradesActive: scope.gauge('downstream_cx_upgrades_active'),
      protocolError: counter('downstream_cx_protocol_error'),
      drainClose: counter('downstream_cx_drain_close'),
      idleTimeout: counter('downstream_cx_idle_timeout'),
      maxDuration: counter('downstream_cx_max_duration_reached'),
      maxRequests: counter('downstream_cx_max_requests_reached'),
      destroyed: counter('downstream_cx_destroy'),
      destroyedRemote: counter('downstream_cx_destroy_remote'),
      destroyedLocal: counter('downstream_cx_destroy_local'),
      destroyedActive: counter('downstream_cx_destroy_active_rq'),
      destroyedRemoteActive: counter('downstream_cx_destroy_remote_active_rq'),
      destroyedLocalActive: counter('downstream_cx_destroy_local_active_rq'),
      prematureResets: counter('downstream_rq_too_many_premature_resets'),
      rxBytes: counter('downstream_cx_rx_bytes_total'),
      txBytes: counter('downstream_cx_tx_bytes_total'),
      lengthMs: scope.histogram('downstream_cx_length_ms'),
    },
    requests: {
      total: counter('downstream_rq_total'),
      http1Total: counter('downstream_rq_http1_total'),
      http2Total: counter('downstream_rq_http2_total'),
      active: scope.gauge('downstream_rq_active'),
      completed: counter('downstream_rq_completed'),
      byClass: byClass(scope),
      listenerCompleted: listener.counter('downstream_rq_completed'),
      listenerByClass: byClass(listener),
      rxReset: counter('downstream_rq_rx_reset'),
      txReset: counter('downstream_rq_tx_reset'),
      timeout: counter('downstream_rq_timeout'),
      headerTimeout: counter('downstream_rq_header_timeout'),
      idleTimeout: counter('downstream_rq_idle_timeout'),
      maxDuration: counter('downstream_rq_max_duration_reached'),
      nonRelativePath: counter('downstream_rq_non_relative_path'),
      redirectedPath: counter('downstream_rq_redirected_with_normalized_path'),
      failedPath: counter('downstream_rq_failed_path_normalization'),
      beforeComplete: counter('downstream_rq_response_before_rq_complete'),
      upgradeRefused: counter('downstream_rq_ws_on_non_ws_route'),
      underscores: counter('requests_rejected_with_underscores_in_headers'),
      underscoreHeadersDropped: counter('dropped_headers_with_underscores'),
      timeMs: scope.histogram('downstream_rq_time'),
    },
    routes: {
      noRoute: counter('no_route'),
      noCluster: counter('no_cluster'),
      direct: counter('rq_direct_response'),
      total: counter('rq_total'),
      resetAfterStart: counter('rq_reset_after_downstream_response_started'),
    },
  }
}

const byClass = (scope: StatScope): readonly (Counter | undefined)[] => [
  undefined,
  ...[1, 2, 3, 4, 5].map((digit) => scope.counter(`downstream_rq_${digit}xx`)),
]
