import type { FieldReader } from '../config/field-reader.ts'
import { readFraction } from '../config/fraction.ts'
import { type HeaderTest, readHeaderMatcher } from '../config/header-matcher.ts'
import type { Headers } from '../http/headers.ts'
import type { HttpFilterKind, HttpStream } from '../http/http-filter.ts'
import type { Fraction } from '../runtime.ts'

/** What goes wrong on purpose, and for whom. */
interface FaultConfig {
  readonly delay: Delay | undefined
  readonly abort: Abort | undefined
  readonly headers: readonly HeaderTest[]
  /** Empty: any. */
  readonly cluster: string
  readonly maxActive: number | undefined
}

interface Delay {
  /** Undefined: the request says it, in `x-envoy-fault-delay-request`. */
  readonly ms: number | undefined
  readonly share: Fraction
}

interface Abort {
  /** Both undefined: the request says it, in `x-envoy-fault-abort-request` or `…-grpc-request`. */
  readonly status: number | undefined
  readonly grpcStatus: number | undefined
  readonly share: Fraction
}

const never: Fraction = { numerator: 0, denominator: 100 }

function readFault(fields: FieldReader): FaultConfig {
  fields.ignore('disable_downstream_cluster_stats', 'it keeps no stats by downstream cluster')
  return {
    delay: fields.message('delay', (delay) => {
      delay.message('header_delay', () => undefined)
      return { ms: delay.durationMs('fixed_delay'), share: delay.message('percentage', readFraction) ?? never }
    }),
    abort: fields.message('abort', (abort) => {
      abort.message('header_abort', () => undefined)
      return {
        status: abort.number('http_status'),
        grpcStatus: abort.number('grpc_status'),
        share: abort.message('percentage', readFraction) ?? never,
      }
    }),
    headers: fields.list('headers', readHeaderMatcher),
    cluster: fields.string('upstream_cluster'),
    maxActive: fields.number('max_active_faults'),
  }
}

/** Delays and aborts a share of requests. The keys that turn them at run time are Envoy's. */
export const faultFilter: HttpFilterKind<FaultConfig> = {
  type: 'envoy.extensions.filters.http.fault.v3.HTTPFault',
  read: readFault,
  perRoute: { 'envoy.extensions.filters.http.fault.v3.HTTPFault': readFault },
  create(config, name, { context, stats }) {
    const { runtime, random, clock } = context
    const delays = stats.counter('fault.delays_injected')
    const aborts = stats.counter('fault.aborts_injected')
    const overflow = stats.counter('fault.faults_overflow')
    const active = stats.gauge('fault.active_faults')

    const isHit = (key: string, share: Fraction): boolean => runtime.isChosen(key, share, random())

    const delayMs = ({ delay }: FaultConfig, request: Headers): number => {
      if (delay === undefined) return 0
      const asked = numberIn(request, 'x-envoy-fault-delay-request')
      const ms = delay.ms === undefined ? asked : runtime.number('fault.http.delay.fixed_duration_ms', delay.ms)
      const share =
        delay.ms === undefined ? capped(delay.share, request, 'x-envoy-fault-delay-request-percentage') : delay.share
      if (ms === undefined || ms === 0 || !isHit('fault.http.delay.fixed_delay_percent', share)) return 0
      return ms
    }

    /** Whether it has answered. */
    const abort = ({ abort: own }: FaultConfig, stream: HttpStream): boolean => {
      if (own === undefined) return false
      const isAsked = own.status === undefined && own.grpcStatus === undefined
      const share = isAsked ? capped(own.share, stream.request, 'x-envoy-fault-abort-request-percentage') : own.share
      const status = isAsked
        ? numberIn(stream.request, 'x-envoy-fault-abort-request')
        : own.status && runtime.number('fault.http.abort.http_status', own.status)
      const grpcStatus = isAsked ? numberIn(stream.request, 'x-envoy-fault-abort-grpc-request') : own.grpcStatus
      if (status === undefined && grpcStatus === undefined) return false
      if (!isHit('fault.http.abort.abort_percent', share)) return false
      aborts.add()
      stream.reply({
        status: status ?? 200,
        body: 'fault filter abort',
        flag: 'FI',
        details: 'fault_filter_abort',
        ...(grpcStatus !== undefined && { grpcStatus }),
      })
      return true
    }

    const isFull = ({ maxActive }: FaultConfig): boolean => {
      if (active.value < runtime.number('fault.http.max_active_faults', maxActive ?? Number.POSITIVE_INFINITY))
        return false
      overflow.add()
      return true
    }

    return () => ({
      onRequest(stream) {
        const own = (stream.route()?.perFilter(name).at(-1) as FaultConfig | undefined) ?? config
        if (own.cluster !== '' && own.cluster !== stream.route()?.cluster) return true
        if (!own.headers.every((test) => test(stream.request))) return true
        const ms = delayMs(own, stream.request)
        if (ms === 0 || isFull(own)) return !abort(own, stream)
        delays.add()
        active.add(1)
        stream.info.flags.add('DI')
        return new Promise((resolve) => {
          let isOver = false
          const end = (goesOn: () => boolean): void => {
            if (isOver) return
            isOver = true
            active.add(-1)
            resolve(goesOn())
          }
          const timer = clock.after(ms, () => end(() => !abort(own, stream)))
          stream.onClosed(() => {
            timer.cancel()
            end(() => false)
          })
        })
      },
    })
  },
}

function numberIn(request: Headers, name: string): number | undefined {
  const text = request.get(name)
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined
}

/** A request may ask for less than the configured share, and never for more. */
function capped(share: Fraction, request: Headers, name: string): Fraction {
  const asked = numberIn(request, name)
  return asked === undefined ? share : { ...share, numerator: Math.min(share.numerator, asked) }
}
