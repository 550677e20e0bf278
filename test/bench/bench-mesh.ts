import type { NodeNames } from './envelope.ts'
import { askedNames, changedService, meshDocuments } from './services.ts'
import { type SidecarMeshShape, sidecarMesh } from './sidecar-mesh.ts'

/** Which mesh: so many services in raw resources, the same for every client, or one in documents of kinds. */
export type MeshShape = RawMeshShape | SidecarMeshShape

export interface RawMeshShape {
  readonly services: number
  /** For proxies of one machine that do listen. */
  readonly listensOnFreePorts?: true
}

/** What server and clients know of a mesh, each in a process of its own. */
export interface BenchMesh {
  documents(): Record<string, string>
  /** One service, one of its endpoints moved: every `change`, negative too, gives another text of the same length. */
  changedService(change: number): Changed
  /** One route, its timeout another. */
  changedRoute(change: number): Changed
  /** What all sidecars log, and so a listener of each. */
  changedMesh(change: number): Changed
  /** A sidecar that was not there. */
  furtherSidecar(change: number): Changed
  client(index: number): ClientOfMesh
}

export interface Changed {
  readonly id: string
  readonly text: string
}

export interface ClientOfMesh {
  readonly node: NodeNames
  /** What it asks for, by type; clusters and listeners by wildcard. The same object for clients that ask for the same. */
  readonly names: Readonly<Record<string, readonly string[]>>
}

export function benchMesh(shape: MeshShape): BenchMesh {
  return 'sidecars' in shape ? sidecarMesh(shape) : rawMesh(shape)
}

function rawMesh({ services, listensOnFreePorts }: RawMeshShape): BenchMesh {
  const names = askedNames(services)
  const hasNone = (what: string) => (): never => {
    throw new Error(`the raw mesh has no ${what}`)
  }
  return {
    documents: () => meshDocuments(services, listensOnFreePorts && 0),
    changedService: (change) => changedService(services, change),
    changedRoute: hasNone('route of ours'),
    changedMesh: hasNone('Mesh'),
    furtherSidecar: hasNone('Sidecar'),
    client: (index) => ({ node: { id: `envoy-${index + 1}`, cluster: 'bench' }, names }),
  }
}
