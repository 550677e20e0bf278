/** What the JSON form of `google.protobuf.Any` needs: the message type that an `@type` names. */
import { type DescMessage, fromBinary, type Message } from '@bufbuild/protobuf'
import type { Any } from '@bufbuild/protobuf/wkt'
import { apiHint, type EnvoyApi } from '../envoy-api.ts'
import { entryOf, type MapTree, type Tree } from '../tree.ts'
import { messageNameOf } from '../type-url.ts'
import { nearestName } from './near-name.ts'
import { type Reading, report, reportWrongType } from './reading.ts'

/** A map with an `@type` whose message the API knows. */
export interface TypedTree {
  readonly desc: DescMessage
  readonly tree: MapTree
}

/** Reads the `@type` of a tree; undefined, and reported, when there is none or the API does not know it. */
export function readTypedTree(reading: Reading, tree: Tree): TypedTree | undefined {
  if (tree.kind !== 'map') {
    reportWrongType(reading, tree, 'a map with an @type', exampleFix)
    return undefined
  }
  const entry = entryOf(tree, '@type')
  if (entry === undefined) {
    report(reading, tree, 'wrong-type', 'There is no @type, which says what this is.', exampleFix)
    return undefined
  }
  reading.path.push('@type')
  const desc = readTypeUrl(reading, entry.value)
  reading.path.pop()
  return desc && { desc, tree }
}

const exampleFix = "Add '@type': type.googleapis.com/ and the name of the message."

function readTypeUrl(reading: Reading, tree: Tree): DescMessage | undefined {
  if (tree.kind !== 'scalar' || typeof tree.value !== 'string') {
    reportWrongType(reading, tree, 'the name of a message', exampleFix)
    return undefined
  }
  const typeUrl = tree.value
  const name = messageNameOf(typeUrl)
  if (!/^[\w.]{1,200}$/.test(name)) {
    report(reading, tree, 'wrong-type', 'The @type is not the name of a message.', exampleFix)
    return undefined
  }
  const desc = reading.api.registry.getMessage(name)
  if (desc !== undefined && !isVersion2(name)) {
    if (typeUrl.includes('/')) return desc
    report(reading, tree, 'wrong-type', `The @type has no prefix.`, `Write type.googleapis.com/${name}.`)
    return undefined
  }
  const nearest = nearestMessage(reading.api, name)
  const suggestion = nearest === undefined ? '' : `Did you mean ${nearest}? `
  if (isVersion2(name)) {
    const fix = `${suggestion}Write it in the v3 API.`
    report(reading, tree, 'unknown-extension', `${name} is of the v2 API, which Envoy no longer has.`, fix)
  } else {
    const message = `${name} is not in the Envoy API that this server knows (${reading.api.label}).`
    report(reading, tree, 'unknown-extension', message, `${suggestion}${apiHint(reading.api, 'message')}`)
  }
  return undefined
}

/** Packages of the v2 API and of the extensions' configurations of its time. */
function isVersion2(name: string): boolean {
  return /^envoy\.api\.v2\b/.test(name) || /^envoy\.(config|service|data)\.[\w.]*\bv[12](alpha\d?)?\./.test(name)
}

const maxRememberedNames = 1000
const nearestByApi = new WeakMap<EnvoyApi, Map<string, string | undefined>>()

/** A search visits thousands of names, and a mistake tends to be in a thousand resources at once; so it is remembered. */
function nearestMessage(api: EnvoyApi, name: string): string | undefined {
  let remembered = nearestByApi.get(api)
  if (remembered === undefined || remembered.size >= maxRememberedNames) {
    remembered = new Map()
    nearestByApi.set(api, remembered)
  }
  if (!remembered.has(name)) remembered.set(name, searchMessage(api, name))
  return remembered.get(name)
}

/** A message of the same last name first (what moved is renamed in its package), then whatever is spelled alike. */
function searchMessage(api: EnvoyApi, name: string): string | undefined {
  const names: string[] = []
  for (const type of api.registry) {
    if (type.kind === 'message' && !isVersion2(type.typeName)) names.push(type.typeName)
  }
  const lastName = name.slice(name.lastIndexOf('.'))
  const namesakes = names.filter((candidate) => candidate.endsWith(lastName))
  // From v2 to v3 packages moved far, but messages kept their names.
  const within = isVersion2(name) ? Number.MAX_SAFE_INTEGER : undefined
  return nearestName(name, namesakes, within) ?? nearestName(name, names)
}

export interface Unpacked {
  readonly desc: DescMessage
  readonly message: Message
}

/** By Any: several readers (rules, references, sensitivity) look into the same ones, one after the other. */
const unpacked = new WeakMap<Any, Unpacked>()

/** Keeps the message that an Any was just made from, so that whoever looks into it need not decode it. */
export function rememberUnpacked(any: Any, content: Unpacked): void {
  unpacked.set(any, content)
}

/**
 * The message in an Any; undefined when the API does not know its type or its bytes do not decode. Shared between callers:
 * neither the Any nor what is in it may be changed.
 */
export function unpackAny(api: EnvoyApi, any: Any): Unpacked | undefined {
  const known = unpacked.get(any)
  if (known !== undefined) return known
  const desc = api.registry.getMessage(messageNameOf(any.typeUrl))
  if (desc === undefined) return undefined
  try {
    const content = { desc, message: fromBinary(desc, any.value) }
    unpacked.set(any, content)
    return content
  } catch {
    return undefined
  }
}
