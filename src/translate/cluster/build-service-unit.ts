import { isIP } from 'node:net'
import type { InstanceForm } from '../../config/kinds/instance-form.ts'
import type { KindDocument } from '../../config/kinds/kind-document.ts'
import type { Endpoint, ServiceForm } from '../../config/kinds/service-form.ts'
import { encodeAssignment } from '../../resource/encode-assignment.ts'
import type { PlacedProblem } from '../build-generated.ts'
import type {
  Assignment,
  GeneratedJson,
  ServiceDefaults,
  ServiceFacet,
  ServiceInput,
  ServiceOutput,
} from '../contract.ts'
import { serviceDefaults } from '../defaults.ts'
import { assignmentJson } from '../endpoint/assignment-json.ts'
import { forgottenZones, localitiesOf } from '../endpoint/localities.ts'
import { placeOf, type SourcePlace, within } from '../envoy-json.ts'
import { clusterName } from '../names.ts'
import { buildCluster } from './build-cluster.ts'
import { healthPort } from './health-checks.ts'
import { chosenPolicy, hashOf, isConsistentHash, localityWeights, unusedSettings } from './load-balancing.ts'
import type { PolicyLayer, PolicyLayers } from './policy-layers.ts'
import { secretsOf, tlsProblems } from './upstream-tls.ts'

/** The clusters of a Service, one for itself and one for each version, and their assignments. */
export function buildServiceUnit(input: ServiceInput): ServiceOutput {
  const { service, instances, defaults, secrets, isFallbackMember } = input
  const { form } = service
  const document: SourcePlace = { document: service, path: '' }
  const registered = registeredEndpoints(form, instances)
  const endpoints = [...(form.endpoints ?? []), ...registered]
  const layers = layersOf(service, defaults)
  const whole: Part = { name: clusterName(form.name), endpoints, from: document, layers }
  const versions = (form.versions ?? []).map(({ name, labels, policy }, index): Part => {
    const from: SourcePlace = { document: service, path: `versions[${index}]` }
    return {
      name: clusterName(form.name, name),
      endpoints: endpoints.filter((endpoint) => hasLabels(endpoint, labels)),
      from,
      layers: policy === undefined ? layers : [{ policy, from }, ...layers],
    }
  })
  const parts = [whole, ...versions]
  // What a version inherits is told of the whole.
  const outspoken = parts.filter((part) => part === whole || part.layers !== layers)
  const isDns = form.dns !== undefined || endpoints.some(({ address }) => isIP(address) === 0)
  return {
    secrets: [...new Set(parts.flatMap((part) => secretsOf(form, part.layers)))].sort(),
    resources: parts.flatMap((part) => resourcesOf(part, document, form, isDns, isFallbackMember)),
    problems: [
      ...parts.flatMap((part) => [...emptiness(part, form), ...unweighted(part)]),
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
  }
}

function layersOf(service: KindDocument<ServiceForm>, defaults: ServiceDefaults | undefined): PolicyLayers {
  const own: PolicyLayer = { policy: service.form, from: { document: service, path: '' } }
  return defaults === undefined ? [own] : [own, defaults]
}

/** One cluster and its endpoints. */
interface Part {
  readonly name: string
  readonly endpoints: readonly Endpoint[]
  readonly from: SourcePlace
  readonly layers: PolicyLayers
}

const saysTls = ({ layers: [nearest] }: Part): boolean => nearest?.policy.tls !== undefined

function resourcesOf(
  part: Part,
  document: SourcePlace,
  form: ServiceForm,
  isDns: boolean,
  isFallbackMember: boolean,
): readonly GeneratedJson[] {
  const { name, from, layers } = part
  const assignment = assignmentOf(part, form, isFallbackMember)
  const inline = isDns ? assignment : undefined
  const cluster: GeneratedJson = {
    type: 'cluster',
    name,
    json: buildCluster({ name, form, from: document, layers, inline }),
    from,
  }
  if (isDns) return [cluster]
  const endpoints: GeneratedJson = {
    type: 'endpoint',
    name,
    // Seldom asked for.
    get json() {
      return assignmentJson(assignment)
    },
    from: within(document, 'endpoints'),
    encode: () => encodeAssignment(assignment),
  }
  return [cluster, endpoints]
}

function assignmentOf({ name, endpoints, layers }: Part, form: ServiceForm, isFallbackMember: boolean): Assignment {
  const { dns } = form
  const port = healthPort(form, layers)
  const named = dns === undefined ? endpoints : [{ address: dns.host, port: dns.port }]
  const localities = localitiesOf(named, localityWeights(layers)?.value)
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
function unweighted({ endpoints, layers, from }: Part): PlacedProblem[] {
  const weights = localityWeights(layers)
  if (weights === undefined || (from.path !== '' && !weights.from.path.startsWith(`${from.path}.`))) return []
  return forgottenZones(endpoints, weights.value).map((zone) => ({
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
