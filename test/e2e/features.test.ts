import { expect } from 'vitest'
import { startBackend } from '../support/backend.ts'
import { createAuthority } from '../support/certificates.ts'
import { problemsOf, rejections } from '../support/control-plane.ts'
import {
  ads,
  type Changes,
  cluster,
  document,
  endpoints,
  httpFilter,
  type Json,
  listener,
  rds,
  removed,
  routeConfiguration,
  routesTo,
  secret,
  tlsBySecret,
  tlsCertificate,
  tlsSocket,
} from '../support/documents.ts'
import { backendOf, get, startEdge } from '../support/edge.ts'
import { startLoad } from '../support/load.ts'
import { describeWithEnvoy } from '../support/needs.ts'
import { eventually } from '../support/poll.ts'
import { testBeside, testBothProtocols } from '../support/side-by-side.ts'

/** Far below the 15 s after which Envoy gives up waiting, and enough for a busy machine. */
const soonMs = 3_000

/** A cluster of that name with one backend of that name. */
async function service(name: string): Promise<Changes> {
  return { ...cluster(name), ...endpoints(name, await startBackend({ name })) }
}

function scope(name: string, routes: string): Changes {
  return document('scope', 'config.route.v3.ScopedRouteConfiguration', name, {
    route_configuration_name: routes,
    key: { fragments: [{ string_key: name }] },
  })
}

function virtualHost(host: string, clusterName: string): Changes {
  return document('host', 'config.route.v3.VirtualHost', `routes/${host}`, {
    domains: [host],
    routes: [{ match: { prefix: '/' }, route: { cluster: clusterName } }],
  })
}

/** Each request upstream makes a handshake of its own. */
const oneRequestPerConnection: Json = {
  typed_extension_protocol_options: {
    'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
      '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
      common_http_protocol_options: { max_requests_per_connection: 1 },
      explicit_http_config: { http_protocol_options: {} },
    },
  },
}

/** A filter that answers with `status` to whom has the header `x-fault`. */
function fault(status: number): Changes {
  return document('extension', 'config.core.v3.TypedExtensionConfig', 'fault', {
    typed_config: httpFilter('fault.v3.HTTPFault', {
      abort: { http_status: status, percentage: { numerator: 100 } },
      headers: [{ name: 'x-fault', present_match: true }],
    }),
  })
}

function rollout(percent: number): Changes {
  return document('runtime', 'service.runtime.v3.Runtime', 'rollout', { layer: { 'rollout.two': percent } })
}

describeWithEnvoy('through a stock Envoy, written as raw resources,', () => {
  testBothProtocols('over %s weights split the requests', async (protocol) => {
    const weights = [
      { name: 'one', weight: 80 },
      { name: 'two', weight: 20 },
    ]
    const { envoy } = await startEdge({
      protocol,
      documents: {
        ...(await service('one')),
        ...(await service('two')),
        ...listener('http', { routes: rds('routes') }),
        ...routeConfiguration('routes', routesTo({ weighted_clusters: { clusters: weights } })),
      },
    })
    const load = startLoad({ port: await envoy.listenerPort('http'), rate: 500 })
    await load.next(500)
    const { failed, ok, byBackend } = await load.stop()
    expect(failed).toBe(0)
    // Five standard deviations of such a draw.
    expect(Math.abs((byBackend['two'] ?? 0) / ok - 0.2)).toBeLessThan(0.09)
  })

  testBothProtocols('over %s mutual TLS on both sides takes certificates and authorities by SDS', async (protocol) => {
    const [inside, outside, stranger] = [await createAuthority(), await createAuthority(), await createAuthority()]
    const [upstream, proxy] = [await inside.issue({ name: 'shop' }), await inside.issue({ name: 'proxy' })]
    const [server, client] = [await outside.issue({ name: 'edge' }), await outside.issue({ name: 'client' })]
    const backend = await startBackend({ name: 'shop', tls: { ...upstream, clientCa: inside.certificate } })
    const authority = (pem: string): Json => ({ validation_context: { trusted_ca: { inline_string: pem } } })
    const validatedBy = (name: string): Json => ({
      validation_context_sds_secret_config: { name, sds_config: ads },
    })
    const transport_socket = tlsSocket('Upstream', {
      sni: 'localhost',
      common_tls_context: { ...tlsBySecret('proxy'), ...validatedBy('inside') },
    })
    const { envoy, store, controlPlane } = await startEdge({
      protocol,
      documents: {
        ...cluster('shop', { transport_socket, ...oneRequestPerConnection }),
        ...endpoints('shop', backend),
        ...routeConfiguration('routes', routesTo('shop')),
        ...listener('https', { routes: rds('routes'), tls: { ...tlsBySecret('edge'), ...validatedBy('outside') } }),
        ...secret('proxy', { tls_certificate: tlsCertificate(proxy) }),
        ...secret('edge', { tls_certificate: tlsCertificate(server) }),
        ...secret('inside', authority(inside.certificate)),
        ...secret('outside', authority(outside.certificate)),
      },
    })
    const tls = { ca: outside.certificate, certificate: client.certificate, key: client.key }
    const load = startLoad({ port: await envoy.listenerPort('https'), rate: 20, connections: 0, tls })
    await load.next(20, { from: 'shop' })
    expect(load.report()).toMatchObject({ failed: 0, failures: [] })

    // Nobody that Envoy trusts vouches for the backend any more: so it was asked for.
    await store.write(secret('inside', authority(stranger.certificate)))
    await envoy.waitForStat('cluster.shop.ssl.fail_verify_error', (count) => count > 0)
    await load.stop()
    expect(await rejections(controlPlane)).toBe(0)
    expect(problemsOf(controlPlane)).toEqual([])
  })

  testBothProtocols('over %s a scope chooses the routes, and may take over those of another', async (protocol) => {
    const element = { key: 'id', separator: ':' }
    const fragments = [{ header_value_extractor: { name: 'x-tenant', element_separator: ';', element } }]
    const scoped_routes = {
      name: 'tenants',
      scope_key_builder: { fragments },
      rds_config_source: ads,
      scoped_rds: { scoped_rds_config_source: ads },
    }
    const { envoy, store, controlPlane } = await startEdge({
      protocol,
      documents: {
        ...(await service('one')),
        ...(await service('two')),
        ...listener('http', { routes: { scoped_routes } }),
        ...routeConfiguration('of-one', routesTo('one')),
        ...routeConfiguration('of-two', routesTo('two')),
        ...scope('a', 'of-one'),
        ...scope('b', 'of-two'),
      },
    })
    const port = await envoy.listenerPort('http')
    const tenant = (id: string) => ({ headers: { 'x-tenant': `id:${id}` } })
    await eventually(async () => (await backendOf(port, tenant('a'))) === 'one')
    await eventually(async () => (await backendOf(port, tenant('b'))) === 'two')
    expect((await get(port, tenant('c'))).status).toBe(404)

    await store.write({ ...scope('a', 'of-two'), ...removed('scope/b', 'route/of-one') })
    await eventually(async () => (await backendOf(port, tenant('a'))) === 'two', { timeoutMs: soonMs })
    await eventually(async () => (await get(port, tenant('b'))).status === 404, { timeoutMs: soonMs })
    expect(await rejections(controlPlane)).toBe(0)
  })

  testBothProtocols(
    'over %s a filter by ECDS and a runtime layer by RTDS change without a touch of the listener',
    async (protocol) => {
      const discovered = {
        name: 'fault',
        config_discovery: {
          config_source: ads,
          type_urls: ['type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault'],
        },
      }
      const runtime_fraction = { default_value: { numerator: 0 }, runtime_key: 'rollout.two' }
      const routes = [
        { match: { prefix: '/', runtime_fraction }, route: { cluster: 'two' } },
        { match: { prefix: '/' }, route: { cluster: 'one' } },
      ]
      const { envoy, store, controlPlane } = await startEdge({
        protocol,
        documents: {
          ...(await service('one')),
          ...(await service('two')),
          ...listener('http', { routes: rds('routes'), filters: [discovered] }),
          ...routeConfiguration('routes', { virtual_hosts: [{ name: 'all', domains: ['*'], routes }] }),
          ...fault(400),
          ...rollout(0),
        },
        bootstrap: {
          layered_runtime: {
            layers: [
              { name: 'rollout', rtds_layer: { name: 'rollout', rtds_config: ads } },
              { name: 'admin', admin_layer: {} },
            ],
          },
        },
      })
      const port = await envoy.listenerPort('http')
      const load = startLoad({ port })
      await load.next(20, { from: 'one' })
      const updates = await envoy.stat('listener_manager.lds.update_success')

      await store.write(rollout(100))
      await load.next(20, { from: 'two' })
      for (const status of [418, 429]) {
        await store.write(fault(status))
        await eventually(async () => (await get(port, { headers: { 'x-fault': '1' } })).status === status)
      }
      await load.next(20, { from: 'two' })

      expect(await load.stop()).toMatchObject({ failed: 0, failures: [] })
      expect(await envoy.stat('http.http.downstream_cx_drain_close')).toBe(0)
      expect(await envoy.stat('listener_manager.lds.update_success')).toBe(updates)
      expect(await envoy.stat('listener_manager.listener_modified')).toBe(0)
      expect(await rejections(controlPlane)).toBe(0)
    },
  )

  testBeside(
    'virtual hosts come on demand by VHDS over delta, and an unknown host is told so at once (rule 50)',
    async () => {
      const on_demand = { name: 'envoy.filters.http.on_demand', typed_config: httpFilter('on_demand.v3.OnDemand') }
      const { envoy, store, controlPlane } = await startEdge({
        documents: {
          ...(await service('one')),
          ...(await service('two')),
          ...listener('http', { routes: rds('routes'), filters: [on_demand] }),
          ...routeConfiguration('routes', { vhds: { config_source: ads } }),
          ...virtualHost('known.example', 'one'),
        },
        liveMs: soonMs,
      })
      const port = await envoy.listenerPort('http', soonMs)
      expect(await backendOf(port, { host: 'known.example', timeoutMs: soonMs })).toBe('one')
      expect((await get(port, { host: 'unknown.example', timeoutMs: soonMs })).status).toBe(404)

      await store.write(virtualHost('unknown.example', 'two'))
      await eventually(async () => (await backendOf(port, { host: 'unknown.example' })) === 'two', {
        timeoutMs: soonMs,
      })
      await store.write(removed('host/routes/known.example'))
      await eventually(async () => (await get(port, { host: 'known.example' })).status === 404, { timeoutMs: soonMs })
      expect(await rejections(controlPlane)).toBe(0)
      expect(problemsOf(controlPlane)).toEqual([])
    },
  )
})
