import type { Headers } from '../http/headers.ts'
import type { ForwardAction } from './forward-action.ts'
import type { RetryPolicy } from './retry-policy.ts'
import type { RouterConfig } from './router-config.ts'

/** In ms; 0 is none. */
export interface RouterTimeouts {
  /** Of all tries together, from the end of the request to the end of the response. */
  readonly global: number
  readonly perTry: number
  readonly perTryIdle: number
}

/** By the route, and by what the request itself says of it in headers, which end here. */
export function timeoutsOf(
  request: Headers,
  action: ForwardAction,
  retry: RetryPolicy | undefined,
  config: RouterConfig,
): RouterTimeouts {
  let global = action.maxStreamDuration?.replacesTimeout === true ? 0 : action.timeoutMs
  const expected = config.respectsExpectedTimeout
    ? millisecondsIn(request, 'x-envoy-expected-rq-timeout-ms')
    : undefined
  const asked = millisecondsIn(request, 'x-envoy-upstream-rq-timeout-ms')
  if (expected !== undefined) global = expected
  else if (asked !== undefined) {
    global = asked
    request.remove('x-envoy-upstream-rq-timeout-ms')
  }
  let perTry = millisecondsIn(request, 'x-envoy-upstream-rq-per-try-timeout-ms') ?? retry?.perTryTimeoutMs ?? 0
  request.remove('x-envoy-upstream-rq-per-try-timeout-ms')
  // It would never be the first to pass.
  if (perTry >= global && global !== 0) perTry = 0
  return { global, perTry, perTryIdle: retry?.perTryIdleTimeoutMs ?? 0 }
}

function millisecondsIn(request: Headers, name: string): number | undefined {
  const text = request.get(name)
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined
}

/** Tells the upstream how long anybody waits for it. */
export function tellTimeout(request: Headers, { global, perTry }: RouterTimeouts, elapsedMs: number): void {
  let expected = perTry === 0 ? global : perTry
  if (expected === 0) return
  // 0 would be no timeout at all.
  if (global > 0) expected = elapsedMs >= global ? 1 : Math.min(expected, global - elapsedMs)
  request.set('x-envoy-expected-rq-timeout-ms', String(Math.max(1, Math.floor(expected))))
}

/**
 * How long the stream may take as a whole, in ms: 0 is however long, undefined what the connection manager says. The
 * deadline of a gRPC client counts where the route lets it, and is told to the upstream as it then is.
 */
export function maxDurationOf(request: Headers, { maxStreamDuration }: ForwardAction): number | undefined {
  if (maxStreamDuration === undefined) return undefined
  const { maxMs, grpcHeaderMaxMs, grpcHeaderOffsetMs } = maxStreamDuration
  const asked = grpcHeaderMaxMs === undefined ? undefined : grpcTimeoutIn(request)
  if (asked === undefined || grpcHeaderMaxMs === undefined) return maxMs
  const capped = grpcHeaderMaxMs === 0 ? asked : Math.min(asked, grpcHeaderMaxMs)
  const left = grpcHeaderOffsetMs < capped ? capped - grpcHeaderOffsetMs : capped
  request.set('grpc-timeout', grpcTimeoutOf(left))
  return Math.max(1, left)
}

/** As fine as eight digits can tell it. */
function grpcTimeoutOf(ms: number): string {
  const [unit, size] = (['m', 'S', 'M', 'H'] as const)
    .map((unit) => [unit, units[unit] as number] as const)
    .find(([, size]) => ms / size < 100_000_000) ?? ['H', 3_600_000]
  return `${Math.floor(ms / size)}${unit}`
}

const units: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 0.001, n: 0.000_001 }

/** `grpc-timeout`: `250m`, in ms, rounded up. */
function grpcTimeoutIn(request: Headers): number | undefined {
  const [, digits, unit] = /^(\d{1,8})([HMSmun])$/.exec(request.get('grpc-timeout') ?? '') ?? []
  return digits === undefined ? undefined : Math.ceil(Number(digits) * (units[unit as string] as number))
}
