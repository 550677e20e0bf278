import type { Endpoint } from '../../config/kinds/service-form.ts'
import type { Assignment } from '../contract.ts'
import type { EnvoyJson } from '../envoy-json.ts'

const healthWords = { healthy: 'HEALTHY', unhealthy: 'UNHEALTHY', draining: 'DRAINING', degraded: 'DEGRADED' } as const

/** A ClusterLoadAssignment. */
export function assignmentJson({ name, overprovisioningFactor, localities }: Assignment): EnvoyJson {
  return {
    cluster_name: name,
    endpoints: localities.map(({ region, zone, subZone, priority, weight, endpoints }) => ({
      locality: region === '' && zone === '' && subZone === '' ? undefined : { region, zone, sub_zone: subZone },
      priority: priority === 0 ? undefined : priority,
      load_balancing_weight: weight,
      lb_endpoints: endpoints.map(endpointJson),
    })),
    policy: overprovisioningFactor === undefined ? undefined : { overprovisioning_factor: overprovisioningFactor },
  }
}

function endpointJson({ address, port, labels, weight, health }: Endpoint): EnvoyJson {
  return {
    endpoint: { address: { socket_address: { address, port_value: port } } },
    // Envoy's weights begin at 1: one that is to get nothing is drained.
    health_status: weight === 0 ? 'DRAINING' : health && healthWords[health],
    load_balancing_weight: weight === 0 ? undefined : weight,
    metadata: labels && { filter_metadata: { 'envoy.lb': labels } },
  }
}
