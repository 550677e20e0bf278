/**
 * What a stock Envoy does and the reference proxy does not, as far as this project's suites or its users would meet it. The
 * list may only shrink: `differences.test.ts` fails for one that is gone, and for one more.
 */
import { type BootstrapParts, typed as filter } from '../../bench/forwarding-bootstrap.ts'
import type { Feature } from '../mesh/suite.ts'

/** A configuration on which the two do not agree: that it is taken, or what is said of it. */
export interface Difference {
  /** What Envoy has. */
  readonly what: string
  readonly reason: string
  /** Of the suite of meshes: cases that need it are skipped. */
  readonly feature?: Feature
  /** Parts of a bootstrap that has it. */
  readonly parts: BootstrapParts
  readonly envoy: Verdict
  readonly reference: Verdict
}

/** Or why it is refused. */
export type Verdict = 'taken' | RegExp

const grpcService = { envoy_grpc: { cluster_name: 'app' } }

export const differences: readonly Difference[] = [
  {
    what: 'spans that are sent to a collector, and so need its cluster',
    reason:
      'whether a request is traced is decided, and its context passed on; a span is for people who look at traces',
    feature: 'tracing',
    parts: {
      manager: {
        tracing: {
          provider: filter('envoy.config.trace.v3.ZipkinConfig', {
            collector_cluster: 'collector',
            collector_endpoint: '/api/v2/spans',
            collector_endpoint_version: 'HTTP_JSON',
          }),
        },
      },
    },
    envoy: /collector/,
    reference: 'taken',
  },
  {
    what: 'the HTTP filter lua',
    reason: 'it would be an interpreter of a language',
    feature: 'filters',
    parts: {
      httpFilters: [
        filter('envoy.extensions.filters.http.lua.v3.Lua', {
          default_source_code: { inline_string: 'function envoy_on_request(handle) end' },
        }),
      ],
    },
    envoy: 'taken',
    reference: /does not know envoy\.extensions\.filters\.http\.lua\.v3\.Lua/,
  },
  {
    what: 'the HTTP filter ext_authz',
    reason: 'a later part of the plan; nothing that fairlead generates needs it',
    parts: {
      httpFilters: [filter('envoy.extensions.filters.http.ext_authz.v3.ExtAuthz', { grpc_service: grpcService })],
    },
    envoy: 'taken',
    reference: /does not know envoy\.extensions\.filters\.http\.ext_authz\.v3\.ExtAuthz/,
  },
  {
    what: 'the HTTP filter jwt_authn',
    reason: 'a later part of the plan; nothing that fairlead generates needs it',
    parts: { httpFilters: [filter('envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication')] },
    envoy: 'taken',
    reference: /does not know envoy\.extensions\.filters\.http\.jwt_authn\.v3\.JwtAuthentication/,
  },
  {
    what: 'rate limits by a service (ratelimit)',
    reason: 'it needs another program; local limits are there',
    parts: {
      httpFilters: [
        filter('envoy.extensions.filters.http.ratelimit.v3.RateLimit', {
          domain: 'shop',
          rate_limit_service: { grpc_service: grpcService, transport_api_version: 'V3' },
        }),
      ],
    },
    envoy: 'taken',
    reference: /does not know envoy\.extensions\.filters\.http\.ratelimit\.v3\.RateLimit/,
  },
  {
    what: 'access logs that are sent by gRPC',
    reason: 'they need another program; those of files and streams are there',
    parts: {
      manager: {
        access_log: [
          filter('envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig', {
            common_config: { log_name: 'shop', grpc_service: grpcService, transport_api_version: 'V3' },
          }),
        ],
      },
    },
    envoy: 'taken',
    reference: /access_log/,
  },
  {
    what: 'network filters of other protocols, as redis_proxy',
    reason: 'nothing that fairlead generates needs them',
    parts: {
      networkFilters: [
        filter('envoy.extensions.filters.network.redis_proxy.v3.RedisProxy', {
          stat_prefix: 'redis',
          settings: { op_timeout: '1s' },
          prefix_routes: { catch_all_route: { cluster: 'app' } },
        }),
      ],
    },
    envoy: 'taken',
    reference: /does not know envoy\.extensions\.filters\.network\.redis_proxy\.v3\.RedisProxy/,
  },
  {
    what: 'clusters of the type ORIGINAL_DST',
    reason: 'a later part of the plan; nothing that fairlead generates needs it',
    parts: { cluster: { type: 'ORIGINAL_DST', lb_policy: 'CLUSTER_PROVIDED', load_assignment: undefined } },
    envoy: 'taken',
    reference: /ORIGINAL_DST/,
  },
]

/** What follows from Node, and shows only where a machine is set up for it. */
export const limits: readonly { readonly what: string; readonly reason: string }[] = [
  {
    what: 'the listener filter original_dst finds out where a connection was going that the kernel redirected',
    reason:
      'a socket of Node cannot be asked for it: the local address stands for it, which is right where nothing is redirected',
  },
  {
    what: 'the buffer filter lets a request pass over HTTP/2 whose last frame alone is longer than may be',
    reason: 'Node does not tell which chunk is the last: it is refused, as it is over HTTP/1.1',
  },
]
