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
  tcpKeepaliveMs: { value: 60_000, why: 'a host that vanished is found out before the next request' },
  tcpKeepaliveIntervalS: { value: 10, why: 'the system waits 75 s between two questions' },
  tcpKeepaliveProbes: { value: 3, why: 'the system asks nine times; who is silent half a minute is gone' },
  bufferBytes: { value: 32_768, why: 'memory is bounded by the number of connections' },
  http2Streams: { value: 100, why: 'what servers allow: more would wait in one connection while others are idle' },
  http2StreamWindow: { value: 65_536, why: 'memory that one stream can take' },
  http2ConnectionWindow: { value: 1_048_576, why: 'memory that one connection can take' },
  http2KeepaliveMs: { value: 30_000, why: 'a connection that is half open is found out without losing a request' },
  http2KeepaliveTimeoutMs: { value: 5000, why: 'longer than any pause of a process that lives' },
  balancing: { value: 'least-request', why: 'a slow host gets less, which neither turns nor chance can do' },
  choices: { value: 2, why: 'the better of two random hosts avoids a slow one without asking all' },
  zoneAware: {
    value: true,
    why: 'crossing zones costs money and time; callers whose zone is not known are not affected',
  },
  zoneMinEndpoints: { value: 2, why: 'with one endpoint there is nothing to prefer' },
  panicPercent: { value: 30, why: 'outlier detection ejects up to half of the hosts, which must not end balancing' },
  overprovisioningOfFallback: {
    value: 100_000,
    why: 'with a backend to fall back to, one healthy host takes its share, and no request goes to the dead ones',
  },
  maxConnections: { value: 1024, why: 'one service that hangs must not take all sockets' },
  maxPendingRequests: { value: 1024, why: 'what waits longer than that is better refused' },
  maxRequests: { value: 1024, why: 'one service that hangs must not take all memory' },
  retryBudgetPercent: { value: 20, why: 'retries grow with the load, and never double it' },
  retryBudgetMin: { value: 10, why: 'a quiet service can retry, too, when all hosts of a place die at once' },
  consecutive5xx: { value: 5, why: 'five failures in a row are no accident' },
  outlierIntervalMs: { value: 10_000, why: 'looked at often enough to matter, seldom enough to cost nothing' },
  ejectionTimeMs: { value: 30_000, why: 'a process restarts in that time' },
  maxEjectionTimeMs: { value: 300_000, why: 'what comes back is found within minutes' },
  maxEjectedPercent: { value: 50, why: 'when more than half of the hosts fail, the cause is elsewhere' },
  healthIntervalMs: { value: 5000, why: 'a host that fails is out within a quarter of a minute' },
  healthTimeoutMs: { value: 1000, why: 'who needs longer to say that it is well is not' },
  healthJitterPercent: { value: 10, why: 'proxies that started together do not ask together' },
  unhealthyAfter: { value: 3, why: 'one lost packet takes no host out' },
  healthyAfter: { value: 2, why: 'one lucky answer brings no host back' },
  updateMergeWindowMs: {
    value: 50,
    why: 'hosts of one place fail together; by itself, Envoy acts on all but the first up to a second later',
  },
  dnsRefreshMs: { value: 5000, why: 'a name that moves is followed within seconds' },
} as const

export const routeDefaults = {
  timeoutMs: { value: 15_000, why: 'a person has gone away by then' },
  retryAttempts: { value: 2, why: 'two other hosts show whether it was the host; more is load on what is sick' },
  retryOn: {
    value: ['connect-failure', 'refused-stream'],
    why: 'the request was never read; what failed later is retried where the Route says so',
  },
  retryMethods: {
    value: ['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'],
    why: 'what is done twice by these is as if it were done once',
  },
  backOffMs: { value: 25, why: 'a host that restarts gets a moment, and the client notices none of it' },
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
  connectAttempts: { value: 2, why: 'one host that just went away costs a client nothing' },
  http2KeepaliveTimeoutMs: { value: 5000, why: 'longer than any pause of a client that lives' },
  traceSamplePercent: { value: 1, why: 'traces of one in a hundred requests show what is slow, and cost little' },
} as const

export const sidecarDefaults = {
  outboundPort: { value: 15_001, why: 'a port that workloads do not use' },
  outboundAddress: { value: '127.0.0.1', why: 'nobody but the workload itself is to call by its proxy' },
  outboundIpv6Address: { value: '::1', why: 'the same, where a Sidecar says `ipv6`' },
  appConnectTimeoutMs: { value: 1000, why: 'the workload is on the same host' },
  appIdleTimeoutMs: {
    value: 4000,
    why: 'some servers close idle connections after 5 s, and a new connection on the same host costs nothing',
  },
} as const
