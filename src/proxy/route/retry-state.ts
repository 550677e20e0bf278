import type { Cluster, Resource } from '../cluster/cluster.ts'
import type { Headers } from '../http/headers.ts'
import type { ProxyContext } from '../proxy-context.ts'
import type { UpstreamFailure } from '../upstream/upstream.ts'
import { type ClusterCounts, countsOf } from './cluster-counts.ts'
import type { RetryPolicy } from './retry-policy.ts'

/** Why a failed try is not tried again. */
export type NoRetry = 'no' | 'limit exceeded' | 'overflow'

const grpcStatuses: Readonly<Record<string, number>> = {
  cancelled: 1,
  'deadline-exceeded': 4,
  internal: 13,
  'resource-exhausted': 8,
  unavailable: 14,
}

/** What was broken off in no word of the upstream's: a timeout of a try. */
export type BreakOff = UpstreamFailure | 'timeout'

/** The retries of one request. */
export class RetryState {
  readonly policy: RetryPolicy
  readonly #on: ReadonlySet<string>
  readonly #statuses: ReadonlySet<number>
  readonly #headerNames: readonly string[]
  readonly #circuit: Resource
  readonly #counts: ClusterCounts
  readonly #context: ProxyContext
  #remaining: number
  #nextBackOffMs: number
  /** A retry that is under way holds its place in the circuit. */
  #isHolding = false

  /** Undefined where nothing would ever be tried again. What the request says of retries goes no further. */
  static of(
    request: Headers,
    policy: RetryPolicy | undefined,
    cluster: Cluster,
    circuit: Resource,
    context: ProxyContext,
  ): RetryState | undefined {
    const asked = takeWords(request, 'x-envoy-retry-on')
    const askedGrpc = takeWords(request, 'x-envoy-retry-grpc-on')
    const maxRetries = takeWords(request, 'x-envoy-max-retries')[0]
    const statuses = takeWords(request, 'x-envoy-retriable-status-codes').map(Number)
    const headerNames = takeWords(request, 'x-envoy-retriable-header-names')
    if (policy === undefined && asked.length + askedGrpc.length === 0) return undefined
    const own = policy ?? noPolicy
    const isRetriable = own.requestHeaders.length === 0 || own.requestHeaders.some((test) => test(request))
    const on = new Set([...(isRetriable ? own.on : []), ...asked, ...askedGrpc])
    if (on.size === 0) return undefined
    const remaining = maxRetries !== undefined && /^\d+$/.test(maxRetries) ? Number(maxRetries) : own.retries
    const all = statuses.length === 0 ? own.statuses : new Set([...own.statuses, ...statuses])
    return new RetryState(own, on, remaining, all, headerNames, circuit, countsOf(cluster), context)
  }

  private constructor(
    policy: RetryPolicy,
    on: ReadonlySet<string>,
    remaining: number,
    statuses: ReadonlySet<number>,
    headerNames: readonly string[],
    circuit: Resource,
    counts: ClusterCounts,
    context: ProxyContext,
  ) {
    this.policy = policy
    this.#on = on
    this.#remaining = remaining
    this.#statuses = statuses
    this.#headerNames = headerNames
    this.#circuit = circuit
    this.#counts = counts
    this.#context = context
    this.#nextBackOffMs = policy.backOff.baseMs
  }

  /** How long to wait before the next try, in ms, or why there is none. */
  onHeaders(headers: Headers): number | NoRetry {
    const decision = this.#decide(this.#wantsAfterHeaders(headers))
    if (typeof decision !== 'number') return decision
    const asked = this.#askedWaitMs(headers)
    if (asked === undefined) return decision
    this.#counts.retryBackOffRateLimited.add()
    return asked * (1 + this.#context.random() / 2)
  }

  onBreakOff(reason: BreakOff): number | NoRetry {
    return this.#decide(this.#wantsAfterBreakOff(reason))
  }

  /** Nothing will be tried again: the body grew too large, or everything is over. */
  release(): void {
    if (!this.#isHolding) return
    this.#isHolding = false
    this.#circuit.give()
  }

  #decide(isWanted: boolean): number | NoRetry {
    if (this.#isHolding && !isWanted) this.#counts.retrySuccess.add()
    this.release()
    if (!isWanted) return 'no'
    if (this.#remaining === 0) {
      this.#counts.retryLimitExceeded.add()
      return 'limit exceeded'
    }
    this.#remaining -= 1
    if (!this.#circuit.take()) {
      this.#counts.retryOverflow.add()
      return 'overflow'
    }
    this.#isHolding = true
    this.#counts.retry.add()
    this.#counts.retryBackOff.add()
    return this.#backOffMs()
  }

  /** By chance below a bound that doubles with each retry. */
  #backOffMs(): number {
    const bound = this.#nextBackOffMs
    this.#nextBackOffMs = Math.min(2 * bound, this.policy.backOff.maxMs)
    return Math.floor(this.#context.random() * bound)
  }

  #wantsAfterHeaders(headers: Headers): boolean {
    const on = this.#on
    if (headers.has('x-envoy-ratelimited')) return on.has('envoy-ratelimited')
    const status = Number(headers.get(':status'))
    if (on.has('5xx') && status >= 500 && status < 600) return true
    if (on.has('gateway-error') && status >= 502 && status <= 504) return true
    if (on.has('retriable-4xx') && status === 409) return true
    if (on.has('retriable-status-codes') && this.#statuses.has(status)) return true
    if (on.has('retriable-headers')) {
      if (this.policy.responseHeaders.some((test) => test(headers))) return true
      if (this.#headerNames.some((name) => headers.has(name.toLowerCase()))) return true
    }
    const grpcStatus = headers.get('grpc-status')
    if (grpcStatus === undefined) return false
    for (const word of on) if (grpcStatuses[word] === Number(grpcStatus)) return true
    return false
  }

  #wantsAfterBreakOff(reason: BreakOff): boolean {
    const on = this.#on
    if (on.has('reset') && (reason === 'timeout' || reason.flag !== 'UO')) return true
    const isOverflow = reason !== 'timeout' && reason.flag === 'UO'
    if (isOverflow) return false
    if (on.has('5xx') || on.has('gateway-error')) return true
    if (reason === 'timeout') return false
    if (on.has('refused-stream') && reason.isRefused) return true
    if (reason.flag !== 'UF') return false
    // What never had a connection was never sent.
    return on.has('connect-failure') || on.has('reset-before-request')
  }

  /** What the upstream asks for, where the policy heeds that. */
  #askedWaitMs(headers: Headers): number | undefined {
    const { rateLimited } = this.policy
    if (rateLimited === undefined) return undefined
    for (const { name, format } of rateLimited.headers) {
      const text = headers.get(name)
      if (text === undefined || !/^\d+$/.test(text)) continue
      const ms = format === 'SECONDS' ? Number(text) * 1000 : Number(text) * 1000 - Date.now()
      if (ms > 0 && ms <= rateLimited.maxMs) return ms
    }
    return undefined
  }
}

const noPolicy: RetryPolicy = {
  on: new Set(),
  retries: 1,
  perTryTimeoutMs: undefined,
  perTryIdleTimeoutMs: undefined,
  avoidsTriedHosts: false,
  previousPriorities: undefined,
  hostAttempts: 1,
  statuses: new Set(),
  backOff: { baseMs: 25, maxMs: 250 },
  rateLimited: undefined,
  responseHeaders: [],
  requestHeaders: [],
}

function takeWords(request: Headers, name: string): readonly string[] {
  const text = request.get(name)
  if (text === undefined) return []
  request.remove(name)
  return text
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '')
}
