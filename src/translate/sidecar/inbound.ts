import { isIP } from 'node:net'
import type { Inbound } from '../../config/kinds/sidecar-form.ts'
import { speaksHttp } from '../cluster/protocol.ts'
import { httpProtocolOptions } from '../cluster/protocol-options.ts'
import type { GeneratedJson, ServiceFacet, SidecarInput } from '../contract.ts'
import { sidecarDefaults as defaults, listenerDefaults } from '../defaults.ts'
import { durationJson } from '../duration-json.ts'
import { at, type EnvoyJson, type SourcePlace, within } from '../envoy-json.ts'
import { httpConnectionManager } from '../listener/http-connection-manager.ts'
import { accessLogOf } from '../listener/layers.ts'
import { tracerOf } from '../listener/tracing.ts'
import { appName, inboundName } from '../names.ts'
import { alsoOnIpv6 } from './ipv6.ts'
import { tcpProxy } from './tcp-proxy.ts'

type Protocol = ServiceFacet['protocol']

/** For each workload a listener where its requests come in, and the cluster that it is. */
export function inboundResources(input: SidecarInput): readonly GeneratedJson[] {
  const { sidecar, services } = input
  const { name, inbound, service: own } = sidecar.form
  return inbound.flatMap((entry, index): GeneratedJson[] => {
    const from: SourcePlace = { document: sidecar, path: `inbound[${index}]` }
    // By the Service, so that a further entry renames none.
    const part = entry.service === own ? undefined : entry.service
    const protocol = services.get(entry.service)?.protocol ?? 'http'
    const [listener, cluster] = [inboundName(name, part), appName(name, part)]
    return [
      { type: 'listener', name: listener, json: listenerJson(input, entry, protocol, listener, cluster, from), from },
      { type: 'cluster', name: cluster, json: clusterJson(entry, protocol, cluster, from), from },
    ]
  })
}

function listenerJson(
  { sidecar, mesh }: SidecarInput,
  { port, service }: Inbound,
  protocol: Protocol,
  name: string,
  cluster: string,
  from: SourcePlace,
): EnvoyJson {
  const filter = speaksHttp(protocol)
    ? httpConnectionManager({
        statPrefix: name,
        side: 'inbound',
        routes: { inline: routesJson(name, cluster) },
        filters: new Set(),
        accessLog: accessLogOf(mesh.accessLog, sidecar.form.accessLog),
        tracing: tracerOf(mesh.tracing, 'mesh', service),
        listener: {},
        from,
      })
    : tcpProxy(name, cluster, accessLogOf(mesh.accessLog, sidecar.form.accessLog))
  return {
    name,
    traffic_direction: 'INBOUND',
    address: {
      socket_address: { address: listenerDefaults.address.value, port_value: at(within(from, 'port'), port) },
    },
    additional_addresses: alsoOnIpv6(sidecar, '::', at(within(from, 'port'), port)),
    per_connection_buffer_limit_bytes: listenerDefaults.bufferBytes.value,
    filter_chains: [{ filters: [filter] }],
  }
}

/** How long a request may take, and whether it is tried again, is the caller's to say. */
function routesJson(name: string, cluster: string): EnvoyJson {
  return {
    name,
    virtual_hosts: [
      {
        name: 'any',
        domains: ['*'],
        routes: [{ name, match: { prefix: '/' }, route: { cluster, timeout: '0s' } }],
      },
    ],
    // The server has checked it, and the cluster may come after the listener.
    validate_clusters: false,
  }
}

const unlimited = 4_294_967_295

function clusterJson({ app }: Inbound, protocol: Protocol, name: string, from: SourcePlace): EnvoyJson {
  const address = { socket_address: { address: app.host, port_value: app.port } }
  const limits = {
    max_connections: unlimited,
    max_pending_requests: unlimited,
    max_requests: unlimited,
    max_retries: unlimited,
  }
  return {
    name,
    ...(isIP(app.host) === 0 ? { type: 'STRICT_DNS', dns_lookup_family: 'V4_PREFERRED' } : { type: 'STATIC' }),
    connect_timeout: durationJson(defaults.appConnectTimeoutMs.value),
    per_connection_buffer_limit_bytes: listenerDefaults.bufferBytes.value,
    // What is too much for the workload is limited where it is called from.
    circuit_breakers: { thresholds: ['DEFAULT', 'HIGH'].map((priority) => ({ priority, ...limits })) },
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: at(within(from, 'app'), address) } }] }],
    },
    typed_extension_protocol_options: speaksHttp(protocol)
      ? {
          'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': httpProtocolOptions({ protocol }, [
            {
              policy: { connectionPool: { idleTimeout: defaults.appIdleTimeoutMs.value } },
              from: { document: from.document, path: from.path },
            },
          ]),
        }
      : undefined,
  }
}
