import { selectorKey } from '../resource/node-selector.ts'
import { type TypeUrl, wordOf } from '../resource/type-url.ts'
import { diffSets } from './resource-set.ts'
import { type Snapshot, setOf } from './snapshot.ts'
import { selectorsOf, type Unit } from './unit.ts'

/** What changed of one type, by name: for people, and without any content. Names are sorted. */
export interface TypeDiff {
  readonly typeUrl: TypeUrl
  readonly added: readonly string[]
  readonly changed: readonly string[]
  readonly removed: readonly string[]
}

/** What leads from one snapshot (undefined: nothing) to another; types without a change are absent. */
export function diffSnapshots(from: Snapshot | undefined, to: Snapshot): readonly TypeDiff[] {
  const typeUrls = new Set([...(from?.sets.keys() ?? []), ...to.sets.keys()])
  const diffs = [...typeUrls].map((typeUrl) => {
    const before = from === undefined ? undefined : setOf(from, typeUrl)
    const { changed, removed } = diffSets(before, setOf(to, typeUrl))
    const isNew = (name: string): boolean => before?.get(name) === undefined
    return {
      typeUrl,
      added: changed.map(({ name }) => name).filter(isNew),
      // One that only became ready again is the content that it was.
      changed: changed.filter((r) => !isNew(r.name) && before?.get(r.name)?.version !== r.version).map((r) => r.name),
      removed,
    }
  })
  return inOrder(diffs)
}

/**
 * What leads from some documents in force to others. A name that several documents give to different nodes has changed
 * when any of them has; so has one that went to other nodes.
 */
export function diffUnits(from: Iterable<Unit>, to: Iterable<Unit>): readonly TypeDiff[] {
  const [before, after] = [contentsOf(from), contentsOf(to)]
  const typeUrls = new Set([...before.keys(), ...after.keys()])
  const diffs = [...typeUrls].map((typeUrl) => {
    const old = before.get(typeUrl) ?? new Map<string, string>()
    const now = after.get(typeUrl) ?? new Map<string, string>()
    return {
      typeUrl,
      added: [...now.keys()].filter((name) => !old.has(name)).sort(),
      changed: [...now].flatMap(([name, is]) => (old.has(name) && old.get(name) !== is ? [name] : [])).sort(),
      removed: [...old.keys()].filter((name) => !now.has(name)).sort(),
    }
  })
  return inOrder(diffs)
}

function inOrder(diffs: readonly TypeDiff[]): readonly TypeDiff[] {
  return diffs
    .filter(({ added, changed, removed }) => added.length + changed.length + removed.length > 0)
    .sort((a, b) => (wordOf(a.typeUrl) < wordOf(b.typeUrl) ? -1 : 1))
}

/** By type and name: a text that is equal when all versions, and the nodes that get them, are. */
function contentsOf(units: Iterable<Unit>): Map<TypeUrl, Map<string, string>> {
  const forms = new Map<TypeUrl, Map<string, string[]>>()
  for (const unit of units) {
    const nodes = selectorsOf(unit).map(selectorKey).sort().join(' ')
    for (const { typeUrl, name, version } of unit.resources) {
      const byName = forms.get(typeUrl) ?? new Map<string, string[]>()
      forms.set(typeUrl, byName.set(name, [...(byName.get(name) ?? []), `${version} ${nodes}`]))
    }
  }
  return new Map(
    [...forms].map(([typeUrl, byName]) => [
      typeUrl,
      new Map([...byName].map(([name, contents]) => [name, contents.sort().join('\n')])),
    ]),
  )
}
