import { isIP } from 'node:net'
import type { InstanceForm } from '../../config/kinds/instance-form.ts'
import type { KindDocument } from '../../config/kinds/kind-document.ts'
import type { Endpoint, ServiceForm } from '../../config/kinds/service-form.ts'
import { encodeAssignment } from '../../resource/encode-assignment.ts'
import { nearestName } from '../../resource/json/near-name.ts'
import type { PlacedProblem } from '../build-generated.ts'
import type {
  Assignment,
  CallerRegion,
  GeneratedJson,
  ServiceDefaults,
  ServiceFacet,
  ServiceInput,
  ServiceOutput,
} from '../contract.ts'
import { serviceDefaults } from '../defaults.ts'
import { assignmentJson } from '../endpoint/assignment-json.ts'
import { forgottenZones, localitiesOf, placesOf } from '../endpoint/localities.ts'
import { callerRegionsOf, regionRank } from '../endpoint/region-order.ts'
import { placeOf, type SourcePlace, within } from '../envoy-json.ts'
import { clusterName, peersName } from '../names.ts'
import { isUnready } from '../secret/build-secret.ts'
import { buildCluster } from './build-cluster.ts'
import { healthPort } from './health-checks.ts'
import { chosenPolicy, hashOf, isConsistentHash, localityWeights, unusedSettings } from './load-balancing.ts'
import { type PolicyLayer, type PolicyLayers, said } from './policy-layers.ts'
import { secretsOf, tlsProblems } from './upstream-tls.ts'

/** The clusters of a Service, one for itself and one for each version, and their assignments. */
export function buildServiceUnit(input: ServiceInput): ServiceOutput {
  const { service, instances, defaults, failover, secrets, isFallbackMember } = input
  const { form } = service
  const document: SourcePlace = { document: service, path: '' }
  const registered = registeredEndpoints(form, instances)
  const endpoints = [...(form.endpoints ?? []), ...registered]
  const layers = layersOf(service, defaults)
  const whole: Part = { name: clusterName(form.name), endpoints, from: document, layers, failover }
  const versions = (form.versions ?? []).map(({ name, labels, policy }, index): Part => {
    const from: SourcePlace = { document: service, path: `versions[${index}]` }
    return {
      name: clusterName(form.name, name),
      version: name,
      endpoints: endpoints.filter((endpoint) => hasLabels(endpoint, labels)),
      from,
      layers: policy === undefined ? layers : [{ policy, from }, ...layers],
      failover,
    }
  })
  const parts = [whole, ...versions]
  // What a version inherits is told of the whole.
  const outspoken = parts.filter((part) => part === whole || part.layers !== layers)
  const isDns = form.dns !== undefined || endpoints.some(({ address }) => isIP(address) === 0)
  const callers = callerRegionsOf(endpoints)
  const needed = [...new Set(parts.flatMap((part) => secretsOf(form, part.layers)))].sort()
  const unready = needed.filter((name) => isUnready(secrets.get(name)))
  const resources = [
    ...parts.flatMap((part) => resourcesOf(part, { document, form, isDns, callers, isFallbackMember })),
    ...(isDns || !mayHaveZones(form, endpoints) ? [] : peers(form, endpoints, whole, callers)),
  ]
  return {
    secrets: needed,
    resources:
      unready.length === 0 ? resources : resources.map((one) => (one.type === 'cluster' ? { ...one, unready } : one)),
    problems: [
      ...parts.flatMap((part) => [...emptiness(part, form), ...unweighted(part, callers)]),
      ...outspoken.flatMap((part) => unknownRegions(part, form)),
      ...outspoken.flatMap((part) => unusedSettings(part.layers)),
      ...outspoken.flatMap((part) => (part === whole || saysTls(part) ? tlsProblems(form, part.layers, secrets) : [])),
    ],
  }
}

/** What others may know of the Service. */
export function facetOf(service: KindDocument<ServiceForm>, defaults: ServiceDefaults | undefined): ServiceFacet {
  const { form } = service
  const layers = layersOf(service, defaults)
  return {
    key: service.key,
    name: form.name,
    protocol: form.protocol,
    port: form.port,
    address: form.address,
    hosts: [...new Set([form.name, ...(form.hosts ?? [])])],
    versions: (form.versions ?? []).map(({ name }) => name),
    isConsistentHash: isConsistentHash(chosenPolicy(layers).policy),
    hash: hashOf(layers),
    isDns: form.dns !== undefined || (form.endpoints ?? []).some(({ address }) => isIP(address) === 0),
    hasPriorities: mayHavePriorities(form),
  }
}

/** Where nobody can know, what comes of that changes nothing for endpoints of one priority. */
function mayHavePriorities({ endpoints = [], registry }: ServiceForm): boolean {
  const hasSome = endpoints.some(({ priority = 0 }) => priority > 0)
  return hasSome || callerRegionsOf(endpoints) !== undefined || registry !== undefined
}

function layersOf(service: KindDocument<ServiceForm>, defaults: ServiceDefaults | undefined): PolicyLayers {
  const own: PolicyLayer = { policy: service.form, from: { document: service, path: '' } }
  return defaults === undefined ? [own] : [own, defaults]
}

/** One cluster and its endpoints. */
interface Part {
  readonly name: string
  /** Undefined: the whole. */
  readonly version?: string
  readonly endpoints: readonly Endpoint[]
  readonly from: SourcePlace
  readonly layers: PolicyLayers
  /** The order of regions where the layers say none. */
  readonly failover: readonly string[] | undefined
}

const failoverOf = ({ layers, failover }: Part): readonly string[] | undefined =>
  said(layers, 'loadBalancing', 'failover')?.value ?? failover

/** Who registers comes and goes, and the last one in a zone takes nothing away from the proxies that are told of their peers. */
function mayHaveZones({ registry }: ServiceForm, endpoints: readonly Endpoint[]): boolean {
  return registry !== undefined || endpoints.length === 0 || endpoints.some(isZoned)
}

const isZoned = ({ zone }: Endpoint): boolean => zone !== undefined

/** What holds for all parts of a Service. */
interface Whole {
  readonly document: SourcePlace
  readonly form: ServiceForm
  readonly isDns: boolean
  /** Undefined: the endpoints are the same to all. */
  readonly callers: readonly CallerRegion[] | undefined
  readonly isFallbackMember: boolean
}

const saysTls = ({ layers: [nearest] }: Part): boolean => nearest?.policy.tls !== undefined

function resourcesOf(part: Part, whole: Whole): readonly GeneratedJson[] {
  const { name, from, layers } = part
  const { document, form, isDns, callers } = whole
  const only = part.version === undefined ? {} : { version: part.version }
  const assignments = (callers ?? [undefined]).map((region) => ({
    for: region === undefined ? only : { ...only, callers: region },
    assignment: assignmentOf(part, whole, region),
  }))
  const cluster = (inline: Assignment | undefined): GeneratedJson => ({
    type: 'cluster',
    name,
    json: buildCluster({ name, form, from: document, layers, inline }),
    from,
    ...only,
  })
  if (isDns) return assignments.map(({ for: whom, assignment }) => ({ ...cluster(assignment), ...whom }))
  const endpoints = assignments.map(
    ({ for: whom, assignment }): GeneratedJson => ({
      type: 'endpoint',
      name,
      // Seldom asked for.
      get json() {
        return assignmentJson(assignment)
      },
      from: within(document, 'endpoints'),
      ...whom,
      encode: () => encodeAssignment(assignment),
    }),
  )
  return [cluster(undefined), ...endpoints]
}

/**
 * By these a proxy in front of the Service knows what share of its peers is in its own zone, and so how much of what it
 * sends elsewhere may stay there. Peers of other regions would only make that less; Envoy takes no priorities here. Without
 * zones there is nothing to compare, and nobody is told of.
 */
function peers(
  form: ServiceForm,
  endpoints: readonly Endpoint[],
  { from: document, layers }: Part,
  callers: readonly CallerRegion[] | undefined,
): readonly GeneratedJson[] {
  const name = peersName(form.name)
  // As in the others: an endpoint is encoded once.
  const port = healthPort(form, layers)
  return (callers ?? [undefined]).map((caller): GeneratedJson => {
    const all = endpoints.some(isZoned) ? endpoints : []
    const near = caller && 'region' in caller ? all.filter(({ region }) => region === caller.region) : all
    const assignment: Assignment = { name, localities: placesOf(near), ...(port !== undefined && { healthPort: port }) }
    return {
      type: 'endpoint',
      name,
      get json() {
        return assignmentJson(assignment)
      },
      from: within(document, 'endpoints'),
      ...(caller && { callers: caller }),
      isForPeers: true,
      encode: () => encodeAssignment(assignment),
    }
  })
}

function assignmentOf(part: Part, { form, isFallbackMember }: Whole, caller: CallerRegion | undefined): Assignment {
  const { name, endpoints, layers } = part
  const { dns } = form
  const port = healthPort(form, layers)
  const named = dns === undefined ? endpoints : [{ address: dns.host, port: dns.port }]
  const rank = caller && regionRank(named, caller, failoverOf(part))
  const localities = localitiesOf(named, localityWeights(layers)?.value, rank)
  const hasPriorities = localities.some(({ priority }) => priority > 0)
  return {
    name,
    localities,
    ...(port !== undefined && { healthPort: port }),
    ...(isFallbackMember &&
      !hasPriorities && { overprovisioningFactor: serviceDefaults.overprovisioningOfFallback.value }),
  }
}

function hasLabels(endpoint: Endpoint, wanted: Readonly<Record<string, string>>): boolean {
  return Object.entries(wanted).every(([key, value]) => endpoint.labels?.[key] === value)
}

/** Of who registered, those that the document does not list itself. */
function registeredEndpoints(form: ServiceForm, instances: readonly InstanceForm[]): readonly Endpoint[] {
  const listed = new Set((form.endpoints ?? []).map(addressOf))
  const found: Endpoint[] = []
  for (const { endpoint } of instances) {
    if (listed.has(addressOf(endpoint))) continue
    listed.add(addressOf(endpoint))
    found.push(endpoint)
  }
  return found
}

const addressOf = ({ address, port }: Endpoint): string => `${address} ${port}`

function emptiness({ name, endpoints, from }: Part, form: ServiceForm): PlacedProblem[] {
  if (form.dns !== undefined || endpoints.some(({ weight }) => weight !== 0)) return []
  const isVersion = from.path !== ''
  const told = (message: string, fix: string): PlacedProblem[] => [
    { severity: 'warning', code: 'no-endpoints', at: placeOf(from), message, fix },
  ]
  if (endpoints.length > 0) {
    const what = isVersion ? `of the version ${name}` : `of the Service ${name}`
    return told(`All endpoints ${what} have the weight 0, so its requests get 503`, 'Give one of them a weight.')
  }
  if (isVersion) {
    const message = `No endpoint has the labels of the version ${name}, so its share of the requests gets 503`
    return told(message, 'Give an endpoint these labels, or remove the version.')
  }
  if (form.registry !== undefined) {
    const message = `Nobody has registered as ${form.registry.name}, so the requests of the Service ${name} get 503`
    return told(message, `Register an instance of ${form.registry.name}, or add \`endpoints\`.`)
  }
  return told(`The Service ${name} has no endpoints, so its requests get 503`, 'Add `endpoints`.')
}

/** Told once: of the whole, and of a version that has weights of its own. */
function unweighted(part: Part, callers: readonly CallerRegion[] | undefined): PlacedProblem[] {
  const { endpoints, layers, from } = part
  const weights = localityWeights(layers)
  if (weights === undefined || (from.path !== '' && !weights.from.path.startsWith(`${from.path}.`))) return []
  // To callers elsewhere all regions may be as one, where zones are not weighed against those of other regions.
  const ranks = (callers ?? []).flatMap((one) => ('region' in one ? regionRank(endpoints, one, failoverOf(part)) : []))
  const forgotten = (ranks.length === 0 ? [undefined] : ranks).map((rank) =>
    forgottenZones(endpoints, weights.value, rank),
  )
  return [...new Set(forgotten.flat())].sort().map((zone) => ({
    severity: 'warning',
    code: 'no-effect',
    at: placeOf(weights.from),
    message:
      zone === ''
        ? `Endpoints of ${from.document.form.name} without a zone get no requests, for only zones have a weight.`
        : `Endpoints of ${from.document.form.name} in the zone ${zone} get no requests, for it has no weight.`,
    fix: zone === '' ? 'Give them a `zone`.' : `Add \`${zone}\`.`,
  }))
}

/** Regions in the Service's own order that none of its endpoints is in; who registers may yet be. */
function unknownRegions({ name, endpoints, layers, from }: Part, form: ServiceForm): PlacedProblem[] {
  const order = said(layers, 'loadBalancing', 'failover')
  if (order === undefined || order.from.document !== from.document || form.registry !== undefined) return []
  if (from.path !== '' && !order.from.path.startsWith(`${from.path}.`)) return []
  const regions = [...new Set(endpoints.flatMap(({ region }) => region ?? []))]
  return order.value.flatMap((region, index): PlacedProblem[] => {
    if (regions.includes(region)) return []
    const near = nearestName(region, regions)
    return [
      {
        severity: 'warning',
        code: 'no-effect',
        at: { ...placeOf(order.from), path: `${order.from.path}[${index}]` },
        message: `No endpoint of ${name} is in the region ${region}.`,
        fix: near === undefined ? 'Remove it, or give endpoints this `region`.' : `Did you mean \`${near}\`?`,
      },
    ]
  })
}
