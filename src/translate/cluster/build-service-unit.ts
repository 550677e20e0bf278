import { isIP } from 'node:net'
import type { KindDocument } from '../../config/kinds/kind-document.ts'
import type { Endpoint, ServiceForm } from '../../config/kinds/service-form.ts'
import type { PlacedProblem } from '../build-generated.ts'
import type { GeneratedJson, ServiceFacet, ServiceInput, ServiceOutput } from '../contract.ts'
import { assignmentJson } from '../endpoint/assignment-json.ts'
import { placeOf, type SourcePlace, within } from '../envoy-json.ts'
import { clusterName } from '../names.ts'
import { buildCluster } from './build-cluster.ts'

/** The clusters of a Service, one for itself and one for each version, and their assignments. */
export function buildServiceUnit({ service }: ServiceInput): ServiceOutput {
  const { form } = service
  const endpoints = form.endpoints ?? []
  const whole: Part = { name: clusterName(form.name), endpoints, from: { document: service, path: '' } }
  const versions = (form.versions ?? []).map(
    ({ name, labels }, index): Part => ({
      name: clusterName(form.name, name),
      endpoints: endpoints.filter((endpoint) => hasLabels(endpoint, labels)),
      from: { document: service, path: `versions[${index}]` },
    }),
  )
  const parts = [whole, ...versions]
  return {
    resources: parts.flatMap((part) => resourcesOf(part, form)),
    problems: [...hostNames(service, endpoints), ...parts.flatMap(emptiness)],
  }
}

/** What others may know of the Service. */
export function facetOf({ form }: KindDocument<ServiceForm>): ServiceFacet {
  return {
    name: form.name,
    protocol: form.protocol,
    port: form.port,
    address: form.address,
    hosts: [form.name, ...(form.hosts ?? [])],
    versions: (form.versions ?? []).map(({ name }) => name),
    isConsistentHash: false,
    isDns: false,
  }
}

/** One cluster and its endpoints. */
interface Part {
  readonly name: string
  readonly endpoints: readonly Endpoint[]
  readonly from: SourcePlace
}

function resourcesOf({ name, endpoints, from }: Part, form: ServiceForm): readonly GeneratedJson[] {
  const localities = endpoints.length === 0 ? [] : [{ region: '', zone: '', subZone: '', priority: 0, endpoints }]
  return [
    { type: 'cluster', name, json: buildCluster(name, form, { ...from, path: '' }), from },
    {
      type: 'endpoint',
      name,
      json: assignmentJson({ name, localities }),
      from: within({ ...from, path: '' }, 'endpoints'),
    },
  ]
}

function hasLabels(endpoint: Endpoint, wanted: Readonly<Record<string, string>>): boolean {
  return Object.entries(wanted).every(([key, value]) => endpoint.labels?.[key] === value)
}

/** Envoy refuses a host name in what comes by EDS. */
function hostNames(document: KindDocument<ServiceForm>, endpoints: readonly Endpoint[]): PlacedProblem[] {
  return endpoints.flatMap(({ address }, index) => {
    if (isIP(address) !== 0) return []
    return {
      severity: 'error',
      code: 'unsupported-field',
      at: { key: document.key, path: `endpoints[${index}].address` },
      message: 'An endpoint whose address is a host name is not in this version',
      fix: 'Write its IP address.',
    }
  })
}

function emptiness({ name, endpoints, from }: Part): PlacedProblem[] {
  if (endpoints.length > 0) return []
  const isVersion = from.path !== ''
  return [
    {
      severity: 'warning',
      code: 'no-endpoints',
      at: placeOf(from),
      message: isVersion
        ? `No endpoint has the labels of the version ${name}, so its share of the requests gets 503`
        : `The Service ${name} has no endpoints, so its requests get 503`,
      fix: isVersion ? 'Give an endpoint these labels, or remove the version.' : 'Add `endpoints`.',
    },
  ]
}
