import { buildBootstrap } from '../../../src/cli/bootstrap-config.ts'
import { startEnvoy } from '../../support/envoy.ts'
import type { DataPlane, ProxyCount } from './suite.ts'

/** The first data plane of the suite: the Envoy that people run. */
export const stockEnvoy: DataPlane = {
  name: 'a stock Envoy',
  features: new Set(['http', 'weights', 'mirror', 'retry', 'regex', 'sticky']),
  async start({ node, xds, protocol }) {
    const bootstrap = buildBootstrap({ ...node, server: xds, delta: protocol === 'delta' })
    const withMetadata =
      node.metadata === undefined
        ? bootstrap
        : { ...bootstrap, node: { ...(bootstrap as { readonly node?: object }).node, metadata: node.metadata } }
    const envoy = await startEnvoy({ bootstrap: withMetadata })
    await envoy.waitLive()
    return {
      port: (listener) => envoy.listenerPort(listener),
      async count(what) {
        const counters = await envoy.stats(patternOf(what))
        return [...counters.values()].reduce((sum, value) => sum + value, 0)
      },
      close: () => envoy.close(),
    }
  },
}

function patternOf(what: ProxyCount): RegExp {
  if (what === 'rejections') return /\.update_rejected$/
  if (what === 'clusters changed') return /^cluster_manager\.cluster_modified$/
  if (what === 'listeners changed') return /^listener_manager\.listener_(modified|removed|in_place_updated)$/
  const [name, counter] =
    'requestsTo' in what ? [what.requestsTo, 'upstream_rq_total'] : [what.retriesTo, 'upstream_rq_retry']
  return new RegExp(`^cluster\\.${name.replaceAll(/[^\w]/g, '\\$&')}\\.${counter}$`)
}
