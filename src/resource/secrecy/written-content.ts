import type { DescField, DescMessage } from '@bufbuild/protobuf'
import type { EnvoyApi } from '../envoy-api.ts'
import { readTypedTree } from '../json/any.ts'
import { beginReading } from '../json/reading.ts'
import { isTypedStruct } from '../json/typed-struct.ts'
import { isAnyType } from '../references/reach.ts'
import type { Tree } from '../tree.ts'
import { isMarkedField } from './sensitive.ts'

/** Where something is written into a resource. */
export interface WrittenPlace {
  /** The full name of the message that stands there. */
  readonly message: string
  /** All of it is, whatever the API marks. */
  readonly isSensitive: boolean
}

/**
 * Whether a tree that is written into a place brings content that the API marks sensitive, or may: below an Any whose type is
 * not at hand fields are known by their names alone.
 * @param pointer RFC 6901: where the tree goes within the place.
 */
export function bringsContent(api: EnvoyApi, place: WrittenPlace, pointer: string, tree: Tree): boolean {
  const whole: Spot = { type: api.registry.getMessage(place.message) ?? 'unknown', isSensitive: place.isSensitive }
  const spot = tokensOf(pointer).reduce((above, token) => below(api, above, token), whole)
  return holdsContent(api, spot, tree)
}

const tokensOf = (pointer: string): readonly string[] =>
  pointer
    .split('/')
    .slice(1)
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'))

/** What is known of the place of a tree. */
interface Spot {
  /** `free`: keys are their author's. `unknown`: below an Any whose type is not at hand. */
  readonly type: DescMessage | 'scalar' | 'free' | 'unknown'
  /** Undefined: a key is a field of the type. Otherwise it is an index, or a key, of elements that have the type. */
  readonly elements?: 'list' | 'map'
  readonly isSensitive: boolean
}

/** Say where content is kept, not what it is. */
const pointers: ReadonlySet<string> = new Set([
  'filename',
  'environment_variable',
  'environmentVariable',
  'watched_directory',
  'watchedDirectory',
])

function below(api: EnvoyApi, { type, elements, isSensitive }: Spot, key: string): Spot {
  if (elements !== undefined) return { type, isSensitive }
  if (pointers.has(key)) return { type: 'scalar', isSensitive: false }
  if (type === 'scalar' || type === 'free') return { type, isSensitive }
  const field = type === 'unknown' ? undefined : fieldOf(type, key)
  if (field === undefined) return { type: 'unknown', isSensitive: isSensitive || contentNames(api).has(key) }
  const isMarked = isSensitive || isMarkedField(api, field)
  const { fieldKind } = field
  const isMany = fieldKind === 'list' || fieldKind === 'map'
  return { type: typeOf(field), isSensitive: isMarked, ...(isMany && { elements: fieldKind }) }
}

const fieldOf = (type: DescMessage, key: string): DescField | undefined =>
  type.fields.find(({ name, jsonName }) => name === key || jsonName === key)

/** Messages whose JSON is what their author wants. */
const freeTypes: ReadonlySet<string> = new Set(
  ['Struct', 'Value', 'ListValue'].map((name) => `google.protobuf.${name}`),
)

function typeOf({ message, parent }: DescField): Spot['type'] {
  if (message === undefined) return 'scalar'
  if (isAnyType(message) || isTypedStruct(parent)) return 'unknown'
  return freeTypes.has(message.typeName) ? 'free' : message
}

const namesByApi = new WeakMap<EnvoyApi, ReadonlySet<string>>()

/** Names of fields, in both spellings, that hold content which somewhere is marked. */
function contentNames(api: EnvoyApi): ReadonlySet<string> {
  const known = namesByApi.get(api)
  if (known !== undefined) return known
  const names = new Set(['inline_string', 'inlineString', 'inline_bytes', 'inlineBytes'])
  for (const type of api.registry) {
    if (type.kind !== 'message') continue
    const marked = type.fields.filter((field) => isMarkedField(api, field))
    for (const { name, jsonName } of marked) names.add(name).add(jsonName)
  }
  namesByApi.set(api, names)
  return names
}

/** Whether something stands in a sensitive spot. */
function holdsContent(api: EnvoyApi, spot: Spot, tree: Tree): boolean {
  if (tree.kind === 'scalar') return spot.isSensitive && tree.value !== null && tree.value !== ''
  if (tree.kind === 'list') {
    const { type, isSensitive } = spot
    return tree.items.some((item) => holdsContent(api, { type, isSensitive }, item))
  }
  const typed = spot.type === 'unknown' ? readTypedTree(beginReading(api, ''), tree) : undefined
  const here: Spot = typed === undefined ? spot : { type: typed.desc, isSensitive: spot.isSensitive }
  return tree.entries.some(({ key, value }) => key !== '@type' && holdsContent(api, below(api, here, key), value))
}
