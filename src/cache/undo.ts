import type { Resource } from '../resource/resource.ts'
import type { TypeUrl } from '../resource/type-url.ts'
import { type Snapshot, withChanges } from '../snapshot/snapshot.ts'
import type { Unit } from '../snapshot/world.ts'

/** What became of a unit; undefined: it was not there. */
export interface UnitChange {
  readonly before: Unit | undefined
  readonly after: Unit | undefined
}

/**
 * What a group had before each of the last steps, oldest first: its snapshot with the steps taken back one after the other.
 * @param isOf whether a unit is for the group's nodes
 */
export function undo(
  snapshot: Snapshot,
  steps: readonly (readonly UnitChange[])[],
  isOf: (unit: Unit) => boolean,
): readonly Snapshot[] {
  const past: Snapshot[] = []
  let earliest = snapshot
  for (const step of steps.toReversed()) {
    const changes = new Map<TypeUrl, Map<string, Resource | undefined>>()
    const change = ({ typeUrl, name }: Resource, to: Resource | undefined): void => {
      const ofType = changes.get(typeUrl) ?? new Map<string, Resource | undefined>()
      changes.set(typeUrl, ofType.set(name, to))
    }
    for (const { after } of step) if (after && isOf(after)) for (const each of after.resources) change(each, undefined)
    // What moved from one unit to another was there before, whichever comes first.
    for (const { before } of step) if (before && isOf(before)) for (const each of before.resources) change(each, each)
    if (changes.size === 0) continue
    earliest = withChanges(earliest, changes)
    past.unshift(earliest)
  }
  return past
}
