import { describe, expect, test } from 'vitest'
import { nodeOfJson } from '../resource/node.ts'
import { matchesNode, type NodeSelector, selectorKey } from '../resource/node-selector.ts'
import { NodeMatcher } from './node-matcher.ts'

const keyed = (selectors: readonly NodeSelector[]): Map<string, NodeSelector> =>
  new Map(selectors.map((selector) => [selectorKey(selector), selector]))

describe('NodeMatcher', () => {
  test('finds for every node the selectors that asking each of them finds', () => {
    const patterns = [undefined, '', 'a', 'b', 'a*', '*']
    const envs = [undefined, 'prod']
    const selectors = patterns.flatMap((cluster) =>
      patterns.flatMap((id) =>
        envs.map(
          (env): NodeSelector => ({
            ...(cluster !== undefined && { cluster }),
            ...(id !== undefined && { id }),
            ...(env !== undefined && { metadata: { env } }),
          }),
        ),
      ),
    )
    const matcher = new NodeMatcher(keyed(selectors))
    let found = 0
    for (const cluster of ['', 'a', 'b', 'ab', 'c']) {
      for (const id of ['', 'a', 'b', 'ab', 'c']) {
        for (const metadata of [{}, { env: 'prod' }]) {
          const node = nodeOfJson({ id, cluster, metadata })
          const wanted = selectors.filter((selector) => matchesNode(selector, node)).map(selectorKey)
          expect(matcher.keysOf(node)).toEqual(wanted.sort())
          found += wanted.length
        }
      }
    }
    expect(found).toBeGreaterThan(500)
  })

  test('tells apart the regions and Services of nodes that are otherwise alike', () => {
    const selectors: readonly NodeSelector[] = [
      { cluster: 'a' },
      { cluster: 'a', region: 'eu' },
      { notRegions: ['eu'] },
      { metadata: { fairlead: { service: 'cart' } } },
      { metadata: { fairlead: { service: 'cart' } }, region: 'eu' },
      { metadata: { fairlead: { service: 'pay', more: 1 } } },
      { metadata: { fairlead: { service: 7 } } },
    ]
    const matcher = new NodeMatcher(keyed(selectors))
    let found = 0
    for (const region of [undefined, 'eu', 'us']) {
      for (const fairlead of [undefined, { service: 'cart' }, { service: 'pay', more: 1 }, { service: 7 }]) {
        const node = nodeOfJson({
          cluster: 'a',
          metadata: fairlead === undefined ? {} : { fairlead },
          ...(region !== undefined && { locality: { region } }),
        })
        const wanted = selectors.filter((selector) => matchesNode(selector, node)).map(selectorKey)
        expect(matcher.keysOf(node)).toEqual(wanted.sort())
        found += wanted.length
      }
    }
    expect(found).toBe(34)
  })

  test('tells apart values of the metadata, wherever they are and whatever they are', () => {
    const wanted: readonly Readonly<Record<string, unknown>>[] = [
      { app: 'a' },
      { app: 'b' },
      { app: 7 },
      { app: '7' },
      { app: null },
      { app: ['a'] },
      { app: { name: 'a' } },
      { app: {} },
      { app: 'a', env: 'prod' },
      { app: { name: 'a', env: 'prod' } },
      { 'app.name': 'a' },
      { toString: 'a' },
    ]
    const selectors = [...wanted.map((metadata): NodeSelector => ({ metadata })), {}, { cluster: 'c*' }]
    const matcher = new NodeMatcher(keyed(selectors))
    let found = 0
    for (const metadata of [...wanted, {}, { app: { name: 'a', env: 'test' } }]) {
      const node = nodeOfJson({ id: '1', cluster: 'cart', metadata })
      const matching = selectors.filter((selector) => matchesNode(selector, node)).map(selectorKey)
      expect(matcher.keysOf(node)).toEqual(matching.sort())
      found += matching.length
    }
    expect(found).toBe(46)
  })

  test.each<[what: string, of: (name: string) => Pick<NodeSelector, 'cluster' | 'metadata'>]>([
    ['cluster', (cluster) => ({ cluster })],
    ['metadata', (app) => ({ metadata: { app } })],
  ])('a node costs its own selectors, not those of all other services: by %s', (_, of) => {
    const timeOf = (services: number): number => {
      const selectors = Array.from({ length: services }, (_, index) => of(`service-${index}`))
      const matcher = new NodeMatcher(keyed(selectors))
      const nodes = Array.from({ length: 1000 }, (_, index) =>
        nodeOfJson({ id: `n${index}`, ...of(`service-${index}`) }),
      )
      const start = performance.now()
      for (const node of nodes) matcher.keysOf(node)
      return performance.now() - start
    }
    timeOf(1000)
    // A hundred times the time if each were asked; the bound leaves room for a busy machine.
    expect(timeOf(100_000)).toBeLessThan(20 * Math.max(5, timeOf(1000)))
  })
})
