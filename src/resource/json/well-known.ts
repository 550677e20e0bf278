/** The protobuf types whose JSON is no object of their fields: durations, timestamps, field masks, and JSON itself. */
import { create, fromJson, type JsonObject, type JsonValue, type Message } from '@bufbuild/protobuf'
import {
  DurationSchema,
  FieldMaskSchema,
  ListValueSchema,
  StructSchema,
  TimestampSchema,
  ValueSchema,
} from '@bufbuild/protobuf/wkt'
import type { Tree } from '../tree.ts'
import { enter, leave, type Read, type Reading, report, reportWrongType } from './reading.ts'

/** Each is read into a message of its type. */
export const wellKnownReaders: ReadonlyMap<string, Read> = new Map<string, Read>([
  ['google.protobuf.Duration', readDuration],
  ['google.protobuf.Timestamp', readTimestamp],
  ['google.protobuf.FieldMask', readFieldMask],
  ['google.protobuf.Struct', asMessage(readJsonObject, (json) => fromJson(StructSchema, json, deep))],
  ['google.protobuf.ListValue', asMessage(readJsonList, (json) => fromJson(ListValueSchema, json, deep))],
  ['google.protobuf.Value', asMessage(readJson, (json) => fromJson(ValueSchema, json, deep))],
])

/** `enter` has bounded the nesting already. */
const deep = { recursionLimit: 1000 }

function asMessage(
  read: (reading: Reading, tree: Tree) => JsonValue | undefined,
  build: (json: JsonValue) => Message,
): Read {
  return (reading, tree) => {
    const json = read(reading, tree)
    return json === undefined ? undefined : build(json)
  }
}

/** What a Duration may hold: 10,000 years. */
const maxDurationSeconds = 315_576_000_000n

function readDuration(reading: Reading, tree: Tree): Message | undefined {
  const text = tree.kind === 'scalar' && typeof tree.value === 'string' ? tree.value : undefined
  const match = text === undefined ? null : /^(-?)(\d{1,12})(?:\.(\d{1,9}))?s$/.exec(text)
  if (match === null) {
    reportWrongType(reading, tree, 'a duration', durationFix(tree))
    return undefined
  }
  const [, sign = '', whole = '0', fraction = ''] = match
  const seconds = BigInt(whole)
  const nanos = Number(fraction.padEnd(9, '0'))
  if (seconds > maxDurationSeconds || (seconds === maxDurationSeconds && nanos > 0)) {
    report(reading, tree, 'wrong-type', 'The duration is longer than 10,000 years.', 'Write a shorter duration.')
    return undefined
  }
  return create(
    DurationSchema,
    sign === '-' ? { seconds: -seconds, nanos: nanos === 0 ? 0 : -nanos } : { seconds, nanos },
  )
}

const unitSeconds: Readonly<Record<string, number>> = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86_400 }

/** Says what the author meant in the one form that Envoy takes: `500ms` is `0.5s`. */
function durationFix(tree: Tree): string {
  const example = 'Write seconds with an s, as in 0.25s.'
  if (tree.kind !== 'scalar') return example
  if (typeof tree.value === 'number') return tree.value >= 0 && tree.value < 1e9 ? `Write ${tree.value}s.` : example
  if (typeof tree.value !== 'string' || !/^(\d+(\.\d+)?(ms|[smhd]))+$/.test(tree.value)) return example
  if (tree.value.length > 24) return example
  let seconds = 0
  for (const [, count, unit] of tree.value.matchAll(/(\d+(?:\.\d+)?)(ms|[smhd])/g)) {
    seconds += Number(count) * (unitSeconds[unit ?? ''] ?? 0)
  }
  const exact = seconds.toFixed(9).replace(/\.?0+$/, '')
  return exact === '0' && seconds > 0 ? 'Write at most nine decimals.' : `Write ${exact}s.`
}

const firstInstant = Date.parse('0001-01-01T00:00:00Z')
const lastInstant = Date.parse('9999-12-31T23:59:59Z')

/** RFC 3339, with any offset, years 1 to 9999. */
function readTimestamp(reading: Reading, tree: Tree): Message | undefined {
  const text = tree.kind === 'scalar' && typeof tree.value === 'string' ? tree.value : ''
  const match = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/.exec(text)
  const [, date = '', time = '', fraction = '', offset = 'Z'] = match ?? []
  const ms = Date.parse(`${date}T${time}${offset}`)
  // Date.parse takes the 30th of February for the 2nd of March.
  const day = Date.parse(`${date}T00:00:00Z`)
  const isRealDay = !Number.isNaN(day) && new Date(day).toISOString().startsWith(date)
  if (match === null || Number.isNaN(ms) || !isRealDay || ms < firstInstant || ms > lastInstant) {
    reportWrongType(reading, tree, 'a time', 'Write it as in "2025-01-31T08:30:00Z".')
    return undefined
  }
  return create(TimestampSchema, { seconds: BigInt(ms / 1000), nanos: Number(fraction.padEnd(9, '0')) })
}

/** `a.b,cD` and `a.b,c_d` alike. */
function readFieldMask(reading: Reading, tree: Tree): Message | undefined {
  if (tree.kind !== 'scalar' || typeof tree.value !== 'string' || !/^([\w.]+(,[\w.]+)*)?$/.test(tree.value)) {
    reportWrongType(reading, tree, 'a field mask', 'Write field paths with commas between, as in "name,route.cluster".')
    return undefined
  }
  const paths = tree.value === '' ? [] : tree.value.split(',')
  const snake = (path: string): string => path.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
  return create(FieldMaskSchema, { paths: paths.map(snake) })
}

/** Any JSON, with its keys sorted so that equal content has equal bytes. */
function readJson(reading: Reading, tree: Tree): JsonValue | undefined {
  switch (tree.kind) {
    case 'map':
      return readJsonObject(reading, tree)
    case 'list':
      return readJsonList(reading, tree)
    case 'scalar':
      return readJsonScalar(reading, tree)
  }
}

export function readJsonObject(reading: Reading, tree: Tree): JsonObject | undefined {
  if (tree.kind !== 'map') {
    reportWrongType(reading, tree, 'a map', 'Write a map of names to values.')
    return undefined
  }
  // On the wire a level is three messages: the map's entry, its Value, and the Struct in that.
  if (!enter(reading, tree, 3)) return undefined
  const members: [string, JsonValue][] = []
  for (const entry of tree.entries) {
    reading.path.push(entry.key)
    const value = readJson(reading, entry.value)
    if (value !== undefined) members.push([entry.key, value])
    reading.path.pop()
  }
  leave(reading, 3)
  return sortedRecord(members) as JsonObject
}

function readJsonList(reading: Reading, tree: Tree): JsonValue[] | undefined {
  if (tree.kind !== 'list') {
    reportWrongType(reading, tree, 'a list', 'Write a list.')
    return undefined
  }
  if (!enter(reading, tree, 2)) return undefined
  const items: JsonValue[] = []
  for (const [index, item] of tree.items.entries()) {
    reading.path.push(index)
    const value = readJson(reading, item)
    if (value !== undefined) items.push(value)
    reading.path.pop()
  }
  leave(reading, 2)
  return items
}

function readJsonScalar(reading: Reading, tree: Tree & { kind: 'scalar' }): JsonValue | undefined {
  const { value } = tree
  if (typeof value === 'bigint') {
    const double = Number(value)
    if (BigInt(double) === value) return double
    const message = 'Numbers here are doubles, which cannot hold all digits of this one.'
    report(reading, tree, 'wrong-type', message, 'Put it in quotes if its reader takes text.', 'warning')
    return double
  }
  if (typeof value === 'number' && !Number.isFinite(value)) {
    report(reading, tree, 'wrong-type', 'NaN and infinity have no place in JSON.', 'Write a finite number.')
    return undefined
  }
  return value
}

/** An object whose keys were set in sorted order, so that its encoding does not depend on how it was written. */
export function sortedRecord(members: [string, unknown][]): Record<string, unknown> {
  members.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
  const record: Record<string, unknown> = {}
  for (const [key, value] of members) setOwn(record, key, value)
  return record
}

/** `record[key] = value` that holds for the key `__proto__` too. */
function setOwn(record: Record<string, unknown>, key: string, value: unknown): void {
  if (key === '__proto__') {
    Object.defineProperty(record, key, { value, writable: true, enumerable: true, configurable: true })
  } else {
    record[key] = value
  }
}
