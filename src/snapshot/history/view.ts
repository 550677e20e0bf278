import type { Origin } from '../../errors.ts'
import type { EnvoyApi } from '../../resource/envoy-api.ts'
import { messageToJson } from '../../resource/json/codec.ts'
import type { NodeSelector } from '../../resource/node-selector.ts'
import type { UnitText } from '../unit.ts'
import { diffUnits, type Placed, type TypeDiff } from './diff.ts'
import { blobKey, type RevisionRecord, type RevisionSummary, type StoredResource, summaryOf } from './record.ts'
import { type Replay, textIn } from './replay.ts'

/** A resource at some revision. `JSON.stringify` gives it without its content, which may be large: ask `json()`. */
export interface ResourceView extends StoredResource {
  /** Any of these nodes; empty is every node. */
  readonly selectors: readonly NodeSelector[]
  /** Canonical JSON with sensitive content redacted; undefined where the history has no content of it. */
  json(): ReturnType<typeof messageToJson> | undefined
}

/** A unit at some revision. */
export interface UnitView {
  readonly key: string
  readonly origin: Origin
  readonly selectors: readonly NodeSelector[]
  readonly resources: readonly ResourceView[]
  /** What was written of it; undefined where nobody wrote it, or it is older than the keeping of texts. */
  readonly text: UnitText | undefined
}

/** Everything in force at a revision. */
export interface RevisionView extends RevisionSummary {
  readonly meta: Readonly<Record<string, string>>
  readonly units: readonly UnitView[]
}

export interface RevisionDiff {
  readonly from: RevisionSummary
  readonly to: RevisionSummary
  /** Types that differ, in the order in which additions are sent. */
  readonly types: readonly TypeDiff<ResourceView>[]
}

/** The last revision of a replay, for people. */
export function viewRevision(api: EnvoyApi, replay: Replay): RevisionView {
  const last = replay.revisions.at(-1) as RevisionRecord
  const viewOf = (stored: StoredResource, selectors: readonly NodeSelector[]): ResourceView => ({
    ...stored,
    selectors,
    json: () => {
      const content = replay.contents.get(blobKey(stored.version, stored.isSensitive))
      return content && messageToJson(api, stored.typeUrl, content, { redact: true })
    },
  })
  const units = replay.units.map((unit) => {
    const { key, origin, selectors, resources } = unit
    const views = resources.map((stored) => viewOf(stored, selectors))
    return { key, origin, selectors, resources: views, text: textIn(replay, unit) }
  })
  return { ...summaryOf(last), meta: last.meta, units }
}

/** What differs between two revisions. */
export function diffRevisions(before: RevisionView, after: RevisionView): RevisionDiff {
  const types = diffUnits<UnitView>(before.units, after.units)
  const resourceOf = ({ resource }: Placed<ResourceView>): ResourceView => resource
  return {
    from: summaryOf(before),
    to: summaryOf(after),
    types: types.map(({ typeUrl, word, added, changed, removed }) => ({
      typeUrl,
      word,
      added: added.map(resourceOf),
      changed: changed.map((pair) => ({ before: resourceOf(pair.before), after: resourceOf(pair.after) })),
      removed: removed.map(resourceOf),
    })),
  }
}
