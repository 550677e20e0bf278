import type { EnvoyApi } from '../../resource/envoy-api.ts'
import type { HistoryPlace } from './place.ts'
import type { RevisionRecord, RevisionSummary } from './record.ts'
import { summaryOf } from './record.ts'
import { replaySegment } from './replay.ts'
import { type RevisionView, viewRevision } from './view.ts'

/** A history as it lies in its place, be it in use or not. */
export interface HistoryReader {
  /** Oldest first. */
  readonly revisions: readonly RevisionSummary[]
  /** Undefined for a revision that is not kept, or is damaged. */
  show(revision: number): Promise<RevisionView | undefined>
}

/**
 * Reads without touching anything: what a server writes at this moment may be half there, and is then left out.
 * @throws Error when the place cannot be read.
 */
export async function readHistory(place: HistoryPlace, api: EnvoyApi): Promise<HistoryReader> {
  const segments: { readonly file: Uint8Array; readonly revisions: readonly RevisionRecord[] }[] = []
  for (const name of await place.list()) {
    const file = await place.read(name)
    const replay = await replaySegment(api, file, { listOnly: true })
    if (replay !== undefined) segments.push({ file, revisions: replay.revisions })
  }
  const revisions: RevisionSummary[] = []
  for (const record of segments.flatMap((segment) => segment.revisions)) {
    if (record.revision > (revisions.at(-1)?.revision ?? 0)) revisions.push(summaryOf(record))
  }
  return {
    revisions,
    async show(revision) {
      const segment = segments.findLast((one) => (one.revisions[0] as RevisionRecord).revision <= revision)
      const replay = segment && (await replaySegment(api, segment.file, { until: revision }))
      return replay?.revisions.at(-1)?.revision === revision ? viewRevision(api, replay) : undefined
    },
  }
}
