import { describe, expect, it } from 'vitest'
import { createTestContext } from '../../../test/support/proxy-context.ts'
import { FieldReader, type JsonObject } from '../config/field-reader.ts'
import { intervalOf } from './check-interval.ts'
import { type HealthCheckConfig, readHealthCheck } from './health-check-config.ts'

function read(fields: JsonObject): HealthCheckConfig {
  const needed = { timeout: '1s', interval: '10s', unhealthy_threshold: 1, healthy_threshold: 1, tcp_health_check: {} }
  return FieldReader.read({ ...needed, ...fields }, readHealthCheck)
}

const steady = { hasPassed: true, edge: 'unchanged', hasTraffic: true } as const

describe('the time until the next check', () => {
  it.each<readonly [fields: JsonObject, least: number, most: number]>([
    [{}, 10_000, 10_000],
    [{ interval_jitter: '2s' }, 10_000, 12_000],
    [{ interval_jitter_percent: 50 }, 10_000, 15_000],
    [{ interval_jitter_percent: 10, interval_jitter: '1s' }, 10_000, 12_000],
  ])('with %j is from %i to %i ms, evenly', (fields, least, most) => {
    const context = createTestContext()
    const config = read(fields)
    const waits = Array.from({ length: 10_000 }, () => intervalOf(config, context, steady))
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(least)
    expect(Math.max(...waits)).toBeLessThanOrEqual(most)
    const mean = waits.reduce((sum, wait) => sum + wait, 0) / waits.length
    // No sum of even shares varies more than one share of the same width; whole milliseconds are half of one less.
    expect(Math.abs(mean - (least + most) / 2)).toBeLessThanOrEqual(1 + (3 * (most - least)) / Math.sqrt(12 * 10_000))
  })

  it('is within what the runtime says', () => {
    const context = createTestContext()
    context.runtime.setLayer('test', { 'health_check.min_interval': 20_000 })
    expect(intervalOf(read({}), context, steady)).toBe(20_000)
    context.runtime.setLayer('test', { 'health_check.max_interval': 3000 })
    expect(intervalOf(read({}), context, steady)).toBe(3000)
  })
})
