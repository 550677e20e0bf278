import { isIP } from 'node:net'
import { ControlPlaneError } from '../errors.ts'
import { bootstrapCluster } from '../resource/bootstrap-cluster.ts'
import { peersName } from '../translate/names.ts'

export interface BootstrapOptions {
  /** `node.id`: unique in the fleet. */
  readonly id: string
  /** `node.cluster`: what `nodes: {cluster: …}` selects. */
  readonly cluster: string
  /**
   * The xDS address as the Envoy reaches it: `cp.example:18000`, `10.0.0.1:18000`, `[::1]:18000`. Of several replicas, each: an
   * Envoy takes one, and the next when it is lost.
   */
  readonly server: string | readonly string[]
  readonly delta: boolean
  /** The CA bundle that vouches for the server, as a path where Envoy runs; given, Envoy speaks TLS. */
  readonly tlsCa?: string
  /** The proxy's own certificate chain and key, for mutual TLS; both or neither, and only with `tlsCa`. */
  readonly tlsCert?: string
  readonly tlsKey?: string
  /** Envoy's own admin port; 9901 by default, 0 picks a free one. */
  readonly adminPort?: number
  /** An IP address; 127.0.0.1 by default, for whoever reaches the admin port owns the proxy. */
  readonly adminAddress?: string
  readonly metadata?: Readonly<Record<string, unknown>>
  /** As the endpoints of its own Service say it: what is in the same one is preferred. */
  readonly locality?: { readonly region?: string; readonly zone?: string; readonly subZone?: string }
  /** The Service that the proxy is in front of: by its endpoints it knows its peers, and how their zones compare. */
  readonly service?: string
}

/** The cluster of the proxies that are in front of the same Service. */
export const peersCluster = 'fairlead-local'

/** Its endpoints are no reason to wait long: without them all but the preference for the own zone works. */
const peersTimeout = '2s'

/**
 * Between tries to reach the server, each at random up to a bound that doubles. Envoy's own longest, 30 s, would be what a
 * fleet may take to come back after an outage; connections that are refused cost a server nothing, and a crowd waits its turn there.
 */
const pauses = { base_interval: '0.5s', max_interval: '5s' }

/** With another replica to go to, one that is not there is not worth the 5 s that the only one is. */
const timeoutOfOneOfSeveral = '1s'

/**
 * A stock Envoy's whole bootstrap, as Envoy's JSON: who it is, and where everything else comes from.
 * @throws ControlPlaneError `usage` when a `server` is no host and port, or the TLS files do not go together.
 */
export function buildBootstrap(options: BootstrapOptions): object {
  const servers = [options.server].flat().map(parseServer)
  const ads = { ads: {}, resource_api_version: 'V3' }
  return {
    node: buildNode(options),
    admin: {
      address: socketAddress(options.adminAddress ?? '127.0.0.1', options.adminPort ?? 9901),
    },
    dynamic_resources: {
      ads_config: {
        api_type: options.delta ? 'DELTA_GRPC' : 'GRPC',
        transport_api_version: 'V3',
        set_node_on_first_message_only: true,
        grpc_services: [{ envoy_grpc: { cluster_name: bootstrapCluster, retry_policy: { retry_back_off: pauses } } }],
      },
      cds_config: ads,
      lds_config: ads,
    },
    ...(options.service !== undefined && { cluster_manager: { local_cluster_name: peersCluster } }),
    static_resources: {
      clusters: [
        buildServerCluster(servers, options),
        ...(options.service === undefined ? [] : [buildPeersCluster(options.service)]),
      ],
    },
  }
}

function buildNode(options: BootstrapOptions): object {
  const { locality } = options
  return {
    id: options.id,
    cluster: options.cluster,
    metadata: withStaticNames(options),
    ...(locality && {
      locality: {
        ...(locality.region !== undefined && { region: locality.region }),
        ...(locality.zone !== undefined && { zone: locality.zone }),
        ...(locality.subZone !== undefined && { sub_zone: locality.subZone }),
      },
    }),
    // Envoy takes resources with a TTL but does not say so by itself (rule 81).
    client_features: ['xds.config.resource-in-sotw', 'xds.config.supports-resource-ttl'],
  }
}

/** The server learns by them which names the bootstrap holds. */
function withStaticNames({ metadata = {}, service }: BootstrapOptions): object {
  const ours = asObject(metadata['fairlead'])
  const names = asObject(ours['static'])
  const clusters = Array.isArray(names['cluster']) ? (names['cluster'] as unknown[]) : []
  return {
    ...metadata,
    fairlead: {
      ...ours,
      ...(service !== undefined && { service }),
      static: {
        ...names,
        cluster: [...new Set([...clusters, bootstrapCluster, ...(service === undefined ? [] : [peersCluster])])],
      },
    },
  }
}

function asObject(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {}
}

interface Server {
  readonly host: string
  readonly port: number
}

function buildServerCluster(servers: readonly Server[], options: BootstrapOptions): object {
  const tls = buildTls(servers, options)
  const hasNames = servers.some(({ host }) => isIP(host) === 0)
  return {
    name: bootstrapCluster,
    // AUTO would wait for IPv6 answers that a v4-only server never has (measured).
    ...(hasNames ? { type: 'STRICT_DNS', dns_lookup_family: 'V4_PREFERRED' } : { type: 'STATIC' }),
    connect_timeout: servers.length === 1 ? '5s' : timeoutOfOneOfSeveral,
    load_assignment: {
      cluster_name: bootstrapCluster,
      endpoints: [
        { lb_endpoints: servers.map(({ host, port }) => ({ endpoint: { address: socketAddress(host, port) } })) },
      ],
    },
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
        explicit_http_config: {
          // A half-open connection shows within 35 s, not when TCP gives up after a quarter of an hour (rule 90).
          http2_protocol_options: { connection_keepalive: { interval: '30s', timeout: '5s' } },
        },
      },
    },
    upstream_connection_options: {
      tcp_keepalive: { keepalive_probes: 3, keepalive_time: 30, keepalive_interval: 5 },
    },
    ...(tls && { transport_socket: tls }),
  }
}

function buildPeersCluster(service: string): object {
  return {
    name: peersCluster,
    type: 'EDS',
    connect_timeout: '1s',
    eds_cluster_config: {
      service_name: peersName(service),
      eds_config: { ads: {}, resource_api_version: 'V3', initial_fetch_timeout: peersTimeout },
    },
  }
}

function buildTls(servers: readonly Server[], options: BootstrapOptions): object | undefined {
  const { tlsCa, tlsCert, tlsKey } = options
  if ((tlsCert === undefined) !== (tlsKey === undefined)) {
    throw new ControlPlaneError('usage', 'a TLS certificate and its key go together: give both')
  }
  if (tlsCa === undefined) {
    if (tlsCert === undefined) return undefined
    throw new ControlPlaneError('usage', 'a TLS certificate needs the CA of the server too: without it there is no TLS')
  }
  const name = servers.find(({ host }) => isIP(host) === 0)?.host
  return {
    name: 'envoy.transport_sockets.tls',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext',
      ...(name !== undefined && { sni: name }),
      common_tls_context: {
        alpn_protocols: ['h2'],
        ...(tlsCert !== undefined && {
          tls_certificates: [{ certificate_chain: { filename: tlsCert }, private_key: { filename: tlsKey } }],
        }),
        validation_context: {
          trusted_ca: { filename: tlsCa },
          // The CA alone would let any of its certificates, a proxy's for one, stand in for the control plane.
          match_typed_subject_alt_names: servers.map(({ host }) => ({
            san_type: isIP(host) === 0 ? 'DNS' : 'IP_ADDRESS',
            matcher: { exact: host },
          })),
        },
      },
    },
  }
}

function socketAddress(address: string, port: number): object {
  return { socket_address: { address, port_value: port } }
}

function parseServer(text: string): Server {
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(text) ?? []
  const host = bracketed ?? plain
  const port = Number(digits)
  const isBroken = bracketed !== undefined && isIP(bracketed) !== 6
  if (host === undefined || isBroken || port < 1 || port > 65_535) {
    throw new ControlPlaneError(
      'usage',
      `${text} is not host:port: write it like cp.example:18000, 10.0.0.1:18000 or [::1]:18000`,
    )
  }
  return { host, port }
}
