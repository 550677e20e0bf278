import type { HcmOptions } from '../contract.ts'
import { listenerDefaults as defaults } from '../defaults.ts'
import { durationJson } from '../duration-json.ts'
import { at, type EnvoyJson } from '../envoy-json.ts'
import { accessLoggers } from './access-log.ts'

const extensionPrefix = 'type.googleapis.com/envoy.extensions.'

/** The network filter for HTTP, with what MODEL.md asks of every edge. */
export function httpConnectionManager(options: HcmOptions): EnvoyJson {
  const { statPrefix, side, routes, accessLog, from } = options
  return at(from, {
    name: 'envoy.filters.network.http_connection_manager',
    typed_config: {
      '@type': `${extensionPrefix}filters.network.http_connection_manager.v3.HttpConnectionManager`,
      stat_prefix: statPrefix,
      codec_type: 'AUTO',
      ...('rds' in routes
        ? { rds: { route_config_name: routes.rds, config_source: { ads: {}, resource_api_version: 'V3' } } }
        : { route_config: routes.inline }),
      normalize_path: true,
      merge_slashes: true,
      path_with_escaped_slashes_action: 'UNESCAPE_AND_REDIRECT',
      ...(side === 'edge' && edge(options.trustedHops)),
      request_headers_timeout: durationJson(defaults.requestHeadersTimeoutMs.value),
      stream_idle_timeout: durationJson(defaults.streamIdleTimeoutMs.value),
      common_http_protocol_options: {
        idle_timeout: durationJson(defaults.idleTimeoutMs.value),
        headers_with_underscores_action: 'REJECT_REQUEST',
      },
      http2_protocol_options: {
        max_concurrent_streams: defaults.http2Streams.value,
        initial_stream_window_size: defaults.http2StreamWindow.value,
        initial_connection_window_size: defaults.http2ConnectionWindow.value,
      },
      server_header_transformation: 'PASS_THROUGH',
      upgrade_configs: [{ upgrade_type: 'websocket' }],
      access_log: accessLoggers(accessLog),
      http_filters: [
        {
          name: 'envoy.filters.http.router',
          typed_config: { '@type': `${extensionPrefix}filters.http.router.v3.Router` },
        },
      ],
    },
  })
}

/** Whoever is beyond the edge says what it likes of where a request comes from. */
function edge(trustedHops: number | undefined): Readonly<Record<string, EnvoyJson>> {
  return { use_remote_address: true, xff_num_trusted_hops: trustedHops ?? defaults.trustedHops.value }
}
