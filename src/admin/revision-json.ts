import { formatOrigin } from '../errors.ts'
import { wordOf } from '../resource/type-url.ts'
import { documentsOf, type RevisionDocument } from '../snapshot/history/documents.ts'
import { type RevisionSummary, summaryOf } from '../snapshot/history/record.ts'
import type { ResourceView, RevisionDiff, RevisionView } from '../snapshot/history/view.ts'

/** A resource as the API shows it: sensitive content is redacted. */
export interface ResourceJson {
  readonly type: string
  readonly name: string
  readonly version: string
  /** `config/cart.yaml:3:3`. */
  readonly place: string
  /** Envoy's JSON form, without what is redacted; absent where the history has no content of it. */
  readonly resource?: unknown
}

/** `GET /api/snapshots/REVISION`. */
export interface RevisionJson extends RevisionSummary {
  readonly documents: RevisionSummary['documents']
  readonly inForce: readonly {
    readonly place: string
    readonly nodes: readonly unknown[]
    readonly resources: readonly ResourceJson[]
  }[]
}

/** `GET /api/snapshots/REVISION/documents`. */
export interface DocumentsJson extends RevisionSummary {
  readonly written: readonly RevisionDocument[]
}

/** `GET /api/snapshots/FROM/diff/TO`. */
export interface DiffJson {
  readonly from: RevisionSummary
  readonly to: RevisionSummary
  readonly types: readonly {
    readonly type: string
    readonly added: readonly ResourceJson[]
    readonly changed: readonly { readonly before: ResourceJson; readonly after: ResourceJson }[]
    readonly removed: readonly ResourceJson[]
  }[]
}

export function revisionJson(view: RevisionView): RevisionJson {
  return {
    revision: view.revision,
    time: view.time,
    documents: view.documents,
    counts: view.counts,
    inForce: view.units.map((unit) => ({
      place: formatOrigin(unit.origin),
      nodes: unit.selectors,
      resources: unit.resources.map(resourceJson),
    })),
  }
}

export function documentsJson(view: RevisionView): DocumentsJson {
  return { ...summaryOf(view), written: documentsOf(view) }
}

export function diffJson(diff: RevisionDiff): DiffJson {
  return {
    from: diff.from,
    to: diff.to,
    types: diff.types.map(({ typeUrl, added, changed, removed }) => ({
      type: wordOf(typeUrl),
      added: added.map(resourceJson),
      changed: changed.map(({ before, after }) => ({ before: resourceJson(before), after: resourceJson(after) })),
      removed: removed.map(resourceJson),
    })),
  }
}

function resourceJson(view: ResourceView): ResourceJson {
  const resource = view.json()
  return {
    type: wordOf(view.typeUrl),
    name: view.name,
    version: view.version,
    place: formatOrigin(view.origin),
    ...(resource !== undefined && { resource }),
  }
}
