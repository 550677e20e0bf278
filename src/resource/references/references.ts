import type { DescField, DescMessage, Message } from '@bufbuild/protobuf'
import { type ReflectList, type ReflectMap, type ReflectMessage, reflect } from '@bufbuild/protobuf/reflect'
import type { Any } from '@bufbuild/protobuf/wkt'
import type { EnvoyApi } from '../envoy-api.ts'
import { unpackAny } from '../json/any.ts'
import type { Reference } from '../resource.ts'
import { formatPath, type PathSegment } from '../tree-path.ts'
import { resourceTypes } from '../type-url.ts'
import { clusterFields } from './cluster-fields.ts'
import { discoveryFields, extensionOfFilter, type Naming, type NamingRule } from './discovery-fields.ts'
import { createReach, isAnyType } from './reach.ts'

/**
 * The names of other resources that `message` holds, everywhere in it and in the known messages packed in it, in the
 * order of the fields (rule 76). A name that comes from elsewhere (a header, a file, another server) is none.
 */
export function collectReferences(api: EnvoyApi, desc: DescMessage, message: Message): Reference[] {
  return collectPlacedReferences(api, desc, message).map(({ at, ...naming }) => ({
    ...naming,
    path: formatPath('', at),
  }))
}

/** The same, each with its path in segments: what a parser needs to find it in the text. */
export function collectPlacedReferences(api: EnvoyApi, desc: DescMessage, message: Message): Naming[] {
  const walk: Walk = { api, path: [], references: [] }
  visit(walk, reflect(desc, message, false))
  return walk.references
}

/** How a message type is read: what it names itself, and the fields that may hold more. */
interface Reading {
  readonly rules: readonly NamingRule[]
  readonly below: readonly DescField[]
}

const readings = new WeakMap<DescMessage, Reading>()

const namesSomething = createReach((desc) => rulesOf(desc).length > 0)

function readingOf(desc: DescMessage): Reading {
  const known = readings.get(desc)
  if (known) return known
  const reading: Reading = {
    rules: rulesOf(desc),
    below: desc.fields.filter((field) => field.message && namesSomething(field.message)),
  }
  readings.set(desc, reading)
  return reading
}

function rulesOf(desc: DescMessage): NamingRule[] {
  const rules: NamingRule[] = []
  const fields = clusterFields[desc.typeName] ?? []
  for (const field of desc.fields) if (fields.includes(field.name)) rules.push(clustersIn(field))
  const discovery = discoveryFields[desc.typeName]
  if (discovery) rules.push(discovery)
  const isDiscoverable = desc.fields.some(
    (field) =>
      field.name === 'config_discovery' && field.message?.typeName === 'envoy.config.core.v3.ExtensionConfigSource',
  )
  if (isDiscoverable && desc.fields.some((field) => field.name === 'name')) rules.push(extensionOfFilter)
  return rules
}

function clustersIn(field: DescField): NamingRule {
  const typeUrl = resourceTypes.cluster.typeUrl
  return (message) => {
    if (!message.isSet(field)) return []
    const value: unknown = message.get(field)
    if (field.fieldKind === 'list') {
      return [...(value as Iterable<string>)].map((name, index) => ({ typeUrl, name, at: [field.name, index] }))
    }
    if (field.fieldKind === 'map') {
      const keys = [...(value as ReflectMap).keys()].map(String)
      return keys.map((name) => ({ typeUrl, name, at: [field.name, name] }))
    }
    return [{ typeUrl, name: value as string, at: [field.name] }]
  }
}

interface Walk {
  readonly api: EnvoyApi
  /** Where the walk stands. */
  readonly path: PathSegment[]
  readonly references: Naming[]
}

function visit(walk: Walk, message: ReflectMessage): void {
  if (isAnyType(message.desc)) {
    const packed = unpackAny(walk.api, message.message as Any)
    if (packed) visit(walk, reflect(packed.desc, packed.message, false))
    return
  }
  const reading = readingOf(message.desc)
  for (const rule of reading.rules) {
    for (const naming of rule(message, walk.path.length === 0)) addReference(walk, naming)
  }
  for (const field of reading.below) {
    if (!message.isSet(field)) continue
    const value: unknown = message.get(field)
    walk.path.push(field.name)
    if (field.fieldKind === 'list') visitEntries(walk, (value as ReflectList).entries())
    else if (field.fieldKind === 'map') visitEntries(walk, (value as ReflectMap).entries())
    else visit(walk, value as ReflectMessage)
    walk.path.pop()
  }
}

function visitEntries(walk: Walk, entries: Iterable<[unknown, unknown]>): void {
  for (const [key, item] of entries) {
    walk.path.push(typeof key === 'number' ? key : String(key))
    visit(walk, item as ReflectMessage)
    walk.path.pop()
  }
}

function addReference(walk: Walk, { typeUrl, name, at }: Naming): void {
  if (name !== '') walk.references.push({ typeUrl, name, at: [...walk.path, ...at] })
}
