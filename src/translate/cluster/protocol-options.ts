import type { Http2 } from '../../config/kinds/common-form.ts'
import type { ServiceForm } from '../../config/kinds/service-form.ts'
import { type Default, serviceDefaults as defaults } from '../defaults.ts'
import { durationJson } from '../duration-json.ts'
import { at, type EnvoyJson, within } from '../envoy-json.ts'
import { typed } from './extension.ts'
import { duration, durationOr, ifSaid, type PolicyLayers, said } from './policy-layers.ts'
import { speaksHttp2 } from './protocol.ts'
import { hostByRequest, tlsLayer } from './upstream-tls.ts'

/** How HTTP is spoken with the endpoints. */
export function httpProtocolOptions(form: Pick<ServiceForm, 'protocol'>, layers: PolicyLayers): EnvoyJson {
  return typed('envoy.extensions.upstreams.http.v3.HttpProtocolOptions', {
    common_http_protocol_options: {
      idle_timeout: durationOr(said(layers, 'connectionPool', 'idleTimeout'), defaults.idleTimeoutMs),
      max_connection_duration: duration(said(layers, 'connectionPool', 'maxConnectionAge')),
      max_requests_per_connection: ifSaid(said(layers, 'connectionPool', 'maxRequestsPerConnection')),
    },
    upstream_http_protocol_options: hostByRequest(form, layers),
    ...spoken(form, layers),
  })
}

/** A request goes on in the version in which it came: HTTP/2 to whom the caller speaks it. */
export function httpVersionAsCame(): EnvoyJson {
  return typed('envoy.extensions.upstreams.http.v3.HttpProtocolOptions', {
    common_http_protocol_options: { idle_timeout: durationJson(defaults.idleTimeoutMs.value) },
    // Without them Envoy takes no such options for a cluster that looks names up; there is no TLS that they would change.
    upstream_http_protocol_options: { auto_sni: true, auto_san_validation: true },
    use_downstream_protocol_config: { http_protocol_options: {}, http2_protocol_options: http2Options([]) },
  })
}

/** With TLS the server says which protocol it speaks; without, it cannot be asked. */
function spoken(form: Pick<ServiceForm, 'protocol'>, layers: PolicyLayers): { readonly [field: string]: EnvoyJson } {
  if (speaksHttp2(form.protocol)) {
    return { explicit_http_config: { http2_protocol_options: http2Options(layers) } }
  }
  if (tlsLayer(form, layers) === undefined) return { explicit_http_config: { http_protocol_options: {} } }
  return { auto_config: { http_protocol_options: {}, http2_protocol_options: http2Options(layers) } }
}

function http2Options(layers: PolicyLayers): EnvoyJson {
  return {
    max_concurrent_streams: http2Field(layers, 'maxStreams', defaults.http2Streams),
    initial_stream_window_size: http2Field(layers, 'streamWindow', defaults.http2StreamWindow),
    initial_connection_window_size: http2Field(layers, 'connectionWindow', defaults.http2ConnectionWindow),
    connection_keepalive: {
      interval: http2Field(layers, 'keepalive', defaults.http2KeepaliveMs, durationJson),
      timeout: durationJson(defaults.http2KeepaliveTimeoutMs.value),
    },
  }
}

/** `http2` is one setting of the pool with fields of its own, each of which is looked for by itself. */
function http2Field(
  layers: PolicyLayers,
  field: keyof Http2,
  fallback: Default<number>,
  json: (value: number) => EnvoyJson = (value) => value,
): EnvoyJson {
  for (const { policy, from } of layers) {
    const value = policy.connectionPool?.http2?.[field]
    if (value !== undefined) return at(within(from, `connectionPool.http2.${field}`), json(value))
  }
  return json(fallback.value)
}
