import { expect, test } from 'vitest'
import { createMetrics } from './metrics.ts'

const rowsOf = (text: string, name: string): readonly string[] =>
  text.split('\n').filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`))

test.each(['fairlead_certificate_expiry_timestamp_seconds', 'fairlead_leader', 'fairlead_replicas'])(
  '%s is not there, rather than 0, in a server that has no such thing',
  async (name) => {
    const { registry } = createMetrics()
    expect(rowsOf(await registry.metrics(), name)).toEqual([])
  },
)

test('a reading without labels is what its owner says, and goes when that says nothing more', async () => {
  const { registry, leader } = createMetrics()
  let isOver = false
  leader.from(() => new Map(isOver ? [] : [[{}, 0]]))
  expect(rowsOf(await registry.metrics(), 'fairlead_leader')).toEqual(['fairlead_leader 0'])
  isOver = true
  expect(rowsOf(await registry.metrics(), 'fairlead_leader')).toEqual([])
})

test('streams are counted from 0, so that an alert sees that nobody came back after a restart', async () => {
  const { registry } = createMetrics()
  expect(rowsOf(await registry.metrics(), 'fairlead_streams')).toEqual([
    'fairlead_streams{protocol="sotw"} 0',
    'fairlead_streams{protocol="delta"} 0',
  ])
})
