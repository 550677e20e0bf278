import type { Backend } from '../../config/kinds/common-form.ts'
import type { Rule } from '../../config/kinds/route-form.ts'
import type { FallbackCluster, GeneratedJson } from '../contract.ts'
import { at, type SourcePlace, within } from '../envoy-json.ts'
import { clusterName, fallbackName } from '../names.ts'

/** A backend that gets requests. */
export interface Arm {
  readonly backend: Backend
  readonly from: SourcePlace
  /** The cluster that it is; one that has others to fall back to is one of its own. */
  readonly cluster: string
}

export const clusterOf = ({ service, version }: Backend): string => clusterName(service, version)

/**
 * Gives each arm what requests of it fall back to while it has no healthy host: first the other arms, which do the same
 * work, and then the fallback.
 */
export function withFallback(
  arms: readonly Arm[],
  fallback: Backend | undefined,
  from: SourcePlace,
): { readonly arms: readonly Arm[]; readonly fallbacks: readonly FallbackCluster[] } {
  if (fallback === undefined) return { arms, fallbacks: [] }
  const place = within(from, 'fallback')
  const made = arms.map((arm) => {
    const others = arms.filter((other) => other !== arm)
    const members = [...new Set([...[arm, ...others].map(({ cluster }) => cluster), clusterOf(fallback)])]
    return { arm, cluster: { name: fallbackName(members), members, from: place } }
  })
  return {
    arms: made.map(({ arm, cluster }) => ({ ...arm, cluster: cluster.name })),
    fallbacks: made.map(({ cluster }) => cluster),
  }
}

/** A cluster that takes the first of its members that has a healthy host. */
export function buildFallbackCluster({ name, members, from }: FallbackCluster): GeneratedJson {
  const type = 'type.googleapis.com/envoy.extensions.clusters.aggregate.v3.ClusterConfig'
  const json = {
    name,
    lb_policy: 'CLUSTER_PROVIDED',
    cluster_type: {
      name: 'envoy.clusters.aggregate',
      typed_config: at(from, { '@type': type, clusters: members }),
    },
  }
  return { type: 'cluster', name, json, from }
}

/** The Services whose hosts such a cluster counts one by one. */
export function membersOfFallbacks(rules: readonly Rule[]): readonly string[] {
  const backends = rules.flatMap(({ action, fallback }) =>
    fallback === undefined || action.kind !== 'forward' ? [] : [...action.backends, fallback],
  )
  return [...new Set(backends.map(({ service }) => service))].sort()
}
