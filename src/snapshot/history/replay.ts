import { setImmediate as nextTick } from 'node:timers/promises'
import type { EnvoyApi } from '../../resource/envoy-api.ts'
import { keyOf } from '../../resource/named.ts'
import type { UnitText } from '../unit.ts'
import { readRecords } from './log.ts'
import type { RevisionRecord, StoredResource, StoredUnit, UnitRecord } from './record.ts'
import { blobKey, decodeRecord, historyFormat, isContentRecord, textKey } from './record.ts'

/** What a segment file tells. */
export interface Replay {
  /** Whole revisions in order; the first is the base. */
  readonly revisions: readonly RevisionRecord[]
  /** The offset after the last whole revision; what stands behind it never happened. */
  readonly end: number
  /** The offset after the base. */
  readonly baseEnd: number
  /** In force at the last of `revisions`; empty when only the list was asked for. */
  readonly units: readonly StoredUnit[]
  /** The bytes of resources, by `blobKey`, and of texts, by `textKey`; empty when only the list was asked for. */
  readonly contents: ReadonlyMap<string, Uint8Array>
}

export interface ReplayOptions {
  /** Stop after this revision. */
  readonly until?: number
  /** Read only which revisions there are. */
  readonly listOnly?: boolean
}

/** A reader lets the event loop have a turn after so many records. */
const recordsPerSlice = 128

/** Reads a segment up to its first damage. Undefined when it has not even a base. */
export async function replaySegment(
  api: EnvoyApi,
  file: Uint8Array,
  options: ReplayOptions = {},
): Promise<Replay | undefined> {
  const revisions: RevisionRecord[] = []
  const contents = new Map<string, Uint8Array>()
  const units = new Map<string, MutableUnit>()
  let staged: UnitRecord[] = []
  let end = 0
  let baseEnd = 0
  let count = 0
  for (const framed of readRecords(file)) {
    if (++count % recordsPerSlice === 0) await nextTick()
    if (options.listOnly === true && isContentRecord(framed.bytes)) continue
    const record = recordOf(api, framed.bytes)
    if (record === undefined) break
    if (count === 1 && (record.kind !== 'header' || record.format !== historyFormat)) break
    if (record.kind === 'blob') contents.set(blobKey(record.version, record.isRedacted), record.content)
    else if (record.kind === 'unit') staged.push(record)
    else if (record.kind === 'revision') {
      if (record.isBase !== (revisions.length === 0)) break
      for (const change of staged) applyUnit(units, change)
      for (const key of record.removed) units.delete(key)
      staged = []
      revisions.push(record)
      end = framed.end
      if (record.isBase) baseEnd = end
      if (record.revision === options.until) break
    }
  }
  if (revisions.length === 0) return undefined
  return {
    revisions,
    end,
    baseEnd,
    units: [...units.values()].map((unit) => ({ ...unit, resources: [...unit.resources.values()] })),
    contents,
  }
}

/** What was written of a unit; undefined where nothing is known of that. */
export function textIn({ contents }: Replay, { textVersion: version }: StoredUnit): UnitText | undefined {
  if (version === undefined) return undefined
  const content = contents.get(textKey(version))
  return content === undefined ? { version } : { version, content: Buffer.from(content).toString() }
}

interface MutableUnit extends Omit<StoredUnit, 'resources'> {
  readonly resources: Map<string, StoredResource>
}

function applyUnit(units: Map<string, MutableUnit>, change: UnitRecord): void {
  const resources = (change.isWhole ? undefined : units.get(change.key)?.resources) ?? new Map()
  for (const name of change.dropped) resources.delete(keyOf(name))
  for (const resource of change.resources) resources.set(keyOf(resource), resource)
  const { key, origin, selectors, textVersion } = change
  units.set(key, { key, origin, selectors, resources, ...(textVersion !== undefined && { textVersion }) })
}

/** A record that has the right checksum and cannot be read was written by something else: it ends the segment. */
function recordOf(api: EnvoyApi, bytes: Uint8Array): ReturnType<typeof decodeRecord> | undefined {
  try {
    return decodeRecord(api, bytes)
  } catch {
    return undefined
  }
}
