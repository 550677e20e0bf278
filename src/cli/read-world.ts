import { createAttachments, directoryOfDocument } from '../attachments.ts'
import { createSnapshotCache } from '../cache/snapshot-cache.ts'
import { parseDocument } from '../config/parse-document.ts'
import { changesOf } from '../document-ledger.ts'
import type { Problem } from '../errors.ts'
import type { EnvoyApi } from '../resource/envoy-api.ts'
import type { Node } from '../resource/node.ts'
import type { Snapshot } from '../snapshot/snapshot.ts'
import { isKindUnit } from '../snapshot/unit.ts'
import { createWorld, type Unit } from '../snapshot/world.ts'
import { byPlace } from '../snapshot/world-problem.ts'
import { fileIdPrefix } from '../source/file-source.ts'
import { createMesh } from '../translate/mesh.ts'
import type { OnBuilt } from '../translate/model/rules.ts'
import { readDocuments } from './read-documents.ts'

/** What files would be served as, by a server that starts with them. */
export interface ReadWorld {
  /** How many files were read. */
  readonly files: number
  /** Documents in force, by key. */
  readonly inForce: ReadonlyMap<string, Unit>
  /** What documents of kinds became, by key. */
  readonly generated: ReadonlyMap<string, Unit>
  /** Of both, what proxies get. */
  readonly served: readonly Unit[]
  /** In order of place. */
  readonly problems: readonly Problem[]
  /** Some document has an error of its own, so that what it holds counts as absent. */
  readonly isPartial: boolean
  snapshotFor(node: Node): Snapshot | undefined
}

export interface ReadWorldOptions {
  /** Directories beside its own that a document may name files of. */
  readonly allowed: readonly string[]
  /** Clusters that the bootstraps of the Envoys hold. */
  readonly staticClusters: readonly string[]
  readonly signal: AbortSignal
  readonly onBuilt?: OnBuilt
}

/** @throws ControlPlaneError `usage` when there is nothing to read at a path. */
export async function readWorld(
  api: EnvoyApi,
  paths: readonly string[],
  { allowed, staticClusters, signal, onBuilt }: ReadWorldOptions,
): Promise<ReadWorld> {
  const readings = await Promise.all(paths.map((path, index) => readDocuments(path, signal, fileIdPrefix(index))))
  const { parse } = createAttachments({
    api,
    parse: (document) => parseDocument(api, document),
    inForce: new Map(),
    directoryOf: (document) => directoryOfDocument(document, paths[0]),
    allowed,
  })
  const documents = readings.flatMap((reading) => reading.documents)
  const parsed = documents.map((document) => parse(document, []))
  const mesh = createMesh(api, [], undefined, onBuilt)
  const world = createWorld({
    staticNames: { cluster: staticClusters },
    allowPartial: true,
    judge: (candidate) => mesh.try(candidate),
  })
  const step = world.apply(parsed.flatMap(changesOf), { isFirst: true })
  const served = [...world.inForce.values(), ...world.generated.values()].filter((unit) => !isKindUnit(unit))
  const cache = createSnapshotCache()
  cache.apply({ upserted: served, removed: [], withheld: [] })
  return {
    files: documents.length,
    inForce: world.inForce,
    generated: world.generated,
    served,
    problems: [...readings, ...parsed, step].flatMap((one) => one.problems).sort(byPlace),
    isPartial: parsed.some(({ invalid }) => invalid.length > 0),
    snapshotFor: (node) => cache.snapshotFor(node).snapshot,
  }
}
