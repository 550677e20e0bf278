import { type HcmOptions, type HttpFilterKind, httpFilters } from '../contract.ts'
import { dnsCacheConfig } from '../egress/dns-cache.ts'
import { at, type EnvoyJson, within } from '../envoy-json.ts'
import { putBackDeadline } from './caller-deadline.ts'

const prefix = 'type.googleapis.com/envoy.extensions.'

/** The filters of HTTP in their fixed order. One that only some routes use is switched off for all others. */
export function httpFilterChain({ side, filters, listener, dnsCache, from }: HcmOptions): readonly EnvoyJson[] {
  const on: Readonly<Record<HttpFilterKind, boolean>> = {
    cors: false,
    fault: false,
    buffer: listener.maxRequestSize !== undefined,
    compressor: listener.compression === true,
    'dynamic-forward-proxy': dnsCache !== undefined,
  }
  const configs: Readonly<Record<HttpFilterKind, () => EnvoyJson>> = {
    cors: () => ({ '@type': `${prefix}filters.http.cors.v3.Cors` }),
    fault: () => ({ '@type': `${prefix}filters.http.fault.v3.HTTPFault` }),
    buffer: () => ({
      '@type': `${prefix}filters.http.buffer.v3.Buffer`,
      max_request_bytes: at(within(from, 'maxRequestSize'), listener.maxRequestSize ?? 1),
    }),
    compressor: () => ({
      '@type': `${prefix}filters.http.compressor.v3.Compressor`,
      compressor_library: {
        name: 'envoy.compression.gzip.compressor',
        typed_config: { '@type': `${prefix}compression.gzip.compressor.v3.Gzip` },
      },
    }),
    'dynamic-forward-proxy': () => ({
      '@type': `${prefix}filters.http.dynamic_forward_proxy.v3.FilterConfig`,
      dns_cache_config: dnsCacheConfig(dnsCache ?? ''),
    }),
  }
  const chain = httpFilters
    .filter((kind) => on[kind] || filters.has(kind))
    .map(
      (kind): EnvoyJson => ({
        name: `envoy.filters.http.${kind.replaceAll('-', '_')}`,
        ...(!on[kind] && { disabled: true }),
        typed_config: configs[kind](),
      }),
    )
  const router = {
    name: 'envoy.filters.http.router',
    typed_config: {
      '@type': `${prefix}filters.http.router.v3.Router`,
      // Who called first has said how long it waits; of strangers that is not taken.
      ...(side !== 'edge' && { respect_expected_rq_timeout: true }),
    },
  }
  return side === 'edge' ? [...chain, router] : [...chain, putBackDeadline, router]
}
