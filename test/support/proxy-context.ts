import { silentLog } from '../../src/log.ts'
import type { ProxyContext } from '../../src/proxy/proxy-context.ts'
import { createRuntime, type LayeredRuntime } from '../../src/proxy/runtime.ts'
import { createStatStore } from '../../src/proxy/stats/create-stat-store.ts'
import { loadEnvoyApi } from '../../src/resource/envoy-api.ts'
import { createManualClock, type ManualClock } from './manual-clock.ts'
import { createRandom } from './random.ts'

const api = loadEnvoyApi()

/** The context of a proxy in a test: time stands still, and chance begins with a seed. */
export interface TestContext extends ProxyContext {
  readonly clock: ManualClock
  readonly runtime: LayeredRuntime
  /** A counter or gauge; undefined where there is none of that name. */
  stat(name: string): number | undefined
}

export function createTestContext(node: Partial<ProxyContext['node']> = {}, seed = 1): TestContext {
  const stats = createStatStore()
  const chance = createRandom(seed)
  return {
    api,
    node: { id: 'test', cluster: 'test', locality: { region: '', zone: '', subZone: '' }, ...node },
    clock: createManualClock(),
    random: () => chance.below(2 ** 32) / 2 ** 32,
    log: silentLog,
    stats,
    runtime: createRuntime([{ name: 'test', values: {} }]),
    stat: (name) => (stats.counters.get(name) ?? stats.gauges.get(name))?.value,
  }
}
