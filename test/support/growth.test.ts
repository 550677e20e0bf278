import { expect, test } from 'vitest'
import { growthOf } from './growth.ts'

const samplesOf = (...values: readonly number[]) => values.map((value, index) => ({ atMs: index * 100, value }))

test.each([
  { name: 'what stays', values: [5, 5, 5, 5], growth: 0 },
  { name: 'what goes up and down', values: [5, 9, 5, 9, 5, 9, 5], growth: 0 },
  { name: 'what jumps once and comes back', values: [5, 5, 900, 5, 5], growth: 0 },
  { name: 'what grows by one each time', values: [1, 2, 3, 4, 5], growth: 4 },
  { name: 'what grows with noise', values: [0, 30, 10, 40, 20, 50, 30, 60], growth: 35 },
])('$name grows by $growth', ({ values, growth }) => {
  expect(growthOf(samplesOf(...values))).toBeCloseTo(growth)
})
