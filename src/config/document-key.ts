import { entryOf, type Tree } from '../resource/tree.ts'
import { messageNameOf, typeUrlPrefix, wordOf } from '../resource/type-url.ts'

/** What a document calls itself. */
export interface DocumentHint {
  /** `cluster/cart` after its first resource whose name can be read, or `Service/cart`; undefined when nothing can. */
  readonly hint: string | undefined
  /** False where a name before it could not be read: corrected, the document may call itself something else. */
  readonly isCertain: boolean
}

/** Reads what tells a document from the others of its text, also where much of it is wrong. */
export function documentHint(tree: Tree): DocumentHint {
  const kind = textOf(tree, 'kind')
  // There is one Mesh, whatever it is called: its resource is named so.
  if (kind === 'Mesh') return { hint: 'Mesh/mesh', isCertain: true }
  if (kind !== undefined) {
    const name = textOf(tree, 'name')
    return { hint: name === undefined ? undefined : `${kind}/${name}`, isCertain: name !== undefined }
  }
  const list = entryOf(tree, 'resources')?.value
  const resources = list?.kind === 'list' ? list.items : [tree]
  for (const [index, resource] of resources.entries()) {
    const hint = resourceHint(resource)
    if (hint !== undefined) return { hint, isCertain: index === 0 }
  }
  return { hint: undefined, isCertain: false }
}

/** A document that the same text held before, and what it called itself. */
export interface HeldDocument {
  readonly key: string
  readonly hint: string
}

export interface DocumentKey {
  readonly key: string
  /** It calls itself what a document of this key called itself before. */
  readonly isKnown: boolean
}

/**
 * Gives each document of one source document its key, by what they call themselves. One that calls itself as one of
 * `held` keeps that one's key, wherever it stands now. Of the others the first in the text has the plain id whatever it
 * holds, so that renaming its first resource does not change who it is; the rest are told apart by their hints.
 */
export function keysOf(
  documentId: string,
  hints: readonly (string | undefined)[],
  held: readonly HeldDocument[] = [],
): readonly DocumentKey[] {
  const first = firstKeyOf(documentId)
  const heldByHint = new Map<string | undefined, string[]>()
  for (const { key, hint } of held) heldByHint.set(hint, [...(heldByHint.get(hint) ?? []), key])
  const known = hints.map((hint) => heldByHint.get(hint)?.shift())
  const taken = new Set(known.filter((key) => key !== undefined))
  return hints.map((hint, index) => {
    const before = known[index]
    if (before !== undefined) return { key: before, isKnown: true }
    const wanted = index === 0 && !taken.has(first) ? first : `${first}#${hint ?? index + 1}`
    let key = wanted
    for (let count = 2; taken.has(key); count++) key = `${wanted}~${count}`
    taken.add(key)
    return { key, isKnown: false }
  })
}

/** What a document calls itself whose resources could be read; undefined when it holds none. */
export function hintOf(resources: readonly { readonly typeUrl: string; readonly name: string }[]): string | undefined {
  const [first] = resources
  return first && `${wordOf(first.typeUrl)}/${first.name}`
}

/** The key of the first document of a source document: its id, in which a `#` cannot be taken for the one before a hint. */
export function firstKeyOf(documentId: string): string {
  return documentId.replaceAll('%', '%25').replaceAll('#', '%23')
}

/** The id of the source document that a key is of. */
export function documentIdOf(key: string): string {
  const [first = key] = key.split('#', 1)
  return first.replaceAll('%23', '#').replaceAll('%25', '%')
}

const wrapperType = 'envoy.service.discovery.v3.Resource'

function resourceHint(tree: Tree): string | undefined {
  const type = textOf(tree, '@type')
  if (type === undefined) return undefined
  const inner = entryOf(tree, 'resource')?.value
  if (messageNameOf(type) !== wrapperType || inner === undefined) return nameOf(type, tree)
  const innerType = textOf(inner, '@type')
  if (innerType === undefined) return undefined
  return nameOf(innerType, inner) ?? nameOf(innerType, tree)
}

/** A ClusterLoadAssignment calls its name `cluster_name`. */
function nameOf(type: string, tree: Tree): string | undefined {
  const name = textOf(tree, 'name') ?? textOf(tree, 'cluster_name') ?? textOf(tree, 'clusterName')
  return name === undefined ? undefined : `${wordOf(typeUrlPrefix + messageNameOf(type))}/${name}`
}

const maxHintLength = 512

/** A value of several lines or of great length is no name, but something that slipped. */
function textOf(tree: Tree, key: string): string | undefined {
  const value = entryOf(tree, key)?.value
  if (value?.kind !== 'scalar' || typeof value.value !== 'string') return undefined
  return value.value === '' || value.value.length > maxHintLength || /\s/.test(value.value) ? undefined : value.value
}
