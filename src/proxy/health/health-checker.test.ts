import { describe, expect, it } from 'vitest'
import { atTestEnd } from '../../../test/support/at-test-end.ts'
import { createTestContext, type TestContext } from '../../../test/support/proxy-context.ts'
import { ClusterHost } from '../cluster/cluster-host.ts'
import { FieldReader, type JsonObject } from '../config/field-reader.ts'
import { noLocality } from '../config/locality.ts'
import { type HealthCheckConfig, readHealthCheck } from './health-check-config.ts'
import { HealthChecker } from './health-checker.ts'
import { failed, type ProbeResult, passed, unreachable } from './probe.ts'

const fields: JsonObject = {
  timeout: '1s',
  interval: '10s',
  unhealthy_threshold: 3,
  healthy_threshold: 2,
  no_traffic_interval: '60s',
  http_health_check: { path: '/' },
}

interface Bed {
  readonly context: TestContext
  readonly checker: HealthChecker
  readonly host: ClusterHost
  /** When the host was checked, in s. */
  readonly checkedAt: number[]
  readonly changes: string[]
  hasTraffic: boolean
  /** What the next checks find; the last goes for all that follow. Undefined: nothing for ever. */
  script: (ProbeResult | undefined)[]
  stat(name: string): number | undefined
  pass(seconds: number): Promise<void>
}

const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve()
}

function createHost(ip: string): ClusterHost {
  const healthCheck = { port: undefined, address: undefined, hostname: '', isDisabled: false }
  const endpoint = { hostname: '', weight: 1, metadata: {}, health: 'UNKNOWN', healthCheck } as const
  const host = new ClusterHost({ ip, port: 80, locality: noLocality }, endpoint, 0)
  host.isFailing = true
  return host
}

function createBed(script: readonly (ProbeResult | undefined)[], changes: JsonObject = {}): Bed {
  const context = createTestContext()
  const config: HealthCheckConfig = FieldReader.read({ ...fields, ...changes }, readHealthCheck)
  const host = createHost('10.0.0.1')
  const bed = {
    context,
    host,
    checkedAt: [] as number[],
    changes: [] as string[],
    hasTraffic: true,
    script: [...script],
    stat: (name: string) => context.stat(`cluster.cart.health_check.${name}`),
    async pass(seconds: number) {
      for (let second = 0; second < seconds; second++) {
        context.clock.pass(1000)
        await settle()
      }
    },
  }
  const checker = new HealthChecker(config, {
    context,
    stats: context.stats.scope('cluster.cart.'),
    createProbe: () => ({
      check() {
        bed.checkedAt.push(context.clock.now() / 1000)
        const result = bed.script.length > 1 ? bed.script.shift() : bed.script[0]
        return result === undefined ? new Promise(() => undefined) : Promise.resolve(result)
      },
      close: () => undefined,
    }),
    hasTraffic: () => bed.hasTraffic,
    onChange: (changed) => bed.changes.push(`${context.clock.now() / 1000}: ${changed.health}`),
    onPassed: () => undefined,
  })
  checker.update([host])
  atTestEnd(() => checker.close())
  return Object.assign(bed, { checker })
}

const degraded: ProbeResult = { kind: 'passed', isDegraded: true }
const retriable: ProbeResult = { kind: 'failed', isRetriable: true }

describe('a host that is checked', () => {
  it.each<readonly [name: string, script: readonly (ProbeResult | undefined)[], changes: readonly string[]]>([
    ['is healthy after its first check, if that passes', [passed], ['0: healthy']],
    ['needs more than one to pass when the first did not', [unreachable, passed], ['20: healthy']],
    ['stays unhealthy as long as checks fail', [unreachable], []],
    ['is unhealthy after so many failures to reach it', [passed, unreachable], ['0: healthy', '30: unhealthy']],
    ['stays healthy when one passes in time', [passed, unreachable, unreachable, passed], ['0: healthy']],
    ['is unhealthy at once when its answer says so', [passed, failed], ['0: healthy', '10: unhealthy']],
    ['is given as many tries where that answer is retriable', [passed, retriable], ['0: healthy', '30: unhealthy']],
    [
      'is degraded when its answer says so, and no longer',
      [passed, degraded, passed],
      ['0: healthy', '10: degraded', '20: healthy'],
    ],
  ])('%s', async (_, script, changes) => {
    const bed = createBed(script)
    void bed.checker.start()
    await settle()
    await bed.pass(49)
    expect(bed.changes).toEqual(changes)
  })

  it('fails a check that takes too long, and is checked again after the interval from then', async () => {
    const bed = createBed([undefined, passed])
    void bed.checker.start()
    await bed.pass(1)
    expect(bed.stat('network_failure')).toBe(1)
    await bed.pass(10)
    expect(bed.checkedAt).toEqual([0, 11])
  })

  it.each<readonly [name: string, changes: JsonObject, script: readonly ProbeResult[], checkedAt: readonly number[]]>([
    ['at the interval', {}, [passed], [0, 10, 20, 30, 40]],
    [
      'sooner while it is unhealthy',
      { unhealthy_interval: '5s' },
      [unreachable],
      [0, 5, 10, 15, 20, 25, 30, 35, 40, 45],
    ],
    [
      'sooner on its way to being unhealthy',
      { unhealthy_edge_interval: '2s', unhealthy_interval: '30s' },
      [passed, unreachable],
      [0, 10, 12, 14, 44],
    ],
    [
      'sooner on its way to being healthy',
      { healthy_edge_interval: '3s', healthy_threshold: 3 },
      [unreachable, passed],
      [0, 10, 13, 16, 26, 36, 46],
    ],
  ])('is checked %s', async (_, changes, script, checkedAt) => {
    const bed = createBed(script, changes)
    void bed.checker.start()
    await settle()
    await bed.pass(49)
    expect(bed.checkedAt).toEqual(checkedAt)
  })

  it('is checked less often as long as its cluster was never used', async () => {
    const bed = createBed([passed], { no_traffic_healthy_interval: '30s' })
    bed.hasTraffic = false
    void bed.checker.start()
    await settle()
    await bed.pass(60)
    expect(bed.checkedAt).toEqual([0, 30, 60])
  })

  it('lets nobody wait for it when it is removed', async () => {
    const bed = createBed([undefined])
    const started = bed.checker.start()
    bed.checker.update([])
    await started
    expect(bed.context.clock.waiting).toBe(1)
    await bed.pass(60)
    expect(bed.checkedAt).toEqual([0])
  })

  it('is counted among the healthy ones', async () => {
    const bed = createBed([passed])
    const other = createHost('10.0.0.2')
    bed.checker.update([bed.host, other])
    await bed.checker.start()
    expect([bed.stat('healthy'), bed.stat('success'), bed.stat('attempt')]).toEqual([2, 2, 2])
    bed.checker.update([other])
    expect(bed.stat('healthy')).toBe(1)
  })
})
