import type { TreeShape } from '../../resource/json/tree-shape.ts'
import type { MapTree, Tree } from '../../resource/tree.ts'
import { spelled, withEntry, withoutEntry } from './patch-tree.ts'

/** RFC 7396: maps are merged, `null` takes a field out, everything else takes the place of what is there. */
export function mergePatch(target: Tree | undefined, patch: Tree, shape: TreeShape): Tree {
  if (patch.kind !== 'map') return spelled(patch, shape)
  const here = shape.at(target?.kind === 'map' ? target : patch)
  let merged: MapTree = target?.kind === 'map' ? target : { ...patch, entries: [] }
  for (const { key, value } of patch.entries) {
    const name = here.nameOf(key)
    if (value.kind === 'scalar' && value.value === null) {
      merged = withoutEntry(merged, name)
      continue
    }
    const before = merged.entries.find((entry) => entry.key === name)?.value
    merged = withEntry(merged, name, mergePatch(before, value, here.below(name)))
  }
  return merged
}
