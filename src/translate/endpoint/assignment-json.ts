import type { Endpoint } from '../../config/kinds/service-form.ts'
import type { Assignment } from '../contract.ts'
import type { EnvoyJson } from '../envoy-json.ts'

const healthWords = { healthy: 'HEALTHY', unhealthy: 'UNHEALTHY', draining: 'DRAINING', degraded: 'DEGRADED' } as const

/** A ClusterLoadAssignment. */
export function assignmentJson({ name, overprovisioningFactor, healthPort, localities }: Assignment): EnvoyJson {
  return {
    cluster_name: name,
    endpoints: localities.map(({ region, zone, subZone, priority, weight, endpoints }) => ({
      locality: region === '' && zone === '' && subZone === '' ? undefined : { region, zone, sub_zone: subZone },
      priority: priority === 0 ? undefined : priority,
      load_balancing_weight: weight,
      lb_endpoints: endpoints.map((endpoint) => endpointJson(endpoint, healthPort)),
    })),
    policy: overprovisioningFactor === undefined ? undefined : { overprovisioning_factor: overprovisioningFactor },
  }
}

function endpointJson(endpoint: Endpoint, defaultHealthPort: number | undefined): EnvoyJson {
  const { address, port, labels, weight, health, hostname, healthPort = defaultHealthPort } = endpoint
  const isAskedElsewhere = healthPort !== undefined || hostname !== undefined
  return {
    endpoint: {
      address: { socket_address: { address, port_value: port } },
      hostname,
      health_check_config: isAskedElsewhere ? { port_value: healthPort, hostname } : undefined,
    },
    health_status: health && healthWords[health],
    load_balancing_weight: weight,
    metadata: labels && { filter_metadata: { 'envoy.lb': labels } },
  }
}
