import type { JsonObject } from '../../src/proxy/config/field-reader.ts'

export interface EndpointText {
  /** `10.0.0.1:80`; a name where DNS is asked. */
  readonly at: string
  readonly weight?: number
  readonly health?: string
  readonly zone?: string
  readonly priority?: number
  readonly hostname?: string
  /** Of `envoy.lb`. */
  readonly labels?: JsonObject
  /** Of its locality. */
  readonly localityWeight?: number
}

/** A `ClusterLoadAssignment` of these endpoints; those of one zone and priority are in one group. */
export function assignmentJson(name: string, endpoints: readonly EndpointText[], policy?: JsonObject): JsonObject {
  const groups = new Map<string, EndpointText[]>()
  for (const endpoint of endpoints) {
    const key = `${endpoint.zone ?? ''}/${endpoint.priority ?? 0}`
    groups.set(key, [...(groups.get(key) ?? []), endpoint])
  }
  return {
    cluster_name: name,
    endpoints: [...groups.values()].map((members) => {
      const [{ zone, priority, localityWeight }] = members as [EndpointText]
      return {
        ...(zone !== undefined && { locality: { region: 'here', zone } }),
        ...(priority !== undefined && { priority }),
        ...(localityWeight !== undefined && { load_balancing_weight: localityWeight }),
        lb_endpoints: members.map(endpointJson),
      }
    }),
    ...(policy && { policy }),
  }
}

function endpointJson({ at, weight, health, hostname, labels }: EndpointText): JsonObject {
  const colon = at.lastIndexOf(':')
  return {
    endpoint: {
      address: { socket_address: { address: at.slice(0, colon), port_value: Number(at.slice(colon + 1)) } },
      ...(hostname !== undefined && { hostname }),
    },
    ...(weight !== undefined && { load_balancing_weight: weight }),
    ...(health !== undefined && { health_status: health }),
    ...(labels && { metadata: { filter_metadata: { 'envoy.lb': labels } } }),
  }
}

export function staticCluster(name: string, endpoints: readonly EndpointText[], fields: JsonObject = {}): JsonObject {
  return { name, load_assignment: assignmentJson(name, endpoints), ...fields }
}

export function edsCluster(name: string, fields: JsonObject = {}): JsonObject {
  return {
    name,
    type: 'EDS',
    eds_cluster_config: { eds_config: { ads: {}, resource_api_version: 'V3' } },
    ...fields,
  }
}
