import { buildBootstrap } from '../../../src/cli/bootstrap-config.ts'
import { prometheusText } from '../../../src/proxy/stats/prometheus.ts'
import type { EnvoyConfigDump } from '../../support/envoy-process.ts'
import { eventually } from '../../support/poll.ts'
import { openReferenceProxy } from '../../support/reference-proxy.ts'
import { differences } from '../proxy/differences.ts'
import { patternOf, versionsIn } from './envoy-names.ts'
import { resolverAt, stockEnvoy } from './stock-envoy.ts'
import type { DataPlane, Feature } from './suite.ts'

/** All that a stock Envoy has but for what is listed. */
const lacking = new Set(differences.map(({ feature }) => feature))
const features: readonly Feature[] = [...stockEnvoy.features].filter((feature) => !lacking.has(feature))

/** The second data plane of the suite: ours, in the process of the test. */
export const referenceProxy: DataPlane = {
  name: 'a reference proxy',
  features: new Set(features),
  async start({ node, xds, protocol, nameServer }) {
    const printed = buildBootstrap({ ...node, server: xds, delta: protocol === 'delta', adminPort: 0 })
    const bootstrap = nameServer === undefined ? printed : { ...printed, ...resolverAt(nameServer) }
    const proxy = await openReferenceProxy(bootstrap)
    await proxy.live
    const dump = (): EnvoyConfigDump => proxy.configDump() as unknown as EnvoyConfigDump
    return {
      port: (listener) =>
        eventually(() => proxy.listenerPort(listener) ?? false, { timeoutMs: 10_000 }) as Promise<number>,
      count(what) {
        const pattern = patternOf(what)
        let sum = 0
        for (const stats of [proxy.stats.counters, proxy.stats.gauges]) {
          for (const [name, { value }] of stats) if (pattern.test(name)) sum += value
        }
        return Promise.resolve(sum)
      },
      metrics: () => Promise.resolve(prometheusText(proxy.stats)),
      knows: (text) => Promise.resolve(JSON.stringify(dump()).includes(text)),
      versions: () => Promise.resolve(versionsIn(dump())),
      close: () => proxy.close(),
    }
  },
}
