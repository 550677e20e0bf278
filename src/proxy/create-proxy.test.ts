import { describe, expect, it } from 'vitest'
import { atTestEnd } from '../../test/support/at-test-end.ts'
import { startBackend } from '../../test/support/backend.ts'
import { createAuthority, writeAuthorities, writeCertificate } from '../../test/support/certificates.ts'
import { rejections, startControlPlane, type TestControlPlane } from '../../test/support/control-plane.ts'
import { createFileStore, type DocumentStore } from '../../test/support/document-store.ts'
import { cluster, endpoints, listener, rds, routeConfiguration, routesTo } from '../../test/support/documents.ts'
import { eventually } from '../../test/support/poll.ts'
import { tempDir } from '../../test/support/temp.ts'
import type { Protocol } from '../../test/support/wire-client.ts'
import { buildBootstrap } from '../cli/bootstrap-config.ts'
import { createProxy, type Proxy, type ProxyOptions } from './create-proxy.ts'

const protocols: readonly Protocol[] = ['sotw', 'delta']

async function start(options: ProxyOptions): Promise<Proxy> {
  const proxy = await createProxy(options)
  atTestEnd(() => proxy.close())
  return proxy
}

const bootstrapOf = (server: string, protocol: Protocol) =>
  buildBootstrap({ id: 'edge-1', cluster: 'edge', server, delta: protocol === 'delta', adminPort: 0 })

interface Shop {
  readonly store: DocumentStore
  readonly controlPlane: TestControlPlane
}

async function startShop(): Promise<Shop> {
  const backend = await startBackend({ name: 'shop' })
  const store = createFileStore()
  await store.write({
    ...cluster('shop'),
    ...endpoints('shop', backend),
    ...routeConfiguration('routes', routesTo('shop')),
    ...listener('http', { routes: rds('routes') }),
  })
  return { store, controlPlane: await startControlPlane(store.flags) }
}

const textOf = async (url: string): Promise<string> => (await fetch(url)).text()

describe.each(protocols)('a reference proxy over %s', (protocol) => {
  it('is live at once, and carries a request', async () => {
    const { controlPlane } = await startShop()
    await (await start({ bootstrap: bootstrapOf(controlPlane.server, protocol) })).live
    const began = performance.now()
    const proxy = await start({ bootstrap: bootstrapOf(controlPlane.server, protocol) })
    await proxy.live
    const tookMs = performance.now() - began
    expect(proxy.isLive).toBe(true)
    const response = await fetch(`http://127.0.0.1:${proxy.listenerPort('http')}/`)
    expect(response.status).toBe(200)
    expect(await rejections(controlPlane)).toBe(0)
    // 50 ms are meant; a busy machine has its pauses.
    expect(tookMs).toBeLessThan(1000)
  })

  it('serves on while the control plane is gone', async () => {
    const { controlPlane } = await startShop()
    const proxy = await start({ bootstrap: bootstrapOf(controlPlane.server, protocol) })
    await proxy.live
    await controlPlane.close()
    await eventually(() => proxy.stats.gauges.get('control_plane.connected_state')?.value === 0)
    const response = await fetch(`http://127.0.0.1:${proxy.listenerPort('http')}/`)
    expect(response.status).toBe(200)
  })

  it('takes no control plane that shows the certificate of another', async () => {
    const authority = await createAuthority()
    const directory = tempDir()
    const server = writeCertificate(directory, 'server', await authority.issue({ name: 'x', sans: ['other.example'] }))
    const store = createFileStore()
    await store.write({ ...cluster('shop'), ...endpoints('shop') })
    const controlPlane = await startControlPlane({
      ...store.flags,
      tlsCert: server.certificate,
      tlsKey: server.key,
    })
    const tlsCa = writeAuthorities(directory, 'ca', [authority])
    const asked = { id: 'edge-1', cluster: 'edge', server: controlPlane.server, delta: protocol === 'delta', tlsCa }
    const proxy = await start({ bootstrap: buildBootstrap({ ...asked, adminPort: 0 }) })
    await eventually(() => (proxy.stats.counters.get('cluster_manager.cds.update_failure')?.value ?? 0) > 1)
    expect(proxy.isLive).toBe(false)
  })

  it('tells of itself as Envoy does', async () => {
    const { controlPlane } = await startShop()
    const proxy = await start({ bootstrap: bootstrapOf(controlPlane.server, protocol) })
    const admin = `http://127.0.0.1:${proxy.adminPort}`
    expect((await fetch(`${admin}/ready`)).status).toBe(503)
    await proxy.live
    expect(await textOf(`${admin}/ready`)).toBe('LIVE\n')
    expect(await textOf(`${admin}/stats?filter=^cluster_manager.cds.update_(success|rejected)$`)).toBe(
      'cluster_manager.cds.update_rejected: 0\ncluster_manager.cds.update_success: 1\n',
    )
    expect(await textOf(`${admin}/stats/prometheus`)).toContain('envoy_server_live{} 1\n')
    expect(await textOf(`${admin}/clusters`)).toContain('shop::added_via_api::true\n')
    expect(await textOf(`${admin}/clusters`)).toMatch(/^shop::127\.0\.0\.1:\d+::health_flags::healthy$/m)
    expect(await textOf(`${admin}/listeners`)).toBe(`http::127.0.0.1:${proxy.listenerPort('http')}\n`)
    const dump = JSON.parse(await textOf(`${admin}/config_dump?include_eds`)) as object
    expect(dump).toMatchObject({
      configs: [
        { bootstrap: { node: { id: 'edge-1' } } },
        { dynamic_active_clusters: [{ cluster: { name: 'shop' } }] },
        {},
        { dynamic_listeners: [{ name: 'http', active_state: { listener: { name: 'http' } } }] },
        { dynamic_route_configs: [{ route_config: { name: 'routes' } }] },
        {},
        { dynamic_endpoint_configs: [{ endpoint_config: { cluster_name: 'shop' } }] },
      ],
    })
    expect(JSON.parse(await textOf(`${admin}/server_info`))).toMatchObject({ state: 'LIVE', node: { id: 'edge-1' } })
    expect((await fetch(`${admin}/nope`)).status).toBe(404)
  })
})
