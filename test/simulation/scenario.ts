/** What a simulation plays, as plain data: a failing one can be printed, shrunk and played again. */
export interface Scenario {
  readonly seed: number
  readonly clients: readonly ClientSpec[]
  /** In order of time. */
  readonly steps: readonly Step[]
}

/** From then on, the nodes of a group are to have just these resources. Every reference among them is provided for. */
export interface Step {
  readonly atMs: number
  readonly group: number
  readonly resources: readonly Spec[]
}

/** A virtual Envoy's circumstances and its character. */
export interface ClientSpec {
  readonly name: string
  /** Feeds the client's own choices: jitter of the network, hosts that it asks for on demand. */
  readonly seed: number
  readonly group: number
  readonly protocol: 'sotw' | 'delta'
  readonly connectAtMs: number
  /** One way. */
  readonly latencyMs: number
  /** How long it works on a response before it takes it. */
  readonly thinkMs: number
  /** How long its socket takes for a response. */
  readonly socketMs: number
  /** How long a listener's old configuration serves the connections that it has (`--drain-time-s`). */
  readonly drainMs: number
  /** It loses its connection then, and comes back a second later with what it has. */
  readonly reconnectsAtMs: readonly number[]
  /** Types that it never asks for. */
  readonly omits: readonly Word[]
  readonly rejects: readonly Rejection[]
}

/** A client that refuses a resource in one revision. */
export interface Rejection {
  readonly kind: Spec['kind']
  readonly name: string
  readonly revision: number
  /**
   * `semantic`: the rest of the response is applied, and Envoy names what it refuses. `constraint`: a `validate.rules`
   * error, nothing of the response is applied and the resource is dumped.
   */
  readonly how: 'semantic' | 'constraint'
}

/** The types that the virtual Envoy knows. */
export type Word =
  | 'cluster'
  | 'endpoint'
  | 'secret'
  | 'extension'
  | 'listener'
  | 'scopedRoute'
  | 'route'
  | 'virtualHost'

/** A resource in the few features that matter here. `revision` stands for all other content. */
export type Spec =
  | ClusterSpec
  | ListenerSpec
  | RouteSpec
  | ScopedRouteSpec
  | VirtualHostSpec
  | ExtensionSpec
  | PlainSpec

interface SpecBase {
  readonly name: string
  readonly revision: number
}

export interface ClusterSpec extends SpecBase {
  readonly kind: 'cluster'
  /** The assignment that it takes its endpoints from; absent: it has its own. */
  readonly eds?: string
  /** Of its upstream TLS. */
  readonly secret?: string
  /** It is an aggregate of these. */
  readonly of?: readonly string[]
}

export interface ListenerSpec extends SpecBase {
  readonly kind: 'listener'
  readonly routing: Routing
  /** Of its downstream TLS. */
  readonly secret?: string
  /** An HTTP filter whose configuration comes by ECDS. */
  readonly extension?: string
}

export type Routing =
  | { readonly by: 'rds'; readonly route: string }
  | { readonly by: 'scopes' }
  | { readonly by: 'inline'; readonly clusters: readonly string[]; readonly mirror?: string }
  | { readonly by: 'tcp'; readonly clusters: readonly string[] }

export interface RouteSpec extends SpecBase {
  readonly kind: 'route'
  /** None: it answers by itself. Several: weighted. */
  readonly clusters: readonly string[]
  readonly mirror?: string
  /** More virtual hosts come by VHDS. */
  readonly isOnDemand?: boolean
}

export interface ScopedRouteSpec extends SpecBase {
  readonly kind: 'scopedRoute'
  readonly route: string
}

/** `<route configuration>/<host>` */
export interface VirtualHostSpec extends SpecBase {
  readonly kind: 'virtualHost'
  readonly clusters: readonly string[]
}

/** An external authorization by gRPC. */
export interface ExtensionSpec extends SpecBase {
  readonly kind: 'extension'
  readonly cluster?: string
}

/** An assignment has endpoints; what a cluster wants and nothing provides, the server makes empty. */
export interface PlainSpec extends SpecBase {
  readonly kind: 'endpoint' | 'secret'
}

/** What a resource needs to be there, by kind. An assignment may be missing (rule 24). */
export function needsOf(spec: Spec): readonly { readonly kind: Spec['kind']; readonly name: string }[] {
  const clusters = (names: readonly string[]) => names.map((name) => ({ kind: 'cluster' as const, name }))
  const one = (kind: Spec['kind'], name: string | undefined) => (name === undefined ? [] : [{ kind, name }])
  switch (spec.kind) {
    case 'cluster':
      return [...one('secret', spec.secret), ...clusters(spec.of ?? [])]
    case 'listener': {
      const { routing } = spec
      const own = [...one('secret', spec.secret), ...one('extension', spec.extension)]
      if (routing.by === 'rds') return [...own, ...one('route', routing.route)]
      if (routing.by === 'scopes') return own
      return [
        ...own,
        ...clusters(routing.clusters),
        ...one('cluster', routing.by === 'inline' ? routing.mirror : undefined),
      ]
    }
    case 'route':
      return [...clusters(spec.clusters), ...one('cluster', spec.mirror)]
    case 'scopedRoute':
      return one('route', spec.route)
    case 'virtualHost':
      return [...clusters(spec.clusters), ...one('route', spec.name.slice(0, spec.name.indexOf('/')))]
    case 'extension':
      return one('cluster', spec.cluster)
    case 'endpoint':
    case 'secret':
      return []
  }
}

/** The same without references to what is not there: what only stood for such a reference goes, too. */
export function withoutDangling(specs: readonly Spec[]): readonly Spec[] {
  let kept = specs
  for (;;) {
    const there = new Set(kept.map(({ kind, name }) => `${kind} ${name}`))
    const healed = kept.flatMap((spec) => healedSpec(spec, (kind, name) => there.has(`${kind} ${name}`)))
    if (healed.length === kept.length && healed.every((spec, index) => spec === kept[index])) return kept
    kept = healed
  }
}

function healedSpec(spec: Spec, has: (kind: Spec['kind'], name: string) => boolean): readonly Spec[] {
  if (needsOf(spec).every(({ kind, name }) => has(kind, name))) return [spec]
  const clusters = (names: readonly string[]) => names.filter((name) => has('cluster', name))
  switch (spec.kind) {
    case 'cluster': {
      const { secret, of, ...rest } = spec
      return [
        {
          ...rest,
          ...(secret !== undefined && has('secret', secret) && { secret }),
          ...(of !== undefined && { of: clusters(of) }),
        },
      ].filter((cluster) => cluster.of?.length !== 0)
    }
    case 'listener': {
      const { secret, extension, routing, ...rest } = spec
      const healed = healedRouting(routing, has)
      return healed === undefined
        ? []
        : [
            {
              ...rest,
              routing: healed,
              ...(secret !== undefined && has('secret', secret) && { secret }),
              ...(extension !== undefined && has('extension', extension) && { extension }),
            },
          ]
    }
    case 'route': {
      const { mirror, ...rest } = spec
      const left = clusters(spec.clusters)
      return [{ ...rest, clusters: left, ...(mirror !== undefined && has('cluster', mirror) && { mirror }) }]
    }
    case 'virtualHost':
      return has('route', spec.name.slice(0, spec.name.indexOf('/')))
        ? [{ ...spec, clusters: clusters(spec.clusters) }]
        : []
    case 'extension': {
      const { cluster: _gone, ...rest } = spec
      return [rest]
    }
    case 'scopedRoute':
    case 'endpoint':
    case 'secret':
      return []
  }
}

function healedRouting(routing: Routing, has: (kind: Spec['kind'], name: string) => boolean): Routing | undefined {
  if (routing.by === 'scopes') return routing
  if (routing.by === 'rds') return has('route', routing.route) ? routing : undefined
  const clusters = routing.clusters.filter((name) => has('cluster', name))
  if (routing.by === 'tcp') return clusters.length === 0 ? undefined : { by: 'tcp', clusters }
  const { mirror } = routing
  return { by: 'inline', clusters, ...(mirror !== undefined && has('cluster', mirror) && { mirror }) }
}
