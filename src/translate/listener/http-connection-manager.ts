import type { GatewayListener } from '../../config/kinds/gateway-form.ts'
import type { HcmOptions } from '../contract.ts'
import { listenerDefaults as defaults } from '../defaults.ts'
import { durationJson } from '../duration-json.ts'
import { at, type EnvoyJson, type SourcePlace, within } from '../envoy-json.ts'
import { accessLoggers } from './access-log.ts'
import { keepDeadline } from './caller-deadline.ts'
import { httpFilterChain } from './http-filters.ts'
import { tracingJson } from './tracing.ts'

const extensionPrefix = 'type.googleapis.com/envoy.extensions.'

type Fields = Readonly<Record<string, EnvoyJson>>

/** The network filter for HTTP; at an edge, with paths and headers made safe before anything goes by them. */
export function httpConnectionManager(options: HcmOptions): EnvoyJson {
  const { statPrefix, side, routes, accessLog, tracing, listener, from } = options
  const { requestHeadersTimeout, idleTimeout, maxHeaderSize } = listener
  return at(from, {
    name: 'envoy.filters.network.http_connection_manager',
    typed_config: {
      '@type': `${extensionPrefix}filters.network.http_connection_manager.v3.HttpConnectionManager`,
      stat_prefix: statPrefix,
      codec_type: listener.protocol === 'http2' || listener.protocol === 'grpc' ? 'HTTP2' : 'AUTO',
      ...('rds' in routes
        ? { rds: { route_config_name: routes.rds, config_source: { ads: {}, resource_api_version: 'V3' } } }
        : { route_config: routes.inline }),
      ...(side === 'edge' ? edge(options) : { early_header_mutation_extensions: [keepDeadline] }),
      request_headers_timeout: at(
        within(from, 'requestHeadersTimeout'),
        durationJson(requestHeadersTimeout ?? defaults.requestHeadersTimeoutMs.value),
      ),
      // Envoy counts in KiB.
      ...(maxHeaderSize !== undefined && {
        max_request_headers_kb: at(within(from, 'maxHeaderSize'), Math.ceil(maxHeaderSize / 1024)),
      }),
      stream_idle_timeout: durationJson(defaults.streamIdleTimeoutMs.value),
      common_http_protocol_options: {
        idle_timeout: at(within(from, 'idleTimeout'), durationJson(idleTimeout ?? defaults.idleTimeoutMs.value)),
        // What two workloads say to each other is nobody's to refuse.
        ...(side === 'edge' && { headers_with_underscores_action: 'REJECT_REQUEST' }),
      },
      http2_protocol_options: http2(listener, within(from, 'http2')),
      server_header_transformation: 'PASS_THROUGH',
      upgrade_configs: upgrades(options),
      ...(tracing !== undefined && { tracing: tracingJson(tracing) }),
      access_log: accessLoggers(accessLog),
      http_filters: httpFilterChain(options),
    },
  })
}

/** What is upgraded has a body that does not end: a filter that waits for the end of it would wait for ever (measured). */
function upgrades(options: HcmOptions): readonly EnvoyJson[] {
  const { maxRequestSize, ...unbounded } = options.listener
  const filters = new Set([...options.filters].filter((kind) => kind !== 'buffer'))
  const chain = maxRequestSize === undefined ? undefined : httpFilterChain({ ...options, listener: unbounded, filters })
  const types = ['websocket', ...(options.dnsCache === undefined ? [] : ['CONNECT'])]
  return types.map((type) => ({ upgrade_type: type, filters: chain }))
}

/** Whoever is beyond the edge says what it likes of where a request comes from, and of who it is. */
function edge({ trustedHops, listener }: HcmOptions): Fields {
  return {
    normalize_path: true,
    merge_slashes: true,
    path_with_escaped_slashes_action: 'UNESCAPE_AND_REDIRECT',
    use_remote_address: true,
    xff_num_trusted_hops: trustedHops ?? defaults.trustedHops.value,
    ...(listener.tls?.clientCa !== undefined && {
      forward_client_cert_details: 'SANITIZE_SET',
      set_current_client_cert_details: { subject: true, dns: true, uri: true },
    }),
  }
}

function http2({ http2: said }: Partial<GatewayListener>, from: SourcePlace): EnvoyJson {
  const { maxStreams, streamWindow, connectionWindow, keepalive } = said ?? {}
  return {
    max_concurrent_streams: at(within(from, 'maxStreams'), maxStreams ?? defaults.http2Streams.value),
    initial_stream_window_size: at(within(from, 'streamWindow'), streamWindow ?? defaults.http2StreamWindow.value),
    initial_connection_window_size: at(
      within(from, 'connectionWindow'),
      connectionWindow ?? defaults.http2ConnectionWindow.value,
    ),
    ...(keepalive !== undefined && {
      connection_keepalive: {
        interval: at(within(from, 'keepalive'), durationJson(keepalive)),
        timeout: durationJson(defaults.http2KeepaliveTimeoutMs.value),
      },
    }),
  }
}
