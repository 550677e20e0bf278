import { keyOf } from '../../resource/named.ts'
import type { Resource } from '../../resource/resource.ts'
import { looksLikePrivateKey } from '../../resource/secrecy/private-key.ts'
import { haveSameSelectors, type Unit } from '../unit.ts'
import type { HistoryRecord, RevisionRecord, StoredResource, UnitRecord } from './record.ts'
import { blobKey, historyFormat, textKey } from './record.ts'

/** The bytes that a segment holds already, and where to get more. */
export interface BlobStore {
  /** What the segment has, by `blobKey`; grows as records are made. */
  readonly keys: Set<string>
  /** What may be kept of a resource (sensitive content redacted); undefined where nothing is at hand. */
  contentOf(resource: Resource): Uint8Array | undefined
}

/** More in one record would keep the event loop for more than a few milliseconds. */
const resourcesPerRecord = 64

/** The beginning of a segment: everything in force at `revision`. */
export function* baseRecords(
  units: Iterable<Unit>,
  revision: RevisionRecord,
  blobs: BlobStore,
): Generator<HistoryRecord> {
  yield { kind: 'header', format: historyFormat }
  for (const unit of units) yield* unitRecords(unit, undefined, blobs)
  yield { ...revision, removed: [], isBase: true }
}

/**
 * One revision: what changed against what the segment tells of a unit (undefined: nothing that is of use). Before that,
 * what units are written as now that hold what the segment tells of them.
 */
export function* stepRecords(
  { rewritten, upserted }: { readonly rewritten: Iterable<Unit>; readonly upserted: readonly Unit[] },
  revision: RevisionRecord,
  toldOf: (key: string) => Unit | undefined,
  blobs: BlobStore,
): Generator<HistoryRecord> {
  for (const unit of rewritten) {
    yield* textRecords(unit, blobs)
    yield recordOf(unit, { resources: [], dropped: [], isWhole: false })
  }
  for (const unit of upserted) yield* unitRecords(unit, toldOf(unit.key), blobs)
  yield revision
}

/** Whether a unit that holds what it held is worth a record: of its text, and where it stands among others. */
export function isRewritten(unit: Unit, before: Unit | undefined): boolean {
  return unit.text?.version !== before?.text?.version || unit.origin.line !== before?.origin.line
}

/** Never the text of a unit with anything sensitive, for that could stand in it, nor one with a key in a comment. */
function* textRecords({ text, resources }: Unit, blobs: BlobStore): Generator<HistoryRecord> {
  if (text?.content === undefined || resources.some(({ isSensitive }) => isSensitive)) return
  if (looksLikePrivateKey(text.content)) return
  const key = textKey(text.version)
  if (blobs.keys.has(key)) return
  blobs.keys.add(key)
  yield { kind: 'blob', version: key, isRedacted: false, content: Buffer.from(text.content) }
}

function recordOf(unit: Unit, change: Pick<UnitRecord, 'resources' | 'dropped' | 'isWhole'>): UnitRecord {
  const { key, origin, selectors, text } = unit
  return { kind: 'unit', key, origin, selectors, ...change, ...(text && { textVersion: text.version }) }
}

function* unitRecords(unit: Unit, before: Unit | undefined, blobs: BlobStore): Generator<HistoryRecord> {
  const { isWhole, changed, dropped } = changeOf(unit, before)
  const part = (resources: readonly Resource[], isFirst: boolean): UnitRecord =>
    recordOf(unit, {
      resources,
      dropped: isFirst ? dropped.map(({ typeUrl, name }) => ({ typeUrl, name })) : [],
      isWhole: isFirst && isWhole,
    })
  yield* textRecords(unit, blobs)
  for (let from = 0; from === 0 || from < changed.length; from += resourcesPerRecord) {
    const resources = changed.slice(from, from + resourcesPerRecord)
    for (const resource of resources) {
      const key = blobKey(resource.version, resource.isSensitive)
      if (blobs.keys.has(key)) continue
      const content = blobs.contentOf(resource)
      if (content === undefined) continue
      blobs.keys.add(key)
      yield { kind: 'blob', version: resource.version, isRedacted: resource.isSensitive, content }
    }
    yield part(resources, from === 0)
  }
}

/**
 * Whether two forms of a unit have the same content in the same order for the same nodes; where in its document
 * something stands is no content. Shared resources cost nothing: this runs on the way of a change to the fleet.
 */
export function isSameContent(a: Unit, b: Unit): boolean {
  if (a === b) return true
  if (a.resources.length !== b.resources.length) return false
  const areSame = a.resources.every((resource, index) => {
    const other = b.resources[index] as Resource
    return resource === other || (resource.version === other.version && haveSameName(resource, other))
  })
  return areSame && haveSameSelectors(a, b)
}

function isSameResource(resource: StoredResource, old: StoredResource | undefined): boolean {
  return (
    old !== undefined &&
    (old === resource ||
      (old.version === resource.version &&
        old.isSensitive === resource.isSensitive &&
        old.origin.name === resource.origin.name &&
        old.origin.line === resource.origin.line &&
        old.origin.column === resource.origin.column &&
        old.origin.revision === resource.origin.revision))
  )
}

interface ResourceChange {
  readonly isWhole: boolean
  readonly changed: readonly Resource[]
  readonly dropped: readonly Resource[]
}

/** What leads from one form of a unit to another, in such a way that the order of its resources comes out the same. */
function changeOf(unit: Unit, before: Unit | undefined): ResourceChange {
  const whole: ResourceChange = { isWhole: true, changed: unit.resources, dropped: [] }
  if (before === undefined) return whole
  const { resources } = before
  const isInPlace =
    resources.length === unit.resources.length &&
    unit.resources.every((resource, index) => haveSameName(resource, resources[index] as Resource))
  if (isInPlace) {
    const changed = unit.resources.filter((resource, index) => !isSameResource(resource, resources[index]))
    return { isWhole: false, changed, dropped: [] }
  }
  const old = new Map(resources.map((resource) => [keyOf(resource), resource]))
  const names = new Set(unit.resources.map(keyOf))
  if (!keepsOrder(old, names)) return whole
  return {
    isWhole: false,
    changed: unit.resources.filter((resource) => !isSameResource(resource, old.get(keyOf(resource)))),
    dropped: resources.filter((resource) => !names.has(keyOf(resource))),
  }
}

function haveSameName(a: Resource, b: Resource): boolean {
  return a === b || (a.name === b.name && a.typeUrl === b.typeUrl)
}

/** Whether dropping and appending leads from one order to the other: a reader can then restore the order. */
function keepsOrder(old: ReadonlyMap<string, unknown>, names: ReadonlySet<string>): boolean {
  const replayed = [...[...old.keys()].filter((key) => names.has(key)), ...[...names].filter((key) => !old.has(key))]
  let index = 0
  for (const key of names) if (replayed[index++] !== key) return false
  return true
}
