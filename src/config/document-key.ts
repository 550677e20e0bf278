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

/**
 * Gives each document of one source document its key. The first keeps the plain id whatever it holds, so that renaming its
 * first resource, or adding documents below it, does not change who it is; the others are told apart by their hints.
 */
export function createKeys(documentId: string): (hint: string | undefined) => string {
  const first = firstKeyOf(documentId)
  const taken = new Set<string>()
  let index = 0
  return (hint) => {
    index++
    const wanted = index === 1 ? first : `${first}#${hint ?? index}`
    let key = wanted
    for (let count = 2; taken.has(key); count++) key = `${wanted}~${count}`
    taken.add(key)
    return key
  }
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
