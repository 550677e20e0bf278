import type { Cors, Fault, Rule } from '../../config/kinds/route-form.ts'
import type { HttpFilterKind } from '../contract.ts'
import { durationJson } from '../duration-json.ts'
import { at, type EnvoyJson, type SourcePlace, within } from '../envoy-json.ts'
import { type Fields, fractionOf } from './match-json.ts'
import { stringMatch } from './text-pattern.ts'

export interface FilterSettings {
  /** Envoy's `typed_per_filter_config`. */
  readonly fields: Fields
  /** The filters that must be in the chain for that. */
  readonly filters: readonly HttpFilterKind[]
}

const typed = (message: string, fields: Fields): EnvoyJson => ({
  '@type': `type.googleapis.com/envoy.extensions.filters.http.${message}`,
  ...fields,
})

/** What a rule asks of the filters before the router, which are off where no rule asks. */
export function filterSettings(rule: Rule, from: SourcePlace): FilterSettings {
  const { cors, fault, maxRequestSize, compression } = rule
  const fields: Fields = {
    'envoy.filters.http.cors': cors && at(within(from, 'cors'), typed('cors.v3.CorsPolicy', corsFields(cors))),
    'envoy.filters.http.fault': fault && at(within(from, 'fault'), typed('fault.v3.HTTPFault', faultFields(fault))),
    'envoy.filters.http.buffer':
      maxRequestSize === undefined
        ? undefined
        : at(
            within(from, 'maxRequestSize'),
            typed('buffer.v3.BufferPerRoute', { buffer: { max_request_bytes: maxRequestSize } }),
          ),
    'envoy.filters.http.compressor':
      compression === undefined
        ? undefined
        : at(
            within(from, 'compression'),
            typed(
              'compressor.v3.CompressorPerRoute',
              compression ? { overrides: { response_direction_config: {} } } : { disabled: true },
            ),
          ),
  }
  const filters: readonly (readonly [HttpFilterKind, unknown])[] = [
    ['cors', cors],
    ['fault', fault],
    ['buffer', maxRequestSize],
    ['compressor', compression === true ? true : undefined],
  ]
  return { fields, filters: filters.flatMap(([kind, value]) => (value === undefined ? [] : [kind])) }
}

function faultFields({ delay, abort }: Fault): Fields {
  return {
    delay: delay && { fixed_delay: durationJson(delay.duration), percentage: fractionOf(delay.percent) },
    abort: abort && {
      ...(abort.grpcStatus === undefined ? { http_status: abort.status } : { grpc_status: abort.grpcStatus }),
      percentage: fractionOf(abort.percent),
    },
  }
}

function corsFields({ origins, methods, headers, expose, credentials, maxAge }: Cors): Fields {
  const list = (names: readonly string[] | undefined): string | undefined => names?.join(', ')
  return {
    allow_origin_string_match: origins.map((origin) => stringMatch([origin])),
    allow_methods: list(methods),
    allow_headers: list(headers),
    expose_headers: list(expose),
    max_age: maxAge === undefined ? undefined : String(Math.ceil(maxAge / 1000)),
    allow_credentials: credentials,
  }
}
