import { isIP } from 'node:net'
import { type AddressConfig, readAddress } from '../config/address.ts'
import { ConfigRejection } from '../config/config-rejection.ts'
import type { FieldReader } from '../config/field-reader.ts'
import { readFraction } from '../config/fraction.ts'
import { noLocality, readLocality } from '../config/locality.ts'
import { type Metadata, noMetadata, readMetadata } from '../config/metadata.ts'
import type { Locality } from '../proxy-context.ts'
import type { Fraction } from '../runtime.ts'

/** The endpoints of a cluster, as its configuration or EDS says them. */
export interface Assignment {
  /** Of EDS: the name of the resource. */
  readonly clusterName: string
  readonly groups: readonly EndpointGroup[]
  /** In percent: 140 lets a priority with 72% of its hosts healthy take all of the load. */
  readonly overprovisioningFactor: number
  /** Of a priority's health the hosts' weights are summed up, not their number. */
  readonly weightedPriorityHealth: boolean
  readonly dropOverloads: readonly DropOverload[]
  /** Endpoints that EDS has not renewed for so long are stale, and gone. */
  readonly staleAfterMs: number | undefined
}

/** Requests that are dropped before they reach any host; one is asked after the other. */
export interface DropOverload {
  readonly share: Fraction
}

/** The endpoints of one locality in one priority. */
export interface EndpointGroup {
  readonly locality: Locality
  readonly priority: number
  /** Of the locality; undefined where it has none, and gets no load when localities are weighted. */
  readonly weight: number | undefined
  readonly endpoints: readonly Endpoint[]
}

export interface Endpoint {
  readonly address: AddressConfig
  readonly hostname: string
  readonly weight: number
  readonly metadata: Metadata
  readonly health: EndpointHealth
  readonly healthCheck: EndpointHealthCheck
}

/** What the control plane says. `UNKNOWN` leaves it to health checks. */
export type EndpointHealth = 'UNKNOWN' | 'HEALTHY' | 'UNHEALTHY' | 'DRAINING' | 'TIMEOUT' | 'DEGRADED'

export interface EndpointHealthCheck {
  /** Where it is checked, when not where requests go. */
  readonly port: number | undefined
  readonly address: AddressConfig | undefined
  /** `:authority` of checks. */
  readonly hostname: string
  readonly isDisabled: boolean
}

export const noAssignment: Assignment = {
  clusterName: '',
  groups: [],
  overprovisioningFactor: 140,
  weightedPriorityHealth: false,
  dropOverloads: [],
  staleAfterMs: undefined,
}

const noHealthCheck: EndpointHealthCheck = { port: undefined, address: undefined, hostname: '', isDisabled: false }

interface AssignmentPolicy {
  readonly dropOverloads: readonly DropOverload[]
  readonly overprovisioningFactor: number
  readonly weightedPriorityHealth: boolean
  readonly staleAfterMs: number | undefined
}

/** `envoy.config.endpoint.v3.ClusterLoadAssignment`; a priority that it leaves out has no hosts. */
export function readAssignment(fields: FieldReader): Assignment {
  const named = fields.map('named_endpoints', readEndpoint)
  const clusterName = fields.string('cluster_name')
  const groups = fields.list('endpoints', (group) => readGroup(group, named))
  const policy = fields.message('policy', readPolicy)
  return {
    clusterName,
    groups,
    dropOverloads: policy?.dropOverloads ?? [],
    overprovisioningFactor: policy?.overprovisioningFactor ?? noAssignment.overprovisioningFactor,
    weightedPriorityHealth: policy?.weightedPriorityHealth ?? false,
    staleAfterMs: policy?.staleAfterMs,
  }
}

function readPolicy(fields: FieldReader): AssignmentPolicy {
  return {
    dropOverloads: fields.list('drop_overloads', readDropOverload),
    overprovisioningFactor: fields.number('overprovisioning_factor') ?? noAssignment.overprovisioningFactor,
    weightedPriorityHealth: fields.flag('weighted_priority_health'),
    staleAfterMs: fields.durationMs('endpoint_stale_after'),
  }
}

function readDropOverload(fields: FieldReader): DropOverload {
  fields.ignore('category', 'all that is dropped is counted together')
  return { share: fields.message('drop_percentage', readFraction) ?? { numerator: 0, denominator: 100 } }
}

function readGroup(fields: FieldReader, named: ReadonlyMap<string, EndpointPlace>): EndpointGroup {
  fields.ignore('metadata', 'it is for filters and formats that name it, none of which this proxy has')
  fields.ignore('proximity', 'Envoy does not use it either')
  const endpoints =
    fields.message('load_balancer_endpoints', (list) =>
      list.list('lb_endpoints', (one) => readLbEndpoint(one, named)),
    ) ?? fields.list('lb_endpoints', (one) => readLbEndpoint(one, named))
  return {
    locality: fields.message('locality', readLocality) ?? noLocality,
    priority: fields.number('priority') ?? 0,
    weight: fields.number('load_balancing_weight'),
    endpoints,
  }
}

/** What `Endpoint` says, which several members of a list may share by its name. */
type EndpointPlace = Pick<Endpoint, 'address' | 'hostname' | 'healthCheck'>

function readLbEndpoint(fields: FieldReader, named: ReadonlyMap<string, EndpointPlace>): Endpoint {
  const name = fields.string('endpoint_name')
  const place = fields.message('endpoint', readEndpoint) ?? named.get(name)
  if (place === undefined) fields.refuse('endpoint_name', `no such endpoint: ${name}`)
  return {
    address: place?.address ?? { address: '', port: 0 },
    hostname: place?.hostname ?? '',
    healthCheck: place?.healthCheck ?? noHealthCheck,
    weight: fields.number('load_balancing_weight') ?? 1,
    metadata: fields.message('metadata', readMetadata) ?? noMetadata,
    health: fields.choice('health_status', ['UNKNOWN', 'HEALTHY', 'UNHEALTHY', 'DRAINING', 'TIMEOUT', 'DEGRADED']),
  }
}

function readEndpoint(fields: FieldReader): EndpointPlace {
  return {
    address: fields.message('address', readAddress) ?? { address: '', port: 0 },
    hostname: fields.string('hostname'),
    healthCheck: fields.message('health_check_config', readHealthCheckConfig) ?? noHealthCheck,
  }
}

function readHealthCheckConfig(fields: FieldReader): EndpointHealthCheck {
  const port = fields.number('port_value') ?? 0
  return {
    port: port === 0 ? undefined : port,
    address: fields.message('address', readAddress),
    hostname: fields.string('hostname'),
    isDisabled: fields.flag('disable_active_health_check'),
  }
}

/** @throws ConfigRejection in Envoy's words where an address is a name, which nobody looks up in such a cluster */
export function ensureAddresses({ groups }: Assignment): void {
  for (const { endpoints } of groups) {
    for (const { address } of endpoints) {
      // One that is of another kind has been refused already.
      if (isIP(address.address) !== 0 || address.address === '') continue
      throw new ConfigRejection(
        `malformed IP address: ${address.address}. Consider setting resolver_name or setting cluster type to 'STRICT_DNS' or 'LOGICAL_DNS'`,
      )
    }
  }
}
