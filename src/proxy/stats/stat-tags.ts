/** A part of a stat's name that says which one of many it is of: Prometheus has it as a label. */
export interface Tag {
  readonly name: string
  readonly value: string
}

export interface TaggedName {
  /** Without what the tags say: `cluster.upstream_rq_total`. */
  readonly name: string
  readonly tags: readonly Tag[]
}

interface TagRule {
  readonly tag: string
  /** What `(?<part>)` finds is left out of the name; `(?<value>)` within it is the tag's value. */
  readonly pattern: RegExp
}

/** Envoy's defaults for what this proxy counts, in Envoy's order. A name with a dot in it is cut there, in Envoy too. */
const rules: readonly TagRule[] = [
  { tag: 'envoy.response_code', pattern: /_rq(?<part>_(?<value>\d{3}))$/d },
  { tag: 'envoy.response_code_class', pattern: /_rq_(?<part>(?<value>\d))xx$/d },
  { tag: 'envoy.fault_downstream_cluster', pattern: /^http\.[^.]+\.fault\.(?<part>(?<value>[^.]+)\.)./d },
  { tag: 'envoy.route', pattern: /^vhost\.[^.]+\.route\.(?<part>(?<value>[^.]+)\.)./d },
  { tag: 'envoy.virtual_cluster', pattern: /^vhost\.[^.]+\.vcluster\.(?<part>(?<value>[^.]+)\.)./d },
  { tag: 'envoy.virtual_host', pattern: /^vhost\.(?<part>(?<value>[^.]+)\.)./d },
  { tag: 'envoy.ssl_cipher', pattern: /^listener\..*?\.ssl\.ciphers(?<part>\.(?<value>.*?))$/d },
  { tag: 'envoy.cipher_suite', pattern: /^cluster\..*?\.ssl\.ciphers(?<part>\.(?<value>.*?))$/d },
  { tag: 'envoy.rds_route_config', pattern: /^http\.[^.]+\.rds\.(?<part>(?<value>.*?)\.)\w+?$/d },
  { tag: 'envoy.http_conn_manager_prefix', pattern: /^http\.(?<part>(?<value>[^.]+)\.)./d },
  { tag: 'envoy.http_conn_manager_prefix', pattern: /^listener\..*?\.http\.(?<part>(?<value>[^.]+)\.)./d },
  { tag: 'envoy.listener_address', pattern: /^listener\.(?<part>(?<value>[_.\d]*|[_[\]aAbBcCdDeEfF\d]*)\.)/d },
  { tag: 'envoy.cluster_name', pattern: /^cluster\.(?<part>(?<value>[^.]+)\.)./d },
  { tag: 'envoy.tcp_prefix', pattern: /^tcp\.(?<part>(?<value>[^.]+)\.)./d },
  { tag: 'envoy.connection_limit_prefix', pattern: /^connection_limit\.(?<part>(?<value>[^.]+)\.)./d },
  { tag: 'envoy.ratelimit_prefix', pattern: /^ratelimit\.(?<part>(?<value>[^.]+)\.)./d },
  {
    tag: 'envoy.local_http_ratelimit_prefix',
    pattern: /^(?<part>(?<value>[^.]+)\.)http_local_rate_limit\../d,
  },
]

/** The stat's name without what its tags say, and these. */
export function tagged(name: string): TaggedName {
  const tags: Tag[] = []
  const cuts: (readonly [start: number, end: number])[] = []
  for (const { tag, pattern } of rules) {
    const match = pattern.exec(name)
    const range = match?.indices?.groups?.['part']
    const value = match?.groups?.['value']
    if (range === undefined || value === undefined || tags.some((other) => other.name === tag)) continue
    tags.push({ name: tag, value })
    cuts.push(range)
  }
  const rest = cuts
    .sort(([one], [other]) => other - one)
    .reduce((text, [start, end]) => text.slice(0, start) + text.slice(end), name)
  return { name: rest, tags }
}
