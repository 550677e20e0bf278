import { buildBootstrap } from '../../../src/cli/bootstrap-config.ts'
import { startEnvoy } from '../../support/envoy.ts'
import { patternOf, versionsIn } from './envoy-names.ts'
import type { DataPlane, Feature } from './suite.ts'

const features: readonly Feature[] = [
  'http',
  'http2',
  'tcp',
  'grpc',
  'weights',
  'mirror',
  'retry',
  'regex',
  'sticky',
  'faults',
  'fallback',
  'balancing',
  'limits',
  'outliers',
  'dns',
  'regions',
  'zones',
  'sidecar',
  'egress',
  'access log',
  'tls',
  'metrics',
  'tracing',
  'filters',
]

/** The first data plane of the suite: the Envoy that people run. */
export const stockEnvoy: DataPlane = {
  name: 'a stock Envoy',
  features: new Set(features),
  async start({ node, xds, protocol, nameServer, threads = 1 }) {
    const printed = buildBootstrap({ ...node, server: xds, delta: protocol === 'delta' })
    const bootstrap = nameServer === undefined ? printed : { ...printed, ...resolverAt(nameServer) }
    // Cases read what it logs.
    const envoy = await startEnvoy({ bootstrap, threads, args: ['--file-flush-interval-msec', '50'] })
    await envoy.waitLive()
    return {
      port: (listener) => envoy.listenerPort(listener),
      async count(what) {
        const counters = await envoy.stats(patternOf(what))
        return [...counters.values()].reduce((sum, value) => sum + value, 0)
      },
      metrics: () => envoy.adminGet('/stats/prometheus'),
      knows: async (text) => (await envoy.adminGet('/config_dump?include_eds')).includes(text),
      versions: async () => versionsIn(await envoy.configDump()),
      close: () => envoy.close(),
    }
  },
}

/** A bootstrap's part that looks names up at a port of 127.0.0.1. */
export function resolverAt(port: number): object {
  const address = { socket_address: { address: '127.0.0.1', port_value: port } }
  return {
    typed_dns_resolver_config: {
      name: 'envoy.network.dns_resolver.cares',
      typed_config: {
        '@type': 'type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig',
        resolvers: [address],
        dns_resolver_options: { no_default_search_domain: true },
      },
    },
  }
}
