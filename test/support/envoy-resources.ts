/** Resources as people write them, one of every type and with the extensions that most configurations have. */
export const envoyResources: Readonly<Record<string, string>> = {
  'a listener with routes, filters, access log and TLS': `
'@type': type.googleapis.com/envoy.config.listener.v3.Listener
name: edge
address: {socket_address: {address: 0.0.0.0, port_value: 8443}}
listener_filters:
- name: envoy.filters.listener.tls_inspector
  typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector}
per_connection_buffer_limit_bytes: 32768
filter_chains:
- filter_chain_match: {server_names: [shop.example, '*.shop.example']}
  transport_socket:
    name: envoy.transport_sockets.tls
    typed_config:
      '@type': type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
      require_client_certificate: false
      common_tls_context:
        alpn_protocols: [h2, http/1.1]
        tls_params: {tls_minimum_protocol_version: TLSv1_2}
        tls_certificate_sds_secret_configs:
        - {name: shop-cert, sds_config: {ads: {}, resource_api_version: V3}}
  filters:
  - name: envoy.filters.network.http_connection_manager
    typed_config:
      '@type': type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
      stat_prefix: edge
      codec_type: AUTO
      normalize_path: true
      use_remote_address: true
      stream_idle_timeout: 300s
      request_headers_timeout: 10s
      common_http_protocol_options: {idle_timeout: 3600s, headers_with_underscores_action: REJECT_REQUEST}
      http2_protocol_options: {max_concurrent_streams: 100, initial_stream_window_size: 65536}
      access_log:
      - name: envoy.access_loggers.file
        filter: {status_code_filter: {comparison: {op: GE, value: {default_value: 500, runtime_key: log.min}}}}
        typed_config:
          '@type': type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
          path: /dev/stdout
          log_format:
            json_format: {status: '%RESPONSE_CODE%', nested: {path: '%REQ(:PATH)%', bytes: 12.5, ok: true, none: null}, list: [1, two]}
      http_filters:
      - name: envoy.filters.http.local_ratelimit
        typed_config:
          '@type': type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit
          stat_prefix: limit
          token_bucket: {max_tokens: 100, tokens_per_fill: 10, fill_interval: 0.5s}
          filter_enabled: {default_value: {numerator: 100, denominator: HUNDRED}}
      - name: envoy.filters.http.rbac
        typed_config:
          '@type': type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC
          rules:
            action: ALLOW
            policies:
              writers: {permissions: [{any: true}], principals: [{header: {name: x-role, string_match: {exact: writer}}}]}
              admins: {permissions: [{header: {name: ':path', string_match: {prefix: /admin}}}], principals: [{any: true}]}
      - name: envoy.filters.http.lua
        typed_config:
          '@type': type.googleapis.com/xds.type.v3.TypedStruct
          type_url: type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua
          value: {default_source_code: {inline_string: 'function envoy_on_request(h) end'}}
      - name: envoy.filters.http.router
        typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
      rds: {route_config_name: edge/http, config_source: {ads: {}, resource_api_version: V3}}
`,
  'a TCP listener with weights': `
'@type': type.googleapis.com/envoy.config.listener.v3.Listener
name: db
address: {socket_address: {address: '::', port_value: 5432, ipv4_compat: true}}
filter_chains:
- filters:
  - name: envoy.filters.network.tcp_proxy
    typed_config:
      '@type': type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy
      stat_prefix: db
      idle_timeout: 3600s
      max_connect_attempts: 3
      weighted_clusters: {clusters: [{name: db-a, weight: 90}, {name: db-b, weight: 10}]}
`,
  'an EDS cluster with TLS, health checks and HTTP/2': `
'@type': type.googleapis.com/envoy.config.cluster.v3.Cluster
name: cart
type: EDS
eds_cluster_config: {eds_config: {ads: {}, resource_api_version: V3}, service_name: cart-eds}
connect_timeout: 0.25s
lb_policy: LEAST_REQUEST
least_request_lb_config: {choice_count: 3, slow_start_config: {slow_start_window: 30s, aggression: {default_value: 1.5, runtime_key: slow.start}}}
circuit_breakers: {thresholds: [{priority: DEFAULT, max_connections: 1000, max_retries: 3, retry_budget: {budget_percent: {value: 20.5}}}]}
outlier_detection: {consecutive_5xx: 5, interval: 10s, base_ejection_time: 30s, max_ejection_percent: 50}
health_checks:
- timeout: 1s
  interval: 5s
  unhealthy_threshold: 3
  healthy_threshold: 2
  http_health_check: {path: /health, expected_statuses: [{start: '200', end: 300}]}
common_lb_config: {healthy_panic_threshold: {value: 0.1}, locality_weighted_lb_config: {}}
metadata: {filter_metadata: {team: {name: shop, 10: ten, 9: nine}, audit: {level: 3}}}
transport_socket:
  name: envoy.transport_sockets.tls
  typed_config:
    '@type': type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
    sni: cart.shop.example
    max_session_keys: 0
    common_tls_context:
      combined_validation_context:
        default_validation_context: {match_typed_subject_alt_names: [{san_type: DNS, matcher: {exact: cart.shop.example}}]}
        validation_context_sds_secret_config: {name: shop-ca, sds_config: {ads: {}, resource_api_version: V3}}
typed_extension_protocol_options:
  envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
    '@type': type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
    common_http_protocol_options: {idle_timeout: 60s, max_requests_per_connection: 1000}
    explicit_http_config: {http2_protocol_options: {connection_keepalive: {interval: 30s, timeout: 5s}}}
`,
  'an aggregate cluster': `
'@type': type.googleapis.com/envoy.config.cluster.v3.Cluster
name: any-cart
connect_timeout: 1s
lb_policy: CLUSTER_PROVIDED
cluster_type:
  name: envoy.clusters.aggregate
  typed_config: {'@type': type.googleapis.com/envoy.extensions.clusters.aggregate.v3.ClusterConfig, clusters: [cart, cart-dr]}
`,
  'an assignment with zones, weights and subsets': `
'@type': type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment
cluster_name: cart-eds
policy: {overprovisioning_factor: 140, drop_overloads: [{category: shed, drop_percentage: {numerator: 5, denominator: HUNDRED}}]}
endpoints:
- locality: {region: us, zone: us-a}
  load_balancing_weight: 2
  lb_endpoints:
  - endpoint: {address: {socket_address: {address: 10.0.0.11, port_value: 8080}}}
    health_status: HEALTHY
    load_balancing_weight: 50
    metadata: {filter_metadata: {envoy.lb: {version: v1, canary: true}}}
- locality: {region: us, zone: us-b}
  priority: 1
  lb_endpoints:
  - endpoint: {address: {pipe: {path: /run/cart.sock, mode: 384}}}
`,
  'a route configuration': `
'@type': type.googleapis.com/envoy.config.route.v3.RouteConfiguration
name: edge/http
ignore_port_in_host_matching: true
virtual_hosts:
- name: shop
  domains: [shop.example, '*.shop.example']
  typed_per_filter_config:
    envoy.filters.http.cors: {'@type': type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy, max_age: '600'}
    envoy.filters.http.buffer: {'@type': type.googleapis.com/envoy.extensions.filters.http.buffer.v3.BufferPerRoute, disabled: true}
  routes:
  - match: {prefix: /api, headers: [{name: x-age, range_match: {start: -5, end: '9007199254740993'}}], query_parameters: [{name: debug, present_match: true}]}
    route:
      weighted_clusters: {clusters: [{name: cart, weight: 99}, {name: cart-v2, weight: 1}]}
      timeout: 2s
      retry_policy: {retry_on: '5xx,connect-failure', num_retries: 2, per_try_timeout: 0.5s, retry_back_off: {base_interval: 0.025s, max_interval: 0.25s}}
      request_mirror_policies: [{cluster: shadow, runtime_fraction: {default_value: {numerator: 10}}}]
      hash_policy: [{cookie: {name: session, ttl: 0s}}]
  - match: {safe_regex: {regex: '/v\\d+/.*'}}
    redirect: {https_redirect: true, response_code: PERMANENT_REDIRECT}
  - match: {path: /teapot}
    direct_response: {status: 418, body: {inline_bytes: dGVhPj8/}}
`,
  'a scoped route configuration': `
'@type': type.googleapis.com/envoy.config.route.v3.ScopedRouteConfiguration
name: scope-a
route_configuration_name: edge/http
key: {fragments: [{string_key: a}]}
`,
  'a certificate': `
'@type': type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret
name: shop-cert
tls_certificate:
  certificate_chain: {inline_string: "-----BEGIN CERTIFICATE-----\\nMIIB\\n-----END CERTIFICATE-----\\n"}
  private_key: {inline_bytes: a2V5LWJ5dGVz}
`,
  'an extension configuration': `
'@type': type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig
name: fault
typed_config:
  '@type': type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault
  delay: {fixed_delay: 0.200s, percentage: {numerator: 10, denominator: HUNDRED}}
  abort: {http_status: 503, percentage: {numerator: 1, denominator: TEN_THOUSAND}}
`,
  'a runtime layer': `
'@type': type.googleapis.com/envoy.service.runtime.v3.Runtime
name: rollout
layer: {health_check: {min_interval: 5000}, features: {zebra: true, apple: {numerator: 1, denominator: MILLION}}}
`,
}
