import type { ProxyContext } from '../../src/proxy/proxy-context.ts'
import { createRuntime, type LayeredRuntime } from '../../src/proxy/runtime.ts'
import { createManualClock, type ManualClock } from './manual-clock.ts'
import { createProxyContext } from './proxy-bed.ts'
import { createRandom } from './random.ts'

/** The context of a proxy in a test: time stands still, and chance begins with a seed. */
export interface TestContext extends ProxyContext {
  readonly clock: ManualClock
  readonly runtime: LayeredRuntime
  /** A counter or gauge; undefined where there is none of that name. */
  stat(name: string): number | undefined
}

export function createTestContext(node: Partial<ProxyContext['node']> = {}, seed = 1): TestContext {
  const plain = createProxyContext()
  const chance = createRandom(seed)
  return {
    ...plain,
    node: { ...plain.node, ...node },
    clock: createManualClock(),
    random: () => chance.below(2 ** 32) / 2 ** 32,
    runtime: createRuntime([{ name: 'test', values: {} }]),
    stat: (name) => (plain.stats.counters.get(name) ?? plain.stats.gauges.get(name))?.value,
  }
}
