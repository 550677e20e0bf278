import { expect, it } from 'vitest'
import type { NodeSelector } from './node-selector.ts'
import { selectorLabel } from './selector-label.ts'

it.each<[NodeSelector, string]>([
  [{}, 'every node'],
  [{ cluster: 'edge' }, 'cluster=edge'],
  [{ id: 'edge-*', cluster: 'edge' }, 'cluster=edge,id=edge-*'],
  [
    { metadata: { env: 'prod', at: { zone: 'z', rack: 3 } } },
    'metadata.env=prod,metadata.at.zone=z,metadata.at.rack=3',
  ],
  [{ cluster: 'edge', region: 'eu' }, 'cluster=edge,region=eu'],
  [{ notRegions: ['eu', 'us'] }, 'region!=eu|us'],
  [{ metadata: { tags: ['a', 'b'], on: true } }, 'metadata.tags=["a","b"],metadata.on=true'],
])('names %j for people: %s', (selector, label) => {
  expect(selectorLabel(selector)).toBe(label)
})
