import { expect, it } from 'vitest'
import { atTestEnd } from '../../../test/support/at-test-end.ts'
import { edsCluster } from '../../../test/support/cluster-json.ts'
import { createManualDiscovery } from '../../../test/support/manual-discovery.ts'
import { createTestContext } from '../../../test/support/proxy-context.ts'
import { createClusterManager } from './cluster-manager.ts'

it('endpoints that are in a file are asked for by its path', () => {
  const discovery = createManualDiscovery()
  const clusters = createClusterManager({ context: createTestContext(), discovery })
  atTestEnd(() => clusters.close())
  const source = { path_config_source: { path: '/etc/eds.json' } }
  clusters.applyStatic([edsCluster('cart', { eds_cluster_config: { eds_config: source } })])
  expect(discovery.optionsOf('endpoint', 'cart')).toMatchObject({
    path: '/etc/eds.json',
    initialFetchTimeoutMs: 15_000,
  })
})
