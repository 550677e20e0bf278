import type { ProblemCode, Severity } from '../errors.ts'
import type { EnvoyApi } from '../resource/envoy-api.ts'
import { parseResource } from '../resource/parse-resource.ts'
import { buildResource, type Resource } from '../resource/resource.ts'
import type { DocumentPlace, MapTree, Tree } from '../resource/tree.ts'
import { type ResourceWord, resourceTypes } from '../resource/type-url.ts'
import {
  anyone,
  documentsOf,
  type EnvoyJson,
  pathFor,
  placeFor,
  placeOf,
  type SourcePlace,
  treeOf,
} from './envoy-json.ts'
import type { WayIn } from './secret/ways-in.ts'

/** A problem at a place of a document of a kind: which line that is now is known to who tells it. */
export interface PlacedProblem {
  readonly severity: Severity
  readonly code: ProblemCode
  readonly at: DocumentPlace
  readonly message: string
  readonly fix: string
}

export interface Generated {
  /** Undefined when a problem is an error. */
  readonly resource?: Resource
  /** Keys of the documents that it is made of. */
  readonly documents: ReadonlySet<string>
  /** What of it is closed for want of a Secret. */
  readonly closed?: readonly WayIn[]
  readonly problems: readonly PlacedProblem[]
}

/**
 * Makes a resource of generated JSON through the same door as one that a person wrote: every field and rule of the API is
 * checked, and what is wrong is told at the place of the document that it was made of.
 */
export function buildGenerated(api: EnvoyApi, type: ResourceWord, json: EnvoyJson, from: SourcePlace): Generated {
  return buildFromTree(api, type, treeOf(json, from), from)
}

/** The same for a tree, which patches may have changed. */
export function buildFromTree(api: EnvoyApi, type: ResourceWord, tree: Tree, from: SourcePlace): Generated {
  const { resource, problems } = parseResource(api, typed(type, tree), { name: from.document.origin.name }, '')
  return {
    ...(resource !== undefined && { resource }),
    documents: documentsOf(tree),
    problems: problems.map(({ severity, code, of, path, message, fix }) => ({
      severity,
      code,
      at: of ?? placeOf(from),
      message: path === '' ? message : `${message} (in the generated ${type}: ${path})`,
      fix,
    })),
  }
}

/** The same for one that is encoded already. */
export function buildFromBytes(type: ResourceWord, name: string, bytes: Uint8Array, from: SourcePlace): Generated {
  const { typeUrl } = resourceTypes[type]
  const { key, origin } = from.document
  const resource = buildResource({ typeUrl, name, bytes, origin: { name: origin.name } })
  return { resource, documents: new Set([key]), problems: [] }
}

/** What was made of the places of `anyone`, for one who has it. */
export function generatedFor({ resource, documents, problems }: Generated, from: SourcePlace): Generated {
  const { key, origin } = from.document
  return {
    ...(resource !== undefined && {
      resource: {
        ...resource,
        origin: { name: origin.name },
        references: resource.references.map((one) => ({ ...one, path: pathFor(one.path, from.path) })),
      },
    }),
    documents: new Set([...documents].map((document) => (document === anyone.document.key ? key : document))),
    problems: problems.map((problem) => ({ ...problem, at: placeFor(problem.at, from) })),
  }
}

function typed(type: ResourceWord, tree: Tree): Tree {
  if (tree.kind !== 'map') return tree
  const { line, column, of } = tree
  const position = { line, column, ...(of && { of }) }
  const name = { kind: 'scalar', value: resourceTypes[type].typeUrl, ...position } as const
  const entry = { key: '@type', value: name, ...position }
  return { ...tree, entries: [entry, ...tree.entries] } satisfies MapTree
}
