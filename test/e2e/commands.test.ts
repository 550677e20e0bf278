import { expect, test } from 'vitest'
import { runCommand } from '../support/command.ts'
import { startControlPlane } from '../support/control-plane.ts'
import { createFileStore } from '../support/document-store.ts'
import { cluster, endpoints, listener, rds, routeConfiguration, routesTo } from '../support/documents.ts'
import { startEnvoy } from '../support/envoy.ts'
import { describeWithEnvoy } from '../support/needs.ts'
import { eventually } from '../support/poll.ts'

const noHosts = { host: '127.0.0.1', port: 1 }

describeWithEnvoy('the commands, beside a running server and its Envoy,', () => {
  test('tell who is connected, what it rejected and why, and what changed', async () => {
    const store = createFileStore()
    await store.write({
      ...cluster('cart'),
      ...endpoints('cart', noHosts),
      ...routeConfiguration('routes', routesTo('cart')),
      ...listener('http', { routes: rds('routes') }),
    })
    const { server, adminUrl } = await startControlPlane(store.flags)
    const fairlead = async (...args: readonly string[]): Promise<string> => {
      const { code, out, err } = await runCommand([...args, '--server', adminUrl])
      expect([code, err]).toEqual([0, ''])
      return out
    }
    expect(await fairlead('nodes')).toContain('No node is connected')

    const { out: bootstrap } = await runCommand([
      'bootstrap',
      '--id',
      'edge-1',
      '--cluster',
      'edge',
      '--server',
      server,
    ])
    const envoy = await startEnvoy({ bootstrap })
    await envoy.waitLive()
    await eventually(async () => (await fairlead('nodes')).match(/in sync/g)?.length === 4)
    expect(await fairlead('nodes', 'edge-1')).toMatch(/\nenvoy \d+\.\d+\.\d+ from 127\.0\.0\.1:\d+, sotw, since /)

    // Only Envoy knows that this cannot be.
    const rings = { lb_policy: 'RING_HASH', ring_hash_lb_config: { minimum_ring_size: 9, maximum_ring_size: 4 } }
    await store.write(cluster('cart', rings))
    await eventually(async () => (await fairlead('nodes')).includes('REJECTED'))
    const rejected = await fairlead('nodes')
    expect(rejected).toMatch(
      /\n {2}edge-1 rejected cluster "cart" [0-9a-f]{8} at .*,\n {2}and keeps [0-9a-f]{8}:\n {4}.*minimum_ring_size/,
    )
    expect(rejected).toContain('fairlead validate PATH --envoy BINARY')

    expect(await fairlead('snapshots', 'list')).toMatch(/\n2 .*cluster ~1.*\n1 .*listener \+1/)
    const diff = await fairlead('snapshots', 'diff', '1')
    expect(diff).toContain('~ cluster cart ')
    expect(diff).toContain('    lb_policy: "RING_HASH" added\n')
    expect(await fairlead('snapshots', 'show')).toMatch(/\nlistener {2}http +[0-9a-f]{8} {2}every node /)

    await store.write(cluster('cart'))
    await eventually(async () => !(await fairlead('nodes')).includes('REJECTED'))
  })
})
