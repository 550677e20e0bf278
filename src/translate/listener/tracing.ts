import { isIP } from 'node:net'
import type { Address, Tracing } from '../../config/kinds/common-form.ts'
import type { GeneratedJson, Tracer } from '../contract.ts'
import { listenerDefaults, serviceDefaults } from '../defaults.ts'
import { durationJson } from '../duration-json.ts'
import { type EnvoyJson, type SourcePlace, within } from '../envoy-json.ts'

/** What a tracer's cluster is called within whoever has it: `mesh/otlp`, `edge/zipkin`. */
function tracerCluster(owner: string, { otlp }: Tracing): string {
  return `${owner}/${otlp === undefined ? 'zipkin' : 'otlp'}`
}

/** @param owner whose cluster it is: `mesh` where the Mesh says where traces go. */
export function tracerOf(tracing: Tracing | undefined, owner: string, service: string): Tracer | undefined {
  const address = tracing?.otlp ?? tracing?.zipkin
  if (tracing === undefined || address === undefined) return undefined
  return {
    collector: tracing.otlp === undefined ? 'zipkin' : 'otlp',
    cluster: tracerCluster(owner, tracing),
    host: address.host,
    service,
    sample: tracing.sample,
  }
}

/** The `tracing` of HTTP. Whether a request is traced follows from its id, so that all proxies decide the same. */
export function tracingJson({ collector, cluster, host, service, sample }: Tracer): EnvoyJson {
  const provider: EnvoyJson =
    collector === 'otlp'
      ? {
          name: 'envoy.tracers.opentelemetry',
          typed_config: {
            '@type': 'type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig',
            // A cluster's name, which Envoy would say otherwise, has a slash: some servers end such requests.
            grpc_service: { envoy_grpc: { cluster_name: cluster, authority: authorityOf(host) }, timeout: '1s' },
            service_name: service,
          },
        }
      : {
          name: 'envoy.tracers.zipkin',
          typed_config: {
            '@type': 'type.googleapis.com/envoy.config.trace.v3.ZipkinConfig',
            collector_cluster: cluster,
            collector_endpoint: '/api/v2/spans',
            collector_endpoint_version: 'HTTP_JSON',
            collector_hostname: host,
          },
        }
  return {
    random_sampling: { value: sample ?? listenerDefaults.traceSamplePercent.value },
    provider,
  }
}

function authorityOf(host: string): string {
  return isIP(host) === 6 ? `[${host}]` : host
}

/** The cluster of a collector. */
export function tracerClusterJson(owner: string, tracing: Tracing, from: SourcePlace): readonly GeneratedJson[] {
  const address = tracing.otlp ?? tracing.zipkin
  if (address === undefined) return []
  const name = tracerCluster(owner, tracing)
  const place = within(from, tracing.otlp === undefined ? 'zipkin' : 'otlp')
  const isHttp2 = tracing.otlp !== undefined
  return [{ type: 'cluster', name, json: collectorCluster(name, address, isHttp2), from: place }]
}

function collectorCluster(name: string, { host, port }: Address, isHttp2: boolean): EnvoyJson {
  const options = isHttp2 ? { http2_protocol_options: {} } : { http_protocol_options: {} }
  return {
    name,
    ...(isIP(host) === 0 ? { type: 'STRICT_DNS', dns_lookup_family: 'V4_PREFERRED' } : { type: 'STATIC' }),
    connect_timeout: durationJson(serviceDefaults.connectTimeoutMs.value),
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
        explicit_http_config: options,
      },
    },
    load_assignment: {
      cluster_name: name,
      endpoints: [
        { lb_endpoints: [{ endpoint: { address: { socket_address: { address: host, port_value: port } } } }] },
      ],
    },
  }
}
