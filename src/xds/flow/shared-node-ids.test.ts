import { expect, test } from 'vitest'
import type { Clock } from '../../clock.ts'
import type { Log } from '../../log.ts'
import { resourceTypes } from '../../resource/type-url.ts'
import { type Presence, SharedNodeIdWatch, sharedNodeIds } from './shared-node-ids.ts'

function stream(
  nodeId: string,
  peer: string,
  more: Partial<Presence> = {},
): Presence & { readonly warnings: string[] } {
  const warnings: string[] = []
  return { nodeId, peer, service: undefined, sinceMs: 0, warn: (message) => warnings.push(message), warnings, ...more }
}

const { typeUrl: endpoint } = resourceTypes.endpoint
const { typeUrl: cluster } = resourceTypes.cluster

test.each<[string, Presence[], string[]]>([
  ['two addresses, one id', [stream('a', '1:1'), stream('a', '1:2'), stream('b', '1:3')], ['a']],
  ['one address, as an Envoy has it with a stream per cluster', [stream('a', '1:1'), stream('a', '1:1')], []],
  [
    'two services by two connections',
    [stream('a', '1:1', { service: cluster }), stream('a', '1:2', { service: endpoint })],
    [],
  ],
  [
    'two addresses at one service',
    [stream('a', '1:1', { service: endpoint }), stream('a', '1:2', { service: endpoint })],
    ['a'],
  ],
  [
    'a reconnect, whose old stream is not known as dead yet',
    [stream('a', '1:1'), stream('a', '1:2', { sinceMs: 51 })],
    [],
  ],
])('%s', (_, streams, expected) => {
  expect(sharedNodeIds(streams, 50).map(({ nodeId }) => nodeId)).toEqual(expected)
})

test('It is told once, of both, and again only after it was over', () => {
  let now = 0
  const timers: { readonly atMs: number; readonly act: () => void }[] = []
  const clock: Clock = {
    now: () => now,
    after(ms, act) {
      timers.push({ atMs: now + ms, act })
      return { cancel: () => void timers.pop() }
    },
  }
  const passTo = (ms: number): void => {
    for (let next = timers[0]; next !== undefined && next.atMs <= ms; next = timers[0]) {
      timers.shift()
      now = next.atMs
      next.act()
    }
    now = ms
  }
  const logged: unknown[] = []
  const counts: number[] = []
  const [first, second] = [stream('a', '10.0.0.1:1'), stream('a', '10.0.0.2:1')]
  let streams: Presence[] = [first, second]
  const watch = new SharedNodeIdWatch({
    streams: () => streams,
    clock,
    log: { warn: (fields: unknown) => logged.push(fields) } as unknown as Log,
    overlapMs: 60_000,
    onCount: (count) => counts.push(count),
  })
  passTo(59_000)
  expect(logged).toEqual([])
  passTo(300_000)
  expect(logged).toEqual([{ node: 'a', peers: ['10.0.0.1:1', '10.0.0.2:1'] }])
  expect(first.warnings).toEqual([expect.stringContaining('at 10.0.0.2:1')])
  expect(second.warnings).toEqual([expect.stringContaining('at 10.0.0.1:1')])
  expect(counts.at(-1)).toBe(1)
  streams = [first]
  passTo(330_000)
  expect(counts.at(-1)).toBe(0)
  streams = [first, second]
  passTo(360_000)
  expect(logged).toHaveLength(2)
  watch.close()
  expect(timers).toEqual([])
})
