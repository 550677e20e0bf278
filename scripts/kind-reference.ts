/** The part of docs/config-reference.md about kinds: their schema, its comments and the defaults, as the product has them. */
import { documentKinds } from '../src/config/kinds/kind-name.ts'
import { notYet } from '../src/config/kinds/not-yet.ts'
import { loadEnvoyApi } from '../src/resource/envoy-api.ts'
import { loadOwnComments } from '../src/resource/own-comments.ts'
import { type OwnSchema, ownSchema, type SchemaField } from '../src/resource/own-schema.ts'
import * as allDefaults from '../src/translate/defaults.ts'

const comments = loadOwnComments()

export function kindReference(): string {
  const api = loadEnvoyApi()
  const kinds = documentKinds.map((kind) => ownSchema(api, kind))
  const parts = new Map<string, OwnSchema>()
  for (const kind of kinds) collectParts(kind, parts)
  const sections = [...parts.values()].sort((a, b) => (a.word < b.word ? -1 : 1))
  return `${kinds.map((kind) => section('##', kind)).join('\n')}
## Parts of kinds

${sections.map((part) => section('###', part)).join('\n')}
${defaultsSection()}`
}

function collectParts(schema: OwnSchema, parts: Map<string, OwnSchema>): void {
  for (const { schema: part } of schema.fields) {
    if (part === undefined || parts.has(part.word)) continue
    parts.set(part.word, part)
    collectParts(part, parts)
  }
}

function section(heading: string, schema: OwnSchema): string {
  const { word, bare, fields } = schema
  const short = bare === undefined ? '' : ` A value alone is its \`${bare.jsonName}\`${shortNote(bare)}.`
  const later = notYet.kinds.has(word) ? ' *Not in this version.*' : ''
  const rows = fields.map((field) => fieldRow(schema, field))
  const table = rows.length === 0 ? '' : `\n| field | value | |\n|---|---|---|\n${rows.join('\n')}\n`
  return `${heading} ${word}\n\n${comments[`fairlead.v1.${word}`] ?? ''}${short}${later}\n${table}`
}

const shortNote = ({ value, jsonName }: SchemaField): string =>
  value === 'bool' ? `: the word \`${jsonName}\` stands for \`${jsonName}: true\`` : ''

function fieldRow(schema: OwnSchema, field: SchemaField): string {
  const isLater = field.later !== undefined || notYet.fields.has(`${schema.word}.${field.jsonName}`)
  const comment = comments[`fairlead.v1.${schema.word}.${field.name}`] ?? ''
  const notes = [comment, field.isRequired ? 'Required.' : '', isLater ? '*Not in this version.*' : '']
  const text = notes.filter((note) => note !== '').join(' ')
  return `| \`${field.jsonName}\` | ${typeOf(schema, field)} | ${text.replaceAll('|', '\\|')} |`
}

function typeOf(schema: OwnSchema, field: SchemaField): string {
  const value = valueOf(schema, field)
  if (field.keyedBy !== undefined) return `map of ${field.keyedBy} to ${value}`
  if (field.cardinality === 'list') return `${value}, or a list`
  return field.cardinality === 'map' ? `map of name to ${value}` : value
}

function valueOf(owner: OwnSchema, field: SchemaField): string {
  const { value, schema, words, bounds, isPercent, isSize, isAddress, isFile } = field
  switch (value) {
    case 'message':
      return `[${schema?.word}](#${schema?.word.toLowerCase()})`
    case 'selector':
      return '[NodeSelector](#nodeselector)'
    case 'enum':
      return words.map((one) => wordText(owner, field, one)).join(', ')
    case 'duration':
      return 'duration'
    case 'bool':
      return bounds.values === undefined ? '`true` or `false`' : '`true`'
    case 'json':
      return "Envoy's JSON"
    case 'text':
      if (bounds.values !== undefined) return bounds.values.map((one) => `\`${one}\``).join(', ')
      return isAddress ? '`host:port`' : isFile ? 'path of a file' : bounds.isIp ? 'IP address' : 'text'
    case 'number':
      if (bounds.values !== undefined) return bounds.values.map((one) => `\`${one}\``).join(', ')
      return `${isPercent ? 'percentage' : isSize ? 'size' : 'number'}${rangeOf(field)}`
  }
}

function wordText({ word: owner }: OwnSchema, { jsonName }: SchemaField, one: SchemaField['words'][number]): string {
  const isLater = one.later !== undefined || notYet.words.has(`${owner}.${jsonName}=${one.word}`)
  return isLater ? `\`${one.word}\` (*not in this version*)` : `\`${one.word}\``
}

function rangeOf({ bounds: { minimum, maximum }, isPercent }: SchemaField): string {
  if (isPercent) return ''
  if (maximum !== undefined) return ` ${minimum ?? 0}–${maximum}`
  return minimum === undefined ? '' : ` from ${minimum}`
}

// ---- defaults

interface Default {
  readonly value: unknown
  readonly why: string
}

function defaultsSection(): string {
  // A namespace has no order of its own.
  const all = Object.entries(allDefaults).sort(([a], [b]) => (a < b ? -1 : 1))
  const groups = all.flatMap(([name, defaults]) => {
    const rows = Object.entries(defaults as Readonly<Record<string, Default>>)
      .filter(([, one]) => typeof one === 'object' && 'why' in one)
      .map(([key, one]) => defaultRow(key, one))
    if (rows.length === 0) return []
    return [`### ${headingOf(name)}\n\n| | default | because |\n|---|---|---|\n${rows.join('\n')}\n`]
  })
  return `## Defaults

What the generated configuration has where neither a document nor the Mesh says anything.

${groups.join('\n')}`
}

/** `serviceDefaults` → `Defaults of services`. */
function headingOf(name: string): string {
  return `Defaults of ${wordsOf(name.replace(/Defaults$/, ''))}s`
}

const wordsOf = (camelCase: string): string =>
  camelCase.replaceAll(/([a-z0-9])([A-Z])/g, (_, before: string, after: string) => `${before} ${after.toLowerCase()}`)

/** How a number is written by the unit that its name ends in. */
const units: readonly (readonly [suffix: RegExp, show: (value: number) => string])[] = [
  [/Ms$/, durationText],
  [/S$/, (value) => durationText(value * 1000)],
  [/Percent$/, (value) => `${value}%`],
  [/(Bytes|Window)$/, sizeText],
]

function defaultRow(key: string, { value, why }: Default): string {
  const unit = units.find(([suffix]) => suffix.test(key) && typeof value === 'number')
  const name = unit === undefined ? key : key.replace(/(Ms|S|Percent|Bytes)$/, '')
  const shown = unit === undefined ? textOf(value) : unit[1](value as number)
  return `| ${wordsOf(name)} | \`${shown}\` | ${why.replaceAll('|', '\\|')} |`
}

function textOf(value: unknown): string {
  if (Array.isArray(value)) return value.map(textOf).join(', ')
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function durationText(ms: number): string {
  if (ms % 3_600_000 === 0 && ms > 0) return `${ms / 3_600_000}h`
  if (ms % 60_000 === 0 && ms > 0) return `${ms / 60_000}m`
  return ms % 1000 === 0 ? `${ms / 1000}s` : `${ms}ms`
}

function sizeText(bytes: number): string {
  if (bytes % 1_048_576 === 0) return `${bytes / 1_048_576}MiB`
  return bytes % 1024 === 0 ? `${bytes / 1024}KiB` : String(bytes)
}
