import { describe, expect, it } from 'vitest'
import { treeOf } from '../../test/support/tree-of.ts'
import { formatPath, locate, type PathSegment } from './tree-path.ts'

describe('formatPath', () => {
  it.each<[string, PathSegment[], string]>([
    ['', ['filters', 0, 'name'], 'filters[0].name'],
    ['resources[1]', ['filters', 0], 'resources[1].filters[0]'],
    ['', [], ''],
    ['a', ['envoy.filters.http.cors', '@type'], 'a["envoy.filters.http.cors"].@type'],
    ['a', ['k'.repeat(70)], `a["${'k'.repeat(64)}…"]`],
  ])('%j and %j make %j', (base, segments, path) => {
    expect(formatPath(base, segments)).toBe(path)
  })
})

describe('locate', () => {
  const tree = treeOf(`
typedConfig:
  '@type': x/y
  load_stats:
  - name: a
wrapped: {'@type': x/google.protobuf.Struct, value: {inner: 1}}
plain: {value: {inner: 1}}
my_map: {a_b: 1, aB: 2}`)

  it.each<[string, PathSegment[], string, string]>([
    ['the root', [], '2:1', ''],
    [
      'a field in the other spelling',
      ['typed_config', 'load_stats', 0, 'name'],
      '5:11',
      'typedConfig.load_stats[0].name',
    ],
    ['the last node there is', ['typed_config', 'load_stats', 3, 'name'], '5:3', 'typedConfig.load_stats[3].name'],
    ['a missing field', ['typed_config', 'nope'], '3:3', 'typedConfig.nope'],
    ['a key of a map as it is', ['my_map', 'a_b'], '8:15', 'my_map.a_b'],
    ['the content of an Any under its value', ['wrapped', 'inner'], '6:61', 'wrapped.inner'],
    ['nothing under any other value', ['plain', 'inner'], '7:8', 'plain.inner'],
  ])('finds %s', (_, path, position, written) => {
    const place = locate(tree, path)
    expect(`${place.line}:${place.column}`).toBe(position)
    expect(formatPath('', place.path)).toBe(written)
  })
})
