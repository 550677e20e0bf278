import type { EnvoyApi } from '../../resource/envoy-api.ts'
import { nearestName } from '../../resource/json/near-name.ts'
import { beginReading, quoted, type Reading, report, reportWrongType } from '../../resource/json/reading.ts'
import { fieldOfKey, type OwnSchema, type SchemaField } from '../../resource/own-schema.ts'
import {
  entryOf,
  type MapEntry,
  type MapTree,
  type Position,
  type ScalarTree,
  type Tree,
  type TreeProblem,
} from '../../resource/tree.ts'
import { formatPath, isWord, type PathSegment } from '../../resource/tree-path.ts'
import { addressOfText } from './address-text.ts'
import { durationOfText, protoDuration } from './duration-text.ts'
import type { NotYet } from './not-yet.ts'
import { percentOfText } from './percent-text.ts'
import { createPlacesBuilder, type Places, type PlacesBuilder } from './places.ts'
import { sizeOfText } from './size-text.ts'

export interface Normalized {
  /** In proto3 JSON's form, each value where the author wrote it. What could not be understood is left out. */
  readonly tree: MapTree
  readonly places: Places
  /** With paths as the author wrote them. */
  readonly problems: readonly TreeProblem[]
  /** The same errors with paths of `tree`: what follows from them need not be told. */
  readonly unread: readonly TreeProblem[]
  /** Something that a form must have is not there, and a placeholder stands in its place: `unread` has it. */
  readonly isIncomplete: boolean
}

/**
 * Turns what people write into proto3 JSON's form: one or a list, words in kebab-case, `1m30s`, `10%`, `64KiB`, maps for
 * lists of named things, and bare values. Finds what those forms have wrong, and fields that are unknown or not built.
 */
export function normalize(api: EnvoyApi, schema: OwnSchema, tree: MapTree, notYet: NotYet): Normalized {
  const walk: Walk = {
    notYet,
    reading: beginReading(api, ''),
    path: [],
    places: createPlacesBuilder(),
    unread: [],
    isIncomplete: false,
  }
  walk.places.add([], [], tree)
  const normal = ownFields(walk, schema, tree, `A ${schema.word}`, undefined)
  return {
    tree: normal,
    places: walk.places.build(),
    problems: walk.reading.problems,
    unread: walk.unread,
    isIncomplete: walk.isIncomplete,
  }
}

interface Walk {
  readonly notYet: NotYet
  /** Its path is the author's. */
  readonly reading: Reading
  /** The path in the normal form. */
  readonly path: PathSegment[]
  readonly places: PlacesBuilder
  readonly unread: TreeProblem[]
  isIncomplete: boolean
}

/** Reads one value; undefined when it is left out. */
function within<T>(
  walk: Walk,
  canonical: PathSegment | undefined,
  written: PathSegment | undefined,
  tree: Tree,
  read: () => T,
): T {
  if (canonical !== undefined) walk.path.push(canonical)
  if (written !== undefined) walk.reading.path.push(written)
  walk.places.add(walk.path, walk.reading.path, tree)
  const value = read()
  if (canonical !== undefined) walk.path.pop()
  if (written !== undefined) walk.reading.path.pop()
  return value
}

/** After one of the reading's own reports: what was told is also known by the path of the normal form. */
function broken(walk: Walk): undefined {
  const problem = walk.reading.problems.at(-1)
  if (problem !== undefined) walk.unread.push({ ...problem, path: formatPath('', walk.path) })
  return undefined
}

function refuse(walk: Walk, at: Position, code: TreeProblem['code'], message: string, fix: string): undefined {
  report(walk.reading, at, code, message, fix)
  return broken(walk)
}

function wrongType(walk: Walk, tree: Tree, expected: string, fix: string): undefined {
  reportWrongType(walk.reading, tree, expected, fix)
  return broken(walk)
}

/** @param subject whose fields they are, for messages. */
function ownFields(
  walk: Walk,
  schema: OwnSchema,
  tree: MapTree,
  subject: string,
  key: { readonly field: string; readonly value: string } | undefined,
): MapTree {
  const entries: MapEntry[] = []
  const seen = new Map<SchemaField, string>()
  if (key !== undefined) entries.push({ ...place(tree), key: key.field, value: text(tree, key.value) })
  for (const entry of tree.entries) {
    const field = fieldOfKey(schema, entry.key)
    if (field === undefined || field.name === key?.field) {
      unknownField(walk, schema, entry, subject, key?.field)
      continue
    }
    const other = seen.get(field)
    seen.set(field, entry.key)
    const value = within(walk, field.jsonName, entry.key, entry.value, () => {
      if (other !== undefined) {
        return refuse(
          walk,
          entry,
          'wrong-type',
          `\`${other}\` and \`${entry.key}\` are one field.`,
          'Keep one of them.',
        )
      }
      return fieldValue(walk, schema, field, entry)
    })
    if (value !== undefined) entries.push({ ...place(entry), key: field.jsonName, value })
  }
  for (const field of schema.fields) {
    if (!field.isRequired || field.name === key?.field) continue
    if (!isGiven(tree, field)) {
      const name = `\`${field.jsonName}\``
      report(walk.reading, tree, 'rule-violation', `${subject} needs ${name}.`, `Add ${name}.`)
      walk.path.push(field.jsonName)
      broken(walk)
      walk.path.pop()
    }
    if (entries.some((entry) => entry.key === field.jsonName)) continue
    walk.isIncomplete = true
    entries.push(placeholderEntry(field, tree))
  }
  return { ...tree, entries }
}

const place = ({ line, column }: Position): Position => ({ line, column })

const text = (at: Position, value: string): ScalarTree => ({ ...place(at), kind: 'scalar', value })

function isGiven(tree: MapTree, field: SchemaField): boolean {
  const entry = entryOf(tree, field.jsonName) ?? entryOf(tree, field.name)
  return entry !== undefined && !isNull(entry.value)
}

const isNull = (tree: Tree): boolean => tree.kind === 'scalar' && tree.value === null

function unknownField(
  walk: Walk,
  schema: OwnSchema,
  entry: MapEntry,
  subject: string,
  keyField: string | undefined,
): void {
  if (!isWord(entry.key)) {
    refuse(walk, entry, 'unknown-field', `${subject} has no field of this name.`, 'Remove it.')
    return
  }
  const inner = schema.bare?.schema?.fields ?? []
  const names = [...schema.fields.filter(({ name }) => name !== keyField), ...inner].map(({ jsonName }) => jsonName)
  const near = nearestName(entry.key, names)
  const fix = near === undefined ? `It has ${listed(names)}.` : `Did you mean \`${near}\`?`
  within(walk, entry.key, entry.key, entry.value, () =>
    refuse(walk, entry, 'unknown-field', `${subject} has no field \`${entry.key}\`.`, fix),
  )
}

const maxListed = 16

function listed(names: readonly string[]): string {
  const shown = names.slice(0, maxListed).join(', ')
  return names.length > maxListed ? `${shown} and ${names.length - maxListed} more` : shown
}

function fieldValue(walk: Walk, schema: OwnSchema, field: SchemaField, entry: MapEntry): Tree | undefined {
  const { value } = entry
  if (field.value !== 'json' && isNull(value)) return undefined
  if (field.later !== undefined) return notInThisVersion(walk, entry, `\`${field.jsonName}\``, field.later)
  if (walk.notYet.fields.has(`${schema.word}.${field.jsonName}`)) {
    notInThisVersion(walk, entry, `\`${field.jsonName}\` of ${subjectOf(schema)}`, 'Remove it.')
  }
  if (field.keyedBy !== undefined) return keyedList(walk, field, field.keyedBy, value)
  if (field.cardinality === 'list') return list(walk, schema, field, value)
  if (field.cardinality === 'map') return map(walk, schema, field, value)
  return single(walk, schema, field, value)
}

function notInThisVersion(walk: Walk, at: Position, what: string, fix: string): undefined {
  return refuse(walk, at, 'unsupported-field', `${what} is not in this version.`, fix)
}

/** `a Service`, `an endpoint`: kinds are called by their names, what is in them by the word for it. */
function subjectOf({ word }: OwnSchema): string {
  return `${/^[AEIOU]/.test(word) ? 'an' : 'a'} ${word}`
}

function list(walk: Walk, schema: OwnSchema, field: SchemaField, tree: Tree): Tree | undefined {
  const items: Tree[] = []
  if (tree.kind === 'list') {
    if (tree.items.length === 0 && !field.mayBeEmpty && field.value !== 'selector') {
      const name = `\`${field.jsonName}\``
      return refuse(
        walk,
        tree,
        'rule-violation',
        `The list ${name} is empty.`,
        `Add an item, or remove ${name} to get its default.`,
      )
    }
    for (const [index, item] of tree.items.entries()) {
      items.push(
        within(walk, index, index, item, () => single(walk, schema, field, item)) ?? leftOut(walk, field, item),
      )
    }
  } else {
    items.push(within(walk, 0, undefined, tree, () => single(walk, schema, field, tree)) ?? leftOut(walk, field, tree))
  }
  return { ...place(tree), kind: 'list', items }
}

/** Keeps the place of an item that could not be read, so that those after it keep their numbers. */
function leftOut(walk: Walk, field: SchemaField, at: Position): Tree {
  walk.isIncomplete = true
  return placeholder(field, at)
}

/** Stands for what is not there, so that the rest can be checked as if it were. */
function placeholder(field: SchemaField, at: Position): Tree {
  switch (field.value) {
    case 'message':
      return { ...place(at), kind: 'map', entries: placeholders(field.schema as OwnSchema, at) }
    case 'enum':
      return text(at, field.words[0]?.name ?? '')
    case 'duration':
      return text(at, '1s')
    case 'number':
      return { ...place(at), kind: 'scalar', value: 1 }
    case 'bool':
      return { ...place(at), kind: 'scalar', value: false }
    case 'selector':
    case 'json':
      return { ...place(at), kind: 'map', entries: [] }
    case 'text':
      return text(at, field.isAddress ? 'placeholder:1' : 'placeholder')
  }
}

function placeholders(schema: OwnSchema, at: Position): readonly MapEntry[] {
  return schema.fields.filter(({ isRequired }) => isRequired).map((field) => placeholderEntry(field, at))
}

/** A selector stands for every node, and a list of none does too. */
function placeholderEntry(field: SchemaField, at: Position): MapEntry {
  const items = field.value === 'selector' ? [] : [placeholder(field, at)]
  const value: Tree = field.cardinality === 'list' ? { ...place(at), kind: 'list', items } : placeholder(field, at)
  return { ...place(at), key: field.jsonName, value }
}

function keyedList(walk: Walk, field: SchemaField, keyedBy: string, tree: Tree): Tree | undefined {
  if (tree.kind !== 'map') return wrongType(walk, tree, 'a map', `Write a map: \`${field.jsonName}: {name: …}\`.`)
  const items: Tree[] = []
  for (const [index, entry] of tree.entries.entries()) {
    const value = within(walk, index, entry.key, entry.value, () =>
      message(walk, field, entry.value, { field: keyedBy, value: entry.key }),
    )
    items.push(value ?? leftOut(walk, field, entry.value))
  }
  return { ...place(tree), kind: 'list', items }
}

function map(walk: Walk, schema: OwnSchema, field: SchemaField, tree: Tree): Tree | undefined {
  if (tree.kind !== 'map') return wrongType(walk, tree, 'a map', `Write a map: \`${field.jsonName}: {name: value}\`.`)
  const entries: MapEntry[] = []
  for (const entry of tree.entries) {
    const value = within(walk, entry.key, entry.key, entry.value, () => single(walk, schema, field, entry.value))
    if (value !== undefined) entries.push({ ...entry, value })
  }
  return { ...tree, entries }
}

function single(walk: Walk, schema: OwnSchema, field: SchemaField, tree: Tree): Tree | undefined {
  switch (field.value) {
    case 'message':
      return message(walk, field, tree, undefined)
    case 'duration':
      return duration(walk, tree)
    case 'enum':
      return word(walk, schema, field, tree)
    case 'text':
      return textValue(walk, field, tree)
    case 'number':
      return number(walk, field, tree)
    case 'json':
      placeBelow(walk, tree)
      return tree
    case 'bool':
    case 'selector':
      return tree
  }
}

/** What is kept as it is written becomes part of a generated resource, whose problems are told where they stand. */
function placeBelow(walk: Walk, tree: Tree): void {
  if (tree.kind === 'list') {
    for (const [index, item] of tree.items.entries()) within(walk, index, index, item, () => placeBelow(walk, item))
  } else if (tree.kind === 'map') {
    for (const { key, value } of tree.entries) within(walk, key, key, value, () => placeBelow(walk, value))
  }
}

function message(
  walk: Walk,
  field: SchemaField,
  tree: Tree,
  key: { readonly field: string; readonly value: string } | undefined,
): Tree | undefined {
  const schema = field.schema as OwnSchema
  const { bare } = schema
  if (bare !== undefined && isBare(schema, bare, tree, key?.field)) return bareValue(walk, schema, bare, tree, key)
  if (tree.kind === 'map') return ownFields(walk, schema, tree, subjectHere(walk, field), key)
  const names = schema.fields.filter(({ name }) => name !== key?.field).map(({ jsonName }) => jsonName)
  if (names.length === 0) return wrongType(walk, tree, 'an empty map', 'Write `{}`.')
  const or = bare?.value === 'bool' ? `\`${bare.jsonName}\` or ` : ''
  return wrongType(walk, tree, `${or}a map of ${listed(names)}`, `Write ${or}a map.`)
}

/** What its author called it. */
function subjectHere(walk: Walk, field: SchemaField): string {
  const { path } = walk.reading
  const name = path.findLast((segment) => typeof segment === 'string')
  const shown = `\`${name !== undefined && isWord(name) ? name : field.jsonName}\``
  return typeof path.at(-1) === 'number' ? `An item of ${shown}` : shown
}

/** A map is one of the message's own fields, unless its keys are those of what the bare form stands for. */
function isBare(schema: OwnSchema, bare: SchemaField, tree: Tree, keyField: string | undefined): boolean {
  if (tree.kind === 'list') return bare.cardinality === 'list'
  if (tree.kind === 'scalar') {
    if (tree.value === null || bare.cardinality === 'map') return false
    return bare.value !== 'bool' || tree.value === bare.jsonName
  }
  const isOwn = tree.entries.some(({ key }) => {
    const field = fieldOfKey(schema, key)
    return field !== undefined && field.name !== keyField
  })
  if (isOwn) return false
  if (bare.cardinality === 'map') return true
  const inner = bare.schema
  return inner !== undefined && tree.entries.some(({ key }) => fieldOfKey(inner, key) !== undefined)
}

function bareValue(
  walk: Walk,
  schema: OwnSchema,
  bare: SchemaField,
  tree: Tree,
  key: { readonly field: string; readonly value: string } | undefined,
): MapTree {
  const meant: Tree = bare.value === 'bool' ? { ...place(tree), kind: 'scalar', value: true } : tree
  const entry: MapEntry = { ...place(tree), key: bare.jsonName, value: meant }
  const value = within(walk, bare.jsonName, undefined, tree, () => fieldValue(walk, schema, bare, entry))
  const entries: MapEntry[] = []
  if (key !== undefined) entries.push({ ...place(tree), key: key.field, value: text(tree, key.value) })
  if (value !== undefined) entries.push({ ...entry, value })
  return { ...place(tree), kind: 'map', entries }
}

function duration(walk: Walk, tree: Tree): Tree | undefined {
  const example = 'Write it with a unit: `500ms`, `5s` or `1m30s`.'
  if (tree.kind !== 'scalar' || typeof tree.value !== 'string') {
    const isCount = tree.kind === 'scalar' && typeof tree.value === 'number' && Number.isInteger(tree.value)
    return wrongType(walk, tree, 'a duration', isCount ? `Write \`${tree.value}s\`, or \`${tree.value}ms\`.` : example)
  }
  const nanos = durationOfText(tree.value)
  if (nanos === undefined) return wrongType(walk, tree, 'a duration', example)
  if (nanos % 1_000_000n !== 0n) {
    return refuse(walk, tree, 'wrong-type', 'The duration is no whole number of milliseconds.', 'Write `1ms`, or more.')
  }
  return text(tree, protoDuration(nanos))
}

function word(walk: Walk, schema: OwnSchema, field: SchemaField, tree: Tree): Tree | undefined {
  const words = field.words.filter(({ later }) => later === undefined).map((known) => known.word)
  const fix = `Write ${alternatives(words)}.`
  if (tree.kind !== 'scalar' || typeof tree.value !== 'string') return wrongType(walk, tree, 'a word', fix)
  const { value } = tree
  const known = field.words.find((one) => one.word === value || one.name === value)
  if (known === undefined) {
    const near = nearestName(value, words)
    const hint = near === undefined ? '' : `Did you mean \`${near}\`? `
    const message = `\`${field.jsonName}\` cannot be${quoted(walk.reading, value) || ' this'}.`
    return refuse(walk, tree, 'wrong-type', message, hint + fix)
  }
  const what = `\`${field.jsonName}: ${known.word}\``
  if (known.later !== undefined) return notInThisVersion(walk, tree, what, known.later)
  if (walk.notYet.words.has(`${schema.word}.${field.jsonName}=${known.word}`)) {
    const allowed = words.filter((one) => !walk.notYet.words.has(`${schema.word}.${field.jsonName}=${one}`))
    notInThisVersion(walk, tree, what, `Write ${alternatives(allowed)}.`)
  }
  return text(tree, known.name)
}

function alternatives(words: readonly string[]): string {
  const shown = words.map((one) => `\`${one}\``)
  const last = shown.pop() ?? ''
  return shown.length === 0 ? last : `${shown.join(', ')} or ${last}`
}

function textValue(walk: Walk, field: SchemaField, tree: Tree): Tree | undefined {
  if (tree.kind !== 'scalar') return wrongType(walk, tree, 'text', 'Write one text.')
  if (field.isDigits && typeof tree.value === 'number') return text(tree, tree.source ?? String(tree.value))
  if (typeof tree.value !== 'string') return wrongType(walk, tree, 'text', 'Put the value in quotes.')
  if (field.isAddress && addressOfText(tree.value) === undefined) {
    return wrongType(walk, tree, 'a host and a port', 'Write `host:port`, such as `127.0.0.1:8080`.')
  }
  return tree
}

function number(walk: Walk, field: SchemaField, tree: Tree): Tree | undefined {
  if (tree.kind !== 'scalar' || typeof tree.value !== 'string') return tree
  if (field.isPercent) {
    const value = percentOfText(tree.value)
    if (value === undefined) return wrongType(walk, tree, 'a percentage', 'Write `10` or `10%`.')
    return { ...place(tree), kind: 'scalar', value }
  }
  if (field.isSize) {
    const value = sizeOfText(tree.value)
    if (value === undefined) return wrongType(walk, tree, 'a number of bytes', 'Write `65536`, `64KiB` or `1MiB`.')
    return { ...place(tree), kind: 'scalar', value }
  }
  const isQuoted = /^\d+(\.\d+)?$/.test(tree.value)
  return wrongType(walk, tree, 'a number', isQuoted ? 'Write it without quotes.' : 'Write a number.')
}
