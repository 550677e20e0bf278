import type { DescField, DescMessage } from '@bufbuild/protobuf'
import type { EnvoyApi } from '../envoy-api.ts'
import { entryOf, type Tree } from '../tree.ts'
import { messageNameOf, type TypeUrl } from '../type-url.ts'

/** What the schema says of the keys of a tree, so that both spellings of a field can be told to be one. */
export interface TreeShape {
  /** In the schema's spelling; a key that is no field stays as it is. */
  nameOf(key: string): string
  /** Of what stands under a key; of each item, where that is a list. */
  below(key: string): TreeShape
  /** Of a node in whose place it is: an Any has the shape of its type. */
  at(node: Tree): TreeShape
}

/** Of values that have keys of their author's: every key is another. */
const shapeless: TreeShape = { nameOf: (key) => key, below: () => shapeless, at: () => shapeless }

/** The shape of a message of a type; `shapeless` where the API does not know it. */
export function shapeOf(api: EnvoyApi, typeUrl: TypeUrl): TreeShape {
  const desc = api.registry.getMessage(messageNameOf(typeUrl))
  return desc === undefined ? shapeless : messageShape(api, desc)
}

/** Messages whose JSON is not a map of their fields. */
const valueTypes: ReadonlySet<string> = new Set(['google.protobuf.Struct', 'google.protobuf.Value'])

function messageShape(api: EnvoyApi, desc: DescMessage): TreeShape {
  if (valueTypes.has(desc.typeName)) return shapeless
  const fieldOf = (key: string): DescField | undefined =>
    desc.fields.find(({ name, jsonName }) => name === key || jsonName === key)
  const shape: TreeShape = {
    nameOf: (key) => fieldOf(key)?.name ?? key,
    below: (key) => {
      const field = fieldOf(key)
      const inner = field?.message === undefined ? shapeless : messageShape(api, field.message)
      return field?.fieldKind === 'map' ? mapShape(inner) : inner
    },
    at: (node) => (desc.typeName === 'google.protobuf.Any' ? anyShape(api, node) : shape),
  }
  return shape
}

function mapShape(values: TreeShape): TreeShape {
  const shape: TreeShape = { nameOf: (key) => key, below: () => values, at: () => shape }
  return shape
}

function anyShape(api: EnvoyApi, node: Tree): TreeShape {
  const type = entryOf(node, '@type')?.value
  return type?.kind === 'scalar' && typeof type.value === 'string' ? shapeOf(api, type.value) : shapeless
}
