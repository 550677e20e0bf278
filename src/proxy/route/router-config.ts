import type { FieldReader } from '../config/field-reader.ts'

/** `envoy.extensions.filters.http.router.v3.Router` */
export interface RouterConfig {
  /** `x-envoy-expected-rq-timeout-ms` of a proxy in front stands in place of the route's timeout. */
  readonly respectsExpectedTimeout: boolean
  /** Nothing that begins with `x-envoy-` is added. */
  readonly suppressesEnvoyHeaders: boolean
}

export function readRouterConfig(fields: FieldReader): RouterConfig {
  fields.ignore('dynamic_stats', 'all stats are kept')
  fields.ignore('start_child_span', 'no span is exported')
  return {
    respectsExpectedTimeout: fields.flag('respect_expected_rq_timeout'),
    suppressesEnvoyHeaders: fields.flag('suppress_envoy_headers'),
  }
}
