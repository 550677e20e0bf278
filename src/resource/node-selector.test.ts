import { describe, expect, test } from 'vitest'
import { nodeOfJson } from './node.ts'
import { areDisjoint, impliesSelector, matchesNode, type NodeSelector } from './node-selector.ts'

const clusters: readonly NodeSelector[] = [{}, { cluster: 'edge' }, { cluster: 'e*' }, { cluster: 'core' }]
const regions: readonly NodeSelector[] = [
  {},
  { region: 'eu' },
  { region: 'us' },
  { notRegions: ['eu'] },
  { notRegions: ['eu', 'us'] },
  { notRegions: ['us', 'asia'] },
]
const selectors = clusters.flatMap((cluster) => regions.map((region): NodeSelector => ({ ...cluster, ...region })))
const nodes = ['edge', 'east', 'core'].flatMap((cluster) =>
  [undefined, 'eu', 'us', 'asia', 'moon'].map((region) =>
    nodeOfJson({ id: 'a', cluster, ...(region !== undefined && { locality: { region } }) }),
  ),
)
const matched = (selector: NodeSelector): readonly number[] =>
  nodes.flatMap((node, index) => (matchesNode(selector, node) ? [index] : []))
const pairs = selectors.flatMap((a) => selectors.map((b) => [a, b] as const))

describe('selectors by region', () => {
  test('match the nodes of one region, or those of none of some and those without', () => {
    const regionsOf = (selector: NodeSelector): readonly unknown[] =>
      nodes
        .filter(({ cluster }) => cluster === 'edge')
        .filter((node) => matchesNode(selector, node))
        .map(({ locality }) => locality?.region)
    expect(regionsOf({ region: 'eu' })).toEqual(['eu'])
    expect(regionsOf({ notRegions: ['eu', 'us'] })).toEqual([undefined, 'asia', 'moon'])
  })

  test('imply others exactly if whatever they match is matched by those', () => {
    const wrong = pairs.filter(
      ([narrow, wide]) =>
        impliesSelector(narrow, wide) !== matched(narrow).every((index) => matched(wide).includes(index)),
    )
    expect(wrong).toEqual([])
  })

  test('are disjoint exactly if nothing is matched by both', () => {
    const wrong = pairs.filter(([a, b]) => areDisjoint(a, b) === matched(a).some((index) => matched(b).includes(index)))
    expect(wrong).toEqual([])
  })
})
