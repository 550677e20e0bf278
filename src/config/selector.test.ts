import { describe, expect, test } from 'vitest'
import { loadEnvoyApi } from '../resource/envoy-api.ts'
import type { NodeSelector } from '../resource/node-selector.ts'
import { entryOf } from '../resource/tree.ts'
import { parseSelectors } from './selector.ts'
import { parseYaml } from './yaml-tree.ts'

const api = loadEnvoyApi()

function parse(text: string): ReturnType<typeof parseSelectors> {
  const [document] = parseYaml(text, { maxValues: 1000, maxDepth: 50 })
  return parseSelectors(api, entryOf(document?.tree, 'nodes'))
}

describe('nodes', () => {
  test.each<[string, readonly NodeSelector[]]>([
    ['a: 1', []],
    ['nodes: {cluster: edge}', [{ cluster: 'edge' }]],
    ['nodes: {id: "edge-*", cluster: edge}', [{ id: 'edge-*', cluster: 'edge' }]],
    ['nodes: [{cluster: a}, {id: b}]', [{ cluster: 'a' }, { id: 'b' }]],
    ['nodes: {metadata: {env: prod, tier: {n: 1}}}', [{ metadata: { env: 'prod', tier: { n: 1 } } }]],
    ['nodes: {cluster: on}', [{ cluster: 'on' }]],
    ['nodes: {}', [{}]],
  ])('%s', (text, selectors) => {
    expect(parse(text)).toEqual({ selectors, problems: [] })
  })

  test.each<[string, string, string, RegExp]>([
    ['nodes:', '1:7', 'nodes', /map/],
    ['nodes: edge', '1:8', 'nodes', /map/],
    ['nodes: []', '1:8', 'nodes', /no node/],
    ['nodes: {clutser: a}', '1:9', 'nodes.clutser', /mean `cluster`/],
    ['nodes: [{id: a}, {"a b": c}]', '1:19', 'nodes[1]', /no such key/],
    ['nodes: {cluster: ""}', '1:18', 'nodes.cluster', /empty pattern/],
    ['nodes: {cluster: 12}', '1:18', 'nodes.cluster', /text/],
    ['nodes: {cluster: [a, b]}', '1:18', 'nodes.cluster', /text/],
    ['nodes: {metadata: prod}', '1:19', 'nodes.metadata', /map/],
    ['nodes: [{id: a}, b]', '1:18', 'nodes[1]', /map/],
  ])('%s is refused', (text, place, path, words) => {
    const { selectors, problems } = parse(text)
    expect(selectors).toBeUndefined()
    expect(problems).toHaveLength(1)
    expect(problems[0]).toMatchObject({ severity: 'error', code: 'invalid-selector', path })
    expect(`${problems[0]?.line}:${problems[0]?.column}`).toBe(place)
    expect(`${problems[0]?.message} ${problems[0]?.fix}`).toMatch(words)
  })

  test('everything that is wrong is said at once', () => {
    expect(parse('nodes: [{cluster: ""}, 1, {idd: x}]').problems).toHaveLength(3)
  })
})
