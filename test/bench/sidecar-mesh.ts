import type { BenchMesh, Changed, ClientOfMesh } from './bench-mesh.ts'
import { clusterType, endpointType, listenerType, routeType, serviceName } from './services.ts'

/** A mesh in documents of kinds: a Sidecar for every proxy, and a Route for every tenth Service. */
export interface SidecarMeshShape {
  readonly services: number
  /** Of as many for each Service. */
  readonly sidecars: number
  /** How many Services each sidecar names as those that it calls; undefined: it may call all. */
  readonly calls: number | undefined
  /** What of a proxy says which Sidecar it is: its cluster, if this does not say otherwise. */
  readonly chosenBy?: 'cluster' | 'metadata'
}

/** Services to a Route. */
const servicesPerRoute = 10

export function sidecarMesh(shape: SidecarMeshShape): BenchMesh {
  const { services, sidecars, calls } = shape
  const all = Array.from({ length: services }, (_, index) => serviceName(index))
  const shared = namesOf(all, 'mesh/outbound')
  return {
    documents() {
      const documents: Record<string, string> = {}
      for (let index = 0; index < services; index++) documents[serviceId(index)] = serviceText(shape, index, 0)
      for (let index = 0; index < services; index += servicesPerRoute) documents[routeId(index)] = routeText(index, 0)
      for (let index = 0; index < sidecars; index++) documents[sidecarId(index)] = sidecarText(shape, index)
      return documents
    },
    changedService(change): Changed {
      const index = Math.abs(change) % services
      return { id: serviceId(index), text: serviceText(shape, index, 4000 + (change % 4000)) }
    },
    changedRoute(change): Changed {
      const index = (Math.abs(change) * servicesPerRoute) % services
      return { id: routeId(index), text: routeText(index, 4000 + (change % 4000)) }
    },
    changedMesh(change): Changed {
      const text = `kind: Mesh\nname: mesh\naccessLog: {format: json, minStatus: ${400 + (change % 200)}}\n`
      return { id: 'mesh.yaml', text }
    },
    furtherSidecar(change): Changed {
      const index = sidecars + change
      return { id: sidecarId(index), text: sidecarText(shape, index) }
    },
    client(index): ClientOfMesh {
      const name = sidecarName(index)
      const names = calls === undefined ? shared : namesOf(calledBy(shape, index), `${name}/outbound`)
      return { node: { id: name, cluster: name }, names }
    },
  }
}

/** How many sidecars hear of a change of one Service: each is called by as many. */
export function callersPerService({ services, sidecars, calls = services }: SidecarMeshShape): number {
  return (sidecars * calls) / services
}

const sidecarName = (index: number): string => `sidecar-${String(index).padStart(5, '0')}`
const serviceId = (index: number): string => `services/${serviceName(index)}.yaml`
const routeId = (index: number): string => `routes/${serviceName(index)}.yaml`
const sidecarId = (index: number): string => `sidecars/${sidecarName(index)}.yaml`

function namesOf(services: readonly string[], routes: string): ClientOfMesh['names'] {
  return { [clusterType]: [], [endpointType]: services, [listenerType]: [], [routeType]: [routes] }
}

/** Others than its own; every Service is called by as many. */
function calledBy({ services, calls = services }: SidecarMeshShape, sidecar: number): readonly string[] {
  return Array.from({ length: calls }, (_, at) =>
    serviceName((sidecar + 1 + Math.floor((at * services) / calls)) % services),
  )
}

/** As many endpoints as there are sidecars of the Service. */
function serviceText({ services, sidecars }: SidecarMeshShape, index: number, change: number): string {
  const name = serviceName(index)
  const endpoints = Array.from({ length: Math.floor(sidecars / services) }, (_, at) => {
    const port = at === 0 ? 15_000 + change : 15_000
    return `- {address: 10.${index >> 8}.${index & 255}.${at + 1}, port: ${port}}`
  })
  return ['kind: Service', `name: ${name}`, 'port: 80', 'endpoints:', ...endpoints, ''].join('\n')
}

function routeText(index: number, change: number): string {
  const name = serviceName(index)
  return [
    'kind: Route',
    `name: ${name}`,
    `hosts: ${name}`,
    'rules:',
    `- match: {path: {prefix: /reports}}`,
    `  backends: ${name}`,
    `  timeout: ${10_000 + change}ms`,
    `- backends: ${name}`,
    '  retry: {attempts: 2}',
    '',
  ].join('\n')
}

function sidecarText(shape: SidecarMeshShape, index: number): string {
  const name = sidecarName(index)
  return [
    'kind: Sidecar',
    `name: ${name}`,
    shape.chosenBy === 'metadata' ? `nodes: {metadata: {workload: ${name}}}` : `nodes: {cluster: ${name}}`,
    `service: ${serviceName(index % shape.services)}`,
    'inbound: {port: 15006, app: "127.0.0.1:8080"}',
    ...(shape.calls === undefined ? [] : [`outbound: {services: [${calledBy(shape, index).join(', ')}]}`]),
    '',
  ].join('\n')
}
