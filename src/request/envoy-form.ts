/** Envoy's JSON, as far as it decides where a request goes: proto field names, and what has its default value is absent. */

export interface ListenerForm {
  readonly name?: string
  readonly address?: AddressForm
  readonly use_original_dst?: boolean
  readonly listener_filters?: readonly { readonly name?: string }[]
  readonly filter_chains?: readonly FilterChainForm[]
  readonly default_filter_chain?: FilterChainForm
  readonly traffic_direction?: string
}

export interface AddressForm {
  readonly socket_address?: { readonly address?: string; readonly port_value?: number }
}

export interface FilterChainForm {
  readonly name?: string
  readonly filter_chain_match?: ChainMatchForm
  readonly filters?: readonly FilterForm[]
  readonly transport_socket?: unknown
}

export interface ChainMatchForm {
  readonly destination_port?: number
  readonly prefix_ranges?: readonly { readonly address_prefix?: string; readonly prefix_len?: number }[]
  readonly server_names?: readonly string[]
  readonly transport_protocol?: string
  readonly application_protocols?: readonly string[]
}

export interface FilterForm {
  readonly name?: string
  readonly typed_config?: { readonly '@type': string; readonly [field: string]: unknown }
}

export interface ConnectionManagerForm {
  readonly route_config?: RouteConfigurationForm
  readonly rds?: { readonly route_config_name?: string }
  readonly normalize_path?: boolean
  readonly merge_slashes?: boolean
  readonly path_with_escaped_slashes_action?: string
  readonly common_http_protocol_options?: { readonly headers_with_underscores_action?: string }
  readonly strip_matching_host_port?: boolean
  readonly strip_any_host_port?: boolean
  readonly generate_request_id?: boolean
  readonly http_filters?: readonly HttpFilterForm[]
}

export interface HttpFilterForm {
  readonly name?: string
  readonly disabled?: boolean
  readonly typed_config?: { readonly mutations?: { readonly request_mutations?: readonly HeaderMutationForm[] } }
}

export interface HeaderMutationForm {
  readonly remove?: string
  readonly append?: { readonly header?: { readonly key?: string } }
}

export interface TcpProxyForm {
  readonly cluster?: string
  readonly weighted_clusters?: WeightedForm
}

export interface RouteConfigurationForm {
  readonly name?: string
  readonly virtual_hosts?: readonly VirtualHostForm[]
  readonly ignore_port_in_host_matching?: boolean
}

export interface VirtualHostForm {
  readonly name?: string
  readonly domains?: readonly string[]
  readonly routes?: readonly RouteForm[]
  readonly require_tls?: string
  readonly retry_policy?: RetryForm
  readonly request_mirror_policies?: readonly MirrorForm[]
}

export interface RouteForm {
  readonly name?: string
  readonly match?: RouteMatchForm
  readonly route?: ForwardForm
  readonly redirect?: RedirectForm
  readonly direct_response?: { readonly status?: number; readonly body?: { readonly inline_string?: string } }
}

export interface RouteMatchForm {
  readonly prefix?: string
  readonly path?: string
  readonly path_separated_prefix?: string
  readonly safe_regex?: RegexForm
  readonly connect_matcher?: object
  readonly case_sensitive?: boolean
  readonly runtime_fraction?: { readonly default_value?: FractionForm }
  readonly headers?: readonly HeaderMatchForm[]
  readonly query_parameters?: readonly QueryMatchForm[]
  readonly grpc?: object
  readonly [field: string]: unknown
}

export interface RegexForm {
  readonly regex?: string
}

export interface FractionForm {
  readonly numerator?: number
  readonly denominator?: string
}

export interface StringMatchForm {
  readonly exact?: string
  readonly prefix?: string
  readonly suffix?: string
  readonly contains?: string
  readonly safe_regex?: RegexForm
  readonly ignore_case?: boolean
}

export interface HeaderMatchForm {
  readonly name?: string
  readonly string_match?: StringMatchForm
  readonly present_match?: boolean
  readonly range_match?: { readonly start?: string; readonly end?: string }
  readonly exact_match?: string
  readonly prefix_match?: string
  readonly suffix_match?: string
  readonly contains_match?: string
  readonly safe_regex_match?: RegexForm
  readonly invert_match?: boolean
  readonly treat_missing_header_as_empty?: boolean
}

export interface QueryMatchForm {
  readonly name?: string
  readonly string_match?: StringMatchForm
  readonly present_match?: boolean
}

export interface ForwardForm {
  readonly cluster?: string
  readonly cluster_header?: string
  readonly weighted_clusters?: WeightedForm
  readonly prefix_rewrite?: string
  readonly regex_rewrite?: RewriteForm
  readonly host_rewrite_literal?: string
  readonly host_rewrite_header?: string
  readonly timeout?: string
  readonly retry_policy?: RetryForm
  readonly request_mirror_policies?: readonly MirrorForm[]
}

export interface RewriteForm {
  readonly pattern?: RegexForm
  readonly substitution?: string
}

export interface WeightedForm {
  readonly clusters?: readonly { readonly name?: string; readonly cluster_header?: string; readonly weight?: number }[]
}

export interface MirrorForm {
  readonly cluster?: string
  readonly runtime_fraction?: { readonly default_value?: FractionForm }
}

export interface RetryForm {
  readonly retry_on?: string
  readonly num_retries?: number
  readonly retriable_status_codes?: readonly number[]
  readonly retriable_request_headers?: readonly HeaderMatchForm[]
}

export interface RedirectForm {
  readonly https_redirect?: boolean
  readonly scheme_redirect?: string
  readonly host_redirect?: string
  readonly port_redirect?: number
  readonly path_redirect?: string
  readonly prefix_rewrite?: string
  readonly regex_rewrite?: RewriteForm
  readonly response_code?: string
  readonly strip_query?: boolean
}

export interface ClusterForm {
  readonly name?: string
  readonly type?: string
  readonly cluster_type?: { readonly name?: string; readonly typed_config?: { readonly clusters?: readonly string[] } }
  readonly eds_cluster_config?: { readonly service_name?: string }
  readonly load_assignment?: AssignmentForm
}

export interface AssignmentForm {
  readonly cluster_name?: string
  readonly endpoints?: readonly {
    readonly locality?: { readonly region?: string; readonly zone?: string; readonly sub_zone?: string }
    readonly priority?: number
    readonly lb_endpoints?: readonly {
      readonly endpoint?: { readonly address?: AddressForm }
      readonly health_status?: string
    }[]
  }[]
}
