import { describe, expect, it } from 'vitest'
import { createSet, many, type SetText } from '../../../test/support/balanced-hosts.ts'
import type { HostSet } from './host-set.ts'
import { choosePriority, sharePriorities, sharePrioritiesWithout } from './priority-load.ts'

/** Healthy, degraded and unhealthy hosts of one priority. */
type Counts = readonly [healthy: number, degraded: number, unhealthy: number]

function setOf([healthy, degraded, unhealthy]: Counts, text: SetText): HostSet {
  return createSet(
    [...many(healthy), ...many(degraded, { health: 'DEGRADED' }), ...many(unhealthy, { health: 'UNHEALTHY' })],
    text,
  )
}

const setsOf = (counts: readonly Counts[], text: SetText = {}): readonly HostSet[] =>
  counts.map((of, priority) => setOf(of, { ...text, priority }))

describe('the load is shared among priorities', () => {
  it.each<
    readonly [
      name: string,
      priorities: readonly Counts[],
      panicThreshold: number,
      healthy: readonly number[],
      degraded: readonly number[],
      panic: readonly boolean[],
    ]
  >([
    [
      'all to the first, which is well',
      [
        [10, 0, 0],
        [10, 0, 0],
      ],
      50,
      [100, 0],
      [0, 0],
      [false, false],
    ],
    [
      'all to the first, as long as 72% are',
      [
        [72, 0, 28],
        [10, 0, 0],
      ],
      50,
      [100, 0],
      [0, 0],
      [false, false],
    ],
    [
      'a part to the next, from 71% on',
      [
        [71, 0, 29],
        [10, 0, 0],
      ],
      50,
      [99, 1],
      [0, 0],
      [false, false],
    ],
    [
      'by what each is able to take',
      [
        [50, 0, 50],
        [50, 0, 50],
      ],
      50,
      [70, 30],
      [0, 0],
      [false, false],
    ],
    [
      'to the next, where the first has nobody',
      [
        [0, 0, 10],
        [10, 0, 0],
      ],
      50,
      [0, 100],
      [0, 0],
      [false, false],
    ],
    [
      'to the next, where the first is empty',
      [
        [0, 0, 0],
        [10, 0, 0],
      ],
      50,
      [0, 100],
      [0, 0],
      [false, false],
    ],
    [
      'more than each is able to take, where all are ill',
      [
        [25, 0, 75],
        [25, 0, 75],
      ],
      50,
      [50, 50],
      [0, 0],
      [true, true],
    ],
    [
      'by their numbers when all panic',
      [
        [1, 0, 9],
        [0, 0, 20],
      ],
      50,
      [34, 66],
      [0, 0],
      [true, true],
    ],
    [
      'in panic only of the one that has too few',
      [
        [60, 0, 40],
        [5, 0, 95],
      ],
      50,
      [93, 7],
      [0, 0],
      [false, true],
    ],
    ['to the first where nobody is there', [[0, 0, 0]], 50, [100], [0], [true]],
    [
      'to the first where all are ill and nobody panics',
      [
        [0, 0, 10],
        [0, 0, 10],
      ],
      0,
      [100, 0],
      [0, 0],
      [false, false],
    ],
    ['to degraded hosts where healthy ones are too few', [[5, 5, 0]], 50, [70], [30], [false]],
    [
      'to healthy hosts of the next before degraded ones',
      [
        [5, 5, 0],
        [2, 8, 0],
      ],
      50,
      [70, 28],
      [2, 0],
      [false, false],
    ],
    [
      'with the rest to the first',
      [
        [10, 20, 110],
        [20, 10, 110],
        [10, 0, 130],
      ],
      0,
      [16, 28, 14],
      [28, 14, 0],
      [false, false, false],
    ],
  ])('%s', (_, priorities, panicThreshold, healthy, degraded, isPanicking) => {
    const load = sharePriorities(setsOf(priorities), panicThreshold)
    expect(load.isPanicking).toEqual(isPanicking)
    const sum = [...load.healthy, ...load.degraded].reduce((all, share) => all + share, 0)
    expect(sum).toBe(100)
    expect({ healthy: load.healthy, degraded: load.degraded }).toEqual({ healthy, degraded })
  })

  it('by another overprovisioning factor', () => {
    expect(
      sharePriorities(
        setsOf(
          [
            [80, 0, 20],
            [10, 0, 0],
          ],
          { overprovisioning: 100 },
        ),
        50,
      ).healthy,
    ).toEqual([80, 20])
  })

  it('by the weights of hosts where that is said', () => {
    const heavy = [...many(1, { weight: 9 }), ...many(9, { health: 'UNHEALTHY' })]
    const sets = (weighsPriorityHealth: boolean): readonly HostSet[] => [
      createSet(heavy, { weighsPriorityHealth }),
      createSet(many(10), { priority: 1 }),
    ]
    expect(sharePriorities(sets(false), 0).healthy).toEqual([14, 86])
    expect(sharePriorities(sets(true), 0).healthy).toEqual([70, 30])
  })

  it('without hosts that were not checked yet', () => {
    const hosts = many(10)
    for (const host of hosts.slice(0, 8)) {
      host.isFailing = true
      host.isUnchecked = true
    }
    expect(sharePriorities([createSet(hosts), createSet(many(1), { priority: 1 })], 50).healthy).toEqual([100, 0])
  })
})

describe('the load of a retry that goes elsewhere', () => {
  it.each([
    ['goes to the next priority', [0], [0, 100, 0]],
    ['goes to the last one', [0, 1], [0, 0, 100]],
    ['goes where it would have gone when all were tried', [0, 1, 2], [100, 0, 0]],
  ])('%s', (_, tried, healthy) => {
    const sets = setsOf([
      [10, 0, 0],
      [10, 0, 0],
      [10, 0, 0],
    ])
    expect(sharePrioritiesWithout(sets, sharePriorities(sets, 50), tried).healthy).toEqual(healthy)
  })
})

it.each([
  [0, 0, false],
  [69, 0, false],
  [70, 1, false],
  [79, 1, false],
  [80, 0, true],
  [99, 0, true],
])('of the draws from 0 to 99, %i falls to priority %i (degraded: %s)', (draw, priority, isDegraded) => {
  const load = { healthy: [70, 10], degraded: [20, 0], isPanicking: [false, false] }
  expect(choosePriority(load, draw)).toEqual({ priority, isDegraded })
})
