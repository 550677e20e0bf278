import { hostPort } from '../resource/host-port.ts'
import type { AssignmentForm, ClusterForm } from './envoy-form.ts'
import type { ProxyResources } from './proxy-resources.ts'
import type { ClusterShare, EndpointAnswer } from './request-question.ts'

/** A cluster that takes a share, with what stands behind it, first what is asked first. */
export function clusterShare(resources: ProxyResources, name: string, share: number): ClusterShare {
  const cluster = resources.cluster(name)
  const endpoints = cluster === undefined ? [] : endpointsOf(resources, cluster, new Set())
  const isOwn = cluster === undefined && resources.ownClusters.has(name)
  const finds = isOwn ? 'by-bootstrap' : cluster && findsOf(cluster)
  return { name, share, exists: isOwn || cluster !== undefined, ...(finds && { finds }), endpoints }
}

function findsOf({ type, cluster_type: extension }: ClusterForm): ClusterShare['finds'] {
  if (extension?.name === 'envoy.clusters.dynamic_forward_proxy') return 'by-name'
  return type === 'ORIGINAL_DST' ? 'by-destination' : undefined
}

function endpointsOf(
  resources: ProxyResources,
  cluster: ClusterForm,
  seen: Set<ClusterForm>,
): readonly EndpointAnswer[] {
  if (seen.has(cluster)) return []
  seen.add(cluster)
  const members = cluster.cluster_type?.typed_config?.clusters
  if (members !== undefined) {
    return members.flatMap((name) => {
      const member = resources.cluster(name)
      return member === undefined ? [] : endpointsOf(resources, member, seen)
    })
  }
  const assignment =
    cluster.type === 'EDS'
      ? resources.assignment(cluster.eds_cluster_config?.service_name ?? cluster.name ?? '')
      : cluster.load_assignment
  return assigned(assignment)
}

function assigned(assignment: AssignmentForm | undefined): readonly EndpointAnswer[] {
  const localities = [...(assignment?.endpoints ?? [])].sort((a, b) => (a.priority ?? 0) - (b.priority ?? 0))
  return localities.flatMap(({ locality, priority = 0, lb_endpoints: endpoints = [] }) =>
    endpoints.map(({ endpoint, health_status: health }): EndpointAnswer => {
      const { address = '', port_value: port = 0 } = endpoint?.address?.socket_address ?? {}
      const { region, zone } = locality ?? {}
      return {
        address: hostPort(address, port),
        ...(region !== undefined && { region }),
        ...(zone !== undefined && { zone }),
        ...(health !== undefined && { health: health.toLowerCase() }),
        ...(priority > 0 && { priority }),
      }
    }),
  )
}
