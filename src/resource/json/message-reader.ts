import { create, type DescEnum, type DescField, type DescMessage, type Message, toBinary } from '@bufbuild/protobuf'
import { AnySchema, hasCustomJsonRepresentation, isWrapperDesc } from '@bufbuild/protobuf/wkt'
import { optionOf } from '../descriptor-option.ts'
import { apiHint, type EnvoyApi } from '../envoy-api.ts'
import { entryOf, type MapEntry, type MapTree, type Tree, type TreeProblem } from '../tree.ts'
import { isWord } from '../tree-path.ts'
import { typeUrlPrefix } from '../type-url.ts'
import { readTypedTree, rememberUnpacked } from './any.ts'
import { nearestName } from './near-name.ts'
import { beginReading, enter, leave, quoted, type Read, type Reading, report, reportWrongType } from './reading.ts'
import { mapKey, scalarReader } from './scalar-reader.ts'
import { isTypedStruct } from './typed-struct.ts'
import { readJsonObject, sortedRecord, wellKnownReaders } from './well-known.ts'

export interface ReadMessage {
  /** What could be read, also where there are problems; its maps are in sorted order, so `toBinary` of it is canonical. */
  readonly message: Message
  /** Everything wrong, in the order of the tree. */
  readonly problems: readonly TreeProblem[]
}

/**
 * Reads a message from its proto3 JSON form, kinder than the standard in nothing but this: both alphabets of base64, and
 * an unquoted NaN or infinity (YAML has them). All problems are found in one reading.
 * @param tree its own `@type`, if any, is taken for granted.
 * @param path where the tree stands in its document; it begins the path of every problem.
 */
export function readMessage(api: EnvoyApi, desc: DescMessage, tree: Tree, path: string): ReadMessage {
  const reading = beginReading(api, path)
  const message = readTyped(reading, desc, tree) ?? create(desc)
  return { message, problems: reading.problems }
}

/** The content of a map with `@type`, which for a type with a JSON form of its own stands under `value`. */
function readTyped(reading: Reading, desc: DescMessage, tree: Tree): Message | undefined {
  if (tree.kind !== 'map' || entryOf(tree, '@type') === undefined) {
    return messageReader(reading.api, desc)(reading, tree) as Message | undefined
  }
  if (!hasCustomJsonRepresentation(desc)) return readFields(reading, desc, tree, true)
  const value = entryOf(tree, 'value')
  for (const entry of tree.entries) {
    if (entry !== value && entry.key !== '@type') reportUnknownField(reading, desc, entry, ['value'])
  }
  if (value === undefined) {
    report(reading, tree, 'wrong-type', `A ${desc.typeName} has its content under "value".`, 'Add `value`.')
    return undefined
  }
  reading.path.push('value')
  const message = messageReader(reading.api, desc)(reading, value.value)
  reading.path.pop()
  return message as Message | undefined
}

type Properties = Record<string, unknown>

/** Reads one field into its message; sets nothing where it reports. */
type ReadField = (reading: Reading, tree: Tree, message: Properties) => void

interface FieldEntry {
  readonly field: DescField
  readonly read: ReadField
  readonly isSensitive: boolean
  /** `null` is a value of it, not its absence. */
  readonly takesNull: boolean
}

/** The fields of a message under each of their spellings. */
type FieldTable = ReadonlyMap<string, FieldEntry>

/** Descriptors belong to one API each, so what is derived from one is kept by it. */
const tables = new WeakMap<DescMessage, FieldTable>()

function fieldTable(api: EnvoyApi, desc: DescMessage): FieldTable {
  const known = tables.get(desc)
  if (known !== undefined) return known
  const table = new Map<string, FieldEntry>()
  tables.set(desc, table)
  for (const field of desc.fields) {
    const entry: FieldEntry = {
      field,
      read: fieldReader(api, field),
      isSensitive: optionOf(api, field, 'udpa.annotations.sensitive') === true,
      takesNull:
        (field.fieldKind === 'message' && field.message.typeName === 'google.protobuf.Value') ||
        (field.fieldKind === 'enum' && field.enum.typeName === 'google.protobuf.NullValue'),
    }
    table.set(field.name, entry).set(field.jsonName, entry)
  }
  return table
}

/** A reader of the message in its JSON form, without `@type`. */
function messageReader(api: EnvoyApi, desc: DescMessage): Read {
  if (desc.typeName === 'google.protobuf.Any') return readAny
  const wellKnown = wellKnownReaders.get(desc.typeName)
  if (wellKnown !== undefined) return wellKnown
  if (isWrapperDesc(desc)) return wrapperReader(api, desc)
  return (reading, tree) => {
    if (tree.kind === 'map') return readFields(reading, desc, tree, false)
    reportWrongType(reading, tree, `a map of the fields of ${desc.typeName}`, 'Write a map.')
    return undefined
  }
}

function wrapperReader(api: EnvoyApi, desc: DescMessage): Read {
  const [field] = desc.fields
  const read = field && singleReader(api, field)
  return (reading, tree) => {
    const value = read?.(reading, tree)
    if (value === undefined) return undefined
    const message = create(desc)
    ;(message as unknown as Properties)['value'] = value
    return message
  }
}

function readFields(reading: Reading, desc: DescMessage, tree: MapTree, isTyped: boolean): Message | undefined {
  if (!enter(reading, tree)) return undefined
  const table = fieldTable(reading.api, desc)
  const message = create(desc)
  let oneofs: Map<string, string> | undefined
  for (const entry of tree.entries) {
    const known = table.get(entry.key)
    if (known === undefined) {
      if (!isTyped || entry.key !== '@type') reportUnknownField(reading, desc, entry, table.keys())
      continue
    }
    const { field } = known
    reading.path.push(entry.key)
    if (entry.key !== field.name && entryOf(tree, field.name) !== undefined) {
      report(reading, entry, 'wrong-type', `\`${entry.key}\` and \`${field.name}\` are one field.`, 'Keep one of them.')
    } else if (entry.value.kind !== 'scalar' || entry.value.value !== null || known.takesNull) {
      const other = field.oneof && oneofs?.get(field.oneof.name)
      if (other === undefined) {
        if (field.oneof) (oneofs ??= new Map()).set(field.oneof.name, entry.key)
        if (known.isSensitive) reading.sensitiveDepth++
        known.read(reading, entry.value, message as unknown as Properties)
        if (known.isSensitive) reading.sensitiveDepth--
      } else {
        const both = `\`${other}\` and \`${entry.key}\` exclude each other.`
        report(reading, entry, 'wrong-type', both, 'Keep one of them.')
      }
    }
    reading.path.pop()
  }
  leave(reading)
  return message
}

function reportUnknownField(reading: Reading, desc: DescMessage, entry: MapEntry, names: Iterable<string>): void {
  if (!isWord(entry.key)) {
    report(reading, entry, 'unknown-field', `${desc.typeName} has no field of this name.`, 'Remove it.')
    return
  }
  const nearest = nearestName(entry.key, names)
  const suggestion = nearest === undefined ? '' : `Did you mean \`${nearest}\`? `
  const fix =
    entry.key === '@type'
      ? 'Remove it: the type of this field is fixed.'
      : `${suggestion}${apiHint(reading.api, 'field')}`
  reading.path.push(entry.key)
  report(reading, entry, 'unknown-field', `${desc.typeName} has no field \`${entry.key}\`.`, fix)
  reading.path.pop()
}

function fieldReader(api: EnvoyApi, field: DescField): ReadField {
  if (field.fieldKind === 'list') return listReader(api, field)
  if (field.fieldKind === 'map') return mapReader(api, field)
  const { localName, oneof } = field
  const read = singleReader(api, field)
  return (reading, tree, message) => {
    const value = read(reading, tree)
    if (value === undefined) return
    if (oneof) message[oneof.localName] = { case: localName, value }
    else message[localName] = value
  }
}

/**
 * A reader of one value of a field, in the form in which protobuf-es keeps it there: a Struct as plain JSON, a wrapper in
 * a singular field outside a oneof as its scalar.
 */
function singleReader(api: EnvoyApi, field: DescField): Read {
  if (field.enum) return enumReader(field.enum)
  if (field.message) {
    const { message: desc } = field
    if (desc.typeName === 'google.protobuf.Struct' && field.parent.typeName !== 'google.protobuf.Value') {
      return readJsonObject
    }
    const [inner] = desc.fields
    if (isWrapperDesc(desc) && inner && field.fieldKind === 'message' && !field.oneof) return singleReader(api, inner)
    return messageReader(api, desc)
  }
  const read = scalarReader(field.scalar)
  if (!('longAsString' in field && field.longAsString)) return read
  return (reading, tree) => {
    const value = read(reading, tree)
    return value === undefined ? undefined : String(value as bigint)
  }
}

function listReader(api: EnvoyApi, field: DescField): ReadField {
  const read = singleReader(api, field)
  return (reading, tree, message) => {
    if (tree.kind !== 'list') {
      reportWrongType(reading, tree, 'a list', 'Write a list, with a dash before each item.')
      return
    }
    const items: unknown[] = []
    for (let index = 0; index < tree.items.length; index++) {
      reading.path.push(index)
      const value = read(reading, tree.items[index] as Tree)
      if (value !== undefined) items.push(value)
      reading.path.pop()
    }
    message[field.localName] = items
  }
}

function mapReader(api: EnvoyApi, field: DescField & { fieldKind: 'map' }): ReadField {
  const read = singleReader(api, field)
  return (reading, tree, message) => {
    if (tree.kind !== 'map') {
      reportWrongType(reading, tree, 'a map', 'Write a map of keys to values.')
      return
    }
    if (!enter(reading, tree)) return
    const members: [string, unknown][] = []
    const seen = new Set<string>()
    for (const entry of tree.entries) {
      reading.path.push(entry.key)
      const key = mapKey(field.mapKey, entry.key)
      if (key === undefined) {
        report(reading, entry, 'wrong-type', 'The key is not of the type that the map has.', 'Write another key.')
      } else if (seen.has(key)) {
        report(reading, entry, 'wrong-type', 'The key is there twice, in two spellings.', 'Keep one of them.')
      } else {
        seen.add(key)
        const value = read(reading, entry.value)
        if (value !== undefined) members.push([key, value])
      }
      reading.path.pop()
    }
    leave(reading)
    message[field.localName] = sortedRecord(members)
  }
}

function enumReader(desc: DescEnum): Read {
  const numbers = new Map(desc.values.map((value) => [value.name, value.number]))
  return (reading, tree) => {
    const value = tree.kind === 'scalar' ? tree.value : undefined
    if (typeof value === 'string') {
      const number = numbers.get(value)
      if (number !== undefined) return number
      reportUnknownEnumValue(reading, desc, tree, value)
      return undefined
    }
    if (value === null && desc.typeName === 'google.protobuf.NullValue') return 0
    if (typeof value === 'number' && Number.isInteger(value)) {
      const isKnown = desc.value[value] !== undefined
      if (isKnown || (desc.open && Math.abs(value) < 2 ** 31)) return value
    }
    reportWrongType(reading, tree, `a value of ${desc.typeName}`, `Write one of ${listed(desc)}.`)
    return undefined
  }
}

function reportUnknownEnumValue(reading: Reading, desc: DescEnum, tree: Tree, value: string): void {
  const nearest = nearestName(
    value,
    desc.values.map(({ name }) => name),
  )
  const suggestion = nearest === undefined ? '' : `Did you mean ${nearest}? `
  const message = `The text${quoted(reading, value)} is no value of ${desc.typeName}.`
  report(reading, tree, 'wrong-type', message, `${suggestion}It has ${listed(desc)}.`)
}

const maxListedValues = 12

function listed(desc: DescEnum): string {
  const names = desc.values.filter((value) => !value.deprecated).map(({ name }) => name)
  const more = names.length > maxListedValues ? ` and ${names.length - maxListedValues} more` : ''
  return `${names.slice(0, maxListedValues).join(', ')}${more}`
}

function readAny(reading: Reading, tree: Tree): Message | undefined {
  const typed = readTypedTree(reading, tree)
  if (typed === undefined || !enter(reading, tree)) return undefined
  const { desc } = typed
  const content = readTyped(reading, desc, typed.tree)
  leave(reading)
  if (content === undefined) return undefined
  // Envoy looks into these itself, and finds nothing without the type of what they hold.
  if (isTypedStruct(desc) && (content as unknown as Properties)['typeUrl'] === '') {
    const fix = 'Add `type_url` with the type of the extension that the struct configures.'
    report(reading, tree, 'wrong-type', `${desc.typeName} has no \`type_url\`.`, fix)
  }
  const any = create(AnySchema, { typeUrl: typeUrlPrefix + desc.typeName, value: toBinary(desc, content) })
  rememberUnpacked(any, { desc, message: content })
  return any
}
