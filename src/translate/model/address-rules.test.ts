import { expect, test } from 'vitest'
import { translated } from '../../../test/support/translated.ts'
import { loadEnvoyApi } from '../../resource/envoy-api.ts'
import { areDisjoint, type NodeSelector } from '../../resource/node-selector.ts'

const api = loadEnvoyApi()

const selectors: readonly NodeSelector[] = [
  { cluster: '*' },
  { cluster: 'a' },
  { cluster: 'b' },
  { id: '1' },
  { id: '2' },
  { cluster: 'a', id: '1' },
  { cluster: 'a', id: '2' },
  { cluster: 'b', id: '1' },
  { cluster: 'a*' },
  { id: '1*' },
  { cluster: 'a', id: '1*' },
  { cluster: 'a*', id: '1' },
  { metadata: { env: 'prod' } },
  { metadata: { env: 'test' } },
  { metadata: { env: 'prod', app: 'a' } },
  { metadata: { env: 'test', app: 'a' } },
  { metadata: { app: 'b', zone: { name: 'x', rack: 1 } } },
  { metadata: { zone: 'x' } },
  { metadata: { zone: { rack: 2 } } },
  { metadata: { env: ['prod'] } },
  { cluster: 'a', metadata: { app: 'a' } },
]

const gateway = (name: string, nodes: readonly NodeSelector[]): string =>
  `kind: Gateway\nname: ${name}\nnodes: ${JSON.stringify(nodes)}\nlisteners: {name: http, port: 80}\n`

const conflicts = (first: readonly NodeSelector[], second: readonly NodeSelector[]): number =>
  translated(api, [gateway('first', first), gateway('second', second)].join('---\n'), 'edge.yaml').problems.filter(
    ({ code }) => code === 'conflict',
  ).length

test('two listeners of one address are told of for every two selectors by which one node can be of both, and no others', () => {
  for (const a of selectors) {
    for (const b of selectors) {
      const why = `${JSON.stringify(a)} and ${JSON.stringify(b)}`
      expect(conflicts([a], [b]), why).toBe(areDisjoint(a, b) ? 0 : 1)
      const far: NodeSelector = { cluster: 'far', id: 'away' }
      expect(conflicts([far, a], [b]), `${why}, or far`).toBe(areDisjoint(a, b) && areDisjoint(far, b) ? 0 : 1)
    }
  }
})
