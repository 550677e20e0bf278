/** What stands in the generated configuration where neither the document nor the Mesh says anything, and why. */
export interface Default<T> {
  readonly value: T
  /** For the reference page and `explain`. */
  readonly why: string
}

export const serviceDefaults = {
  connectTimeoutMs: {
    value: 1000,
    why: 'a LAN answers in milliseconds; 5 s, which is what Envoy takes, hides hosts that are down',
  },
  idleTimeoutMs: {
    value: 60_000,
    why: 'servers close idle connections after 60 to 75 s: going first means no reset on reuse',
  },
  tcpKeepaliveS: { value: 60, why: 'a host that vanished is found out before the next request' },
  bufferBytes: { value: 32_768, why: 'memory is bounded by the number of connections' },
  choices: { value: 2, why: 'the better of two random hosts avoids a slow one without asking all' },
  panicPercent: { value: 30, why: 'outlier detection ejects up to half of the hosts, which must not end balancing' },
  maxConnections: { value: 1024, why: 'one service that hangs must not take all sockets' },
  maxPendingRequests: { value: 1024, why: 'what waits longer than that is better refused' },
  maxRequests: { value: 1024, why: 'one service that hangs must not take all memory' },
  retryBudgetPercent: { value: 20, why: 'retries grow with the load, and never double it' },
  retryBudgetMin: { value: 3, why: 'a quiet service can retry, too' },
  consecutive5xx: { value: 5, why: 'five failures in a row are no accident' },
  outlierIntervalMs: { value: 10_000, why: 'looked at often enough to matter, seldom enough to cost nothing' },
  ejectionTimeMs: { value: 30_000, why: 'a process restarts in that time' },
  maxEjectionTimeMs: { value: 300_000, why: 'what comes back is found within minutes' },
  maxEjectedPercent: { value: 50, why: 'when more than half of the hosts fail, the cause is elsewhere' },
} as const

export const routeDefaults = {
  timeoutMs: { value: 15_000, why: 'a person has gone away by then' },
} as const

export const listenerDefaults = {
  address: { value: '0.0.0.0', why: 'a gateway is there for others' },
  bufferBytes: { value: 32_768, why: 'memory is bounded by the number of connections' },
  requestHeadersTimeoutMs: {
    value: 10_000,
    why: 'a client that sends its headers drop by drop holds a connection only so long',
  },
  streamIdleTimeoutMs: { value: 300_000, why: 'a stream on which nothing happens ends' },
  idleTimeoutMs: { value: 3_600_000, why: 'clients keep connections, and forget them' },
  http2Streams: { value: 100, why: 'one connection asks for a bounded amount of work' },
  http2StreamWindow: { value: 65_536, why: 'memory a stream can take' },
  http2ConnectionWindow: { value: 1_048_576, why: 'memory a connection can take' },
  trustedHops: { value: 0, why: 'x-forwarded-for is what strangers write' },
} as const
