import type { PatchPlace, PatchTarget } from '../../config/kinds/patch-form.ts'
import { nearestName } from '../../resource/json/near-name.ts'
import type { Tree } from '../../resource/tree.ts'
import { nodeAt, type TreePath } from './patch-tree.ts'

type Level = keyof PatchPlace

/** A name of `at` that is not there. */
export interface NoPlace {
  readonly field: `at.${Level}`
  readonly message: string
  readonly fix: string
}

const levelNames: Readonly<Record<Level, string>> = {
  filterChain: 'filter chain',
  networkFilter: 'network filter',
  httpFilter: 'HTTP filter',
  virtualHost: 'virtual host',
  route: 'route',
}

/** From the outermost in. */
const levelsOf: Readonly<Record<PatchTarget['type'], readonly (readonly Level[])[]>> = {
  listener: [
    ['filterChain', 'networkFilter', 'httpFilter'],
    ['filterChain', 'networkFilter', 'virtualHost', 'route'],
  ],
  route: [['virtualHost', 'route']],
  cluster: [],
  endpoint: [],
  secret: [],
}

/** Where the things of a level are, within one of the level around it. */
const pathsOf: Readonly<Record<Level, readonly TreePath[]>> = {
  filterChain: [['filter_chains'], ['default_filter_chain']],
  networkFilter: [['filters']],
  httpFilter: [['typed_config', 'http_filters']],
  virtualHost: [['virtual_hosts'], ['typed_config', 'route_config', 'virtual_hosts']],
  route: [['routes']],
}

/**
 * The places in a resource that `at` means. A level that is not named is all of its things: a filter chain that is not
 * named stands for every one, so that a filter which is put before another is there for every client.
 */
export function findPlaces(type: PatchTarget['type'], tree: Tree, at: PatchPlace = {}): readonly TreePath[] | NoPlace {
  const given = (Object.keys(levelNames) as Level[]).filter((level) => at[level] !== undefined)
  const last = given.at(-1)
  if (last === undefined) return [[]]
  const levels = levelsOf[type].find((chain) => given.every((level) => chain.includes(level)))
  if (levels === undefined) return wrongLevel(type, last)
  let places: readonly TreePath[] = [[]]
  for (const level of levels.slice(0, levels.indexOf(last) + 1)) {
    const all = places.flatMap((place) => thingsAt(tree, place, level))
    const name = at[level]
    places = name === undefined ? all : all.filter((place) => nameAt(tree, place) === name)
    if (name !== undefined && places.length === 0)
      return noSuchName(
        level,
        name,
        all.flatMap((place) => nameAt(tree, place) ?? []),
      )
  }
  return places
}

function thingsAt(tree: Tree, place: TreePath, level: Level): readonly TreePath[] {
  return pathsOf[level].flatMap((below) => {
    const path = [...place, ...below]
    const node = nodeAt(tree, path)
    if (node?.kind === 'list') return node.items.map((_, index) => [...path, index])
    return node === undefined ? [] : [path]
  })
}

function nameAt(tree: Tree, place: TreePath): string | undefined {
  const name = nodeAt(tree, [...place, 'name'])
  return name?.kind === 'scalar' && typeof name.value === 'string' ? name.value : undefined
}

function wrongLevel(type: PatchTarget['type'], level: Level): NoPlace {
  const possible = [...new Set(levelsOf[type].flat())].map((one) => `\`${one}\``).join(', ')
  const message = `A ${type} has no ${levelNames[level]} there.`
  const fix =
    possible === ''
      ? 'Remove `at`.'
      : `In a ${type} there are ${possible}; a route or virtual host is in no HTTP filter.`
  return { field: `at.${level}`, message, fix }
}

/** How many names are shown. */
const maxShown = 8

function noSuchName(level: Level, name: string, names: readonly string[]): NoPlace {
  const message = `There is no ${levelNames[level]} ${JSON.stringify(name)} there.`
  const near = nearestName(name, names)
  const shown = [...new Set(names)].slice(0, maxShown).map((one) => `\`${one}\``)
  const fix =
    near !== undefined
      ? `Did you mean \`${near}\`?`
      : shown.length === 0
        ? `There is no ${levelNames[level]} at all: remove the patch, or name another target.`
        : `There is ${shown.join(', ')}${names.length > maxShown ? ' and more' : ''}.`
  return { field: `at.${level}`, message, fix }
}
