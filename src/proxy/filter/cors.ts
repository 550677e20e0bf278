import type { FieldReader } from '../config/field-reader.ts'
import { isChosen, type RuntimeFraction, readRuntimeFraction } from '../config/fraction.ts'
import { readStringMatcher, type TextTest } from '../config/string-matcher.ts'
import { Headers } from '../http/headers.ts'
import type { HttpFilterKind, HttpStream } from '../http/http-filter.ts'

/** Whom a route lets read its responses in a browser. */
interface CorsPolicy {
  readonly origins: readonly TextTest[]
  readonly methods: string
  readonly headers: string
  readonly exposed: string
  readonly maxAge: string
  readonly allowsCredentials: boolean
  readonly enabled: RuntimeFraction | undefined
  readonly forwardsOthers: boolean
}

function readCorsPolicy(fields: FieldReader): CorsPolicy {
  return {
    origins: fields.list('allow_origin_string_match', readStringMatcher),
    methods: fields.string('allow_methods'),
    headers: fields.string('allow_headers'),
    exposed: fields.string('expose_headers'),
    maxAge: fields.string('max_age'),
    allowsCredentials: fields.flag('allow_credentials'),
    enabled: fields.message('filter_enabled', readRuntimeFraction),
    forwardsOthers: fields.flag('forward_not_matching_preflights', true),
  }
}

/**
 * Answers preflight requests of origins that a route allows, and marks its responses for them. What is not allowed goes
 * on to the upstream unmarked, so that the browser refuses it.
 */
export const corsFilter: HttpFilterKind<undefined> = {
  type: 'envoy.extensions.filters.http.cors.v3.Cors',
  read: () => undefined,
  perRoute: { 'envoy.extensions.filters.http.cors.v3.CorsPolicy': readCorsPolicy },
  create(_, name, { stats }) {
    const [valid, invalid] = [stats.counter('cors.origin_valid'), stats.counter('cors.origin_invalid')]
    return () => {
      let policy: CorsPolicy | undefined
      let origin = ''
      return {
        onRequest(stream) {
          const asked = stream.request.get('origin') ?? ''
          const own = policyOf(stream, name)
          if (asked === '' || own === undefined) return true
          const isAllowed = own.origins.some((test) => test(asked))
          ;(isAllowed ? valid : invalid).add()
          const isPreflight = isPreflightRequest(stream.request)
          if (isAllowed) {
            policy = own
            origin = asked
          }
          if (!isPreflight || (!isAllowed && own.forwardsOthers)) return true
          stream.reply({
            status: 200,
            headers: isAllowed ? preflightHeaders(own) : new Headers(),
            details: 'cors_response',
          })
          return false
        },
        onResponse(_stream, { headers }) {
          if (policy === undefined) return
          headers.set('access-control-allow-origin', origin)
          if (policy.allowsCredentials) headers.set('access-control-allow-credentials', 'true')
          if (policy.exposed !== '') headers.set('access-control-expose-headers', policy.exposed)
        },
      }
    }
  },
}

function policyOf(stream: HttpStream, name: string): CorsPolicy | undefined {
  const policy = stream.route()?.perFilter(name).at(-1) as CorsPolicy | undefined
  if (policy?.enabled === undefined) return policy
  return isChosen(policy.enabled, stream.context.runtime, stream.context.random()) ? policy : undefined
}

const isPreflightRequest = (request: Headers): boolean =>
  request.get(':method') === 'OPTIONS' && (request.get('access-control-request-method') ?? '') !== ''

/** What a browser may send; that it may read the answer is said as of any other response. */
function preflightHeaders(policy: CorsPolicy): Headers {
  const headers = new Headers()
  if (policy.methods !== '') headers.set('access-control-allow-methods', policy.methods)
  if (policy.headers !== '') headers.set('access-control-allow-headers', policy.headers)
  if (policy.maxAge !== '') headers.set('access-control-max-age', policy.maxAge)
  return headers
}
