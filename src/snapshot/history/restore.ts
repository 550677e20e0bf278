import { ControlPlaneError } from '../../errors.ts'
import type { Log } from '../../log.ts'
import type { EnvoyApi } from '../../resource/envoy-api.ts'
import { buildResource, buildUnreadyResource, type Resource } from '../../resource/resource.ts'
import type { Unit } from '../unit.ts'
import type { HistoryPlace } from './place.ts'
import { blobKey, type RevisionRecord, type StoredResource, type StoredUnit } from './record.ts'
import { type Replay, replaySegment, textIn } from './replay.ts'
import type { Segment } from './segment.ts'

export interface RestoredState {
  readonly units: readonly Unit[]
  /** Redacted bytes of the resources that are not ready, by version. */
  readonly redacted: ReadonlyMap<string, Uint8Array>
  readonly last: RevisionRecord
  /** Oldest first. */
  readonly segments: readonly Segment[]
  /** The last segment can be appended to: nothing stands in it behind its last revision. */
  readonly isWhole: boolean
}

/**
 * Reads what a place holds: what the newest segment has behind a torn or damaged record is left alone, as what somebody may
 * want to look at; a damaged segment before it is set aside; and both are said. Where another server holds the lock nothing
 * is touched. Undefined when there is no history.
 * @throws Error when the place itself cannot be read.
 */
export async function restoreHistory(place: HistoryPlace, api: EnvoyApi, log: Log): Promise<RestoredState | undefined> {
  const isOurs = place.isLocked
  if (isOurs) await place.removeUnfinished()
  const names = [...(await place.list())]
  const segments: Segment[] = []
  let newest: Replay | undefined
  let isWhole = true
  let firstRevision = 0
  while (names.length > 0) {
    const name = names.pop() as string
    const file = await readSegment(place, name, log)
    if (file === undefined) continue
    const replay = await replaySegment(api, file, { listOnly: newest !== undefined })
    if (replay === undefined || (newest !== undefined && !leadsTo(replay, file, firstRevision))) {
      await setAside(place, name, isOurs, log)
      continue
    }
    if (newest === undefined) {
      isWhole = replay.end === file.length
      // A server that writes at this moment has a torn end all the time.
      if (!isWhole && isOurs) tellTorn(place, name, file, replay, log)
    }
    newest ??= replay
    firstRevision = replay.revisions[0]?.revision ?? 0
    const blobKeys = new Set(replay.contents.keys())
    segments.unshift(
      place.existing(name, { baseSize: replay.baseEnd, size: replay.end, revisions: replay.revisions, blobKeys }),
    )
  }
  return newest && { ...restoreUnits(newest), last: newest.revisions.at(-1) as RevisionRecord, segments, isWhole }
}

/**
 * Whether a segment can stand before one that begins at `revision`: it is whole, or what is damaged in it is only
 * what a failed write left behind its last revision.
 */
function leadsTo(replay: Replay, file: Uint8Array, revision: number): boolean {
  return replay.end === file.length || replay.revisions.at(-1)?.revision === revision
}

async function readSegment(place: HistoryPlace, name: string, log: Log): Promise<Uint8Array | undefined> {
  try {
    return await place.read(name)
  } catch (error) {
    // All of it is there, and will be read when somebody answers again.
    if (error instanceof ControlPlaneError && error.code === 'unreachable') throw error
    log.warn({ directory: place.name, file: name, err: error }, 'cannot read a part of the history')
    return undefined
  }
}

async function setAside(place: HistoryPlace, name: string, isOurs: boolean, log: Log): Promise<void> {
  log.warn(
    { directory: place.name, file: name },
    `a part of the history is damaged or of another version: its revisions are lost, and it is ${place.aside}`,
  )
  if (isOurs) await place.setAside(name)
}

function tellTorn(place: HistoryPlace, name: string, file: Uint8Array, replay: Replay, log: Log): void {
  const revision = replay.revisions.at(-1)?.revision
  log.warn(
    { directory: place.name, file: name, revision, bytes: file.length - replay.end },
    'the history ends in a torn or damaged record: it goes on after its last whole revision, in another file',
  )
}

function restoreUnits(replay: Replay): Pick<RestoredState, 'units' | 'redacted'> {
  const redacted = new Map<string, Uint8Array>()
  const built = new Map<string, Uint8Array>()
  const restore = (stored: StoredResource): Resource => {
    const content = replay.contents.get(blobKey(stored.version, stored.isSensitive))
    if (content === undefined || stored.isSensitive) {
      if (content !== undefined) redacted.set(stored.version, new Uint8Array(content))
      return buildUnreadyResource(stored)
    }
    // A copy: the bytes that were read are a window on the whole file, which would stay in memory.
    const bytes = built.get(stored.version) ?? new Uint8Array(content)
    built.set(stored.version, bytes)
    return buildResource({ ...stored, bytes })
  }
  const unitOf = (stored: StoredUnit): Unit => {
    const { key, origin, selectors } = stored
    const text = textIn(replay, stored)
    return { key, origin, selectors, resources: stored.resources.map(restore), ...(text && { text }) }
  }
  return { units: replay.units.map(unitOf), redacted }
}
