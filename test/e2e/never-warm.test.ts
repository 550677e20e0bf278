import { expect, test } from 'vitest'
import { startBackend } from '../support/backend.ts'
import { createAuthority } from '../support/certificates.ts'
import { problemsOf, rejections } from '../support/control-plane.ts'
import {
  ads,
  cluster,
  endpoints,
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
import { get, startEdge } from '../support/edge.ts'
import { startLoad } from '../support/load.ts'
import { lowPort } from '../support/low-port.ts'
import { describeWithEnvoy } from '../support/needs.ts'
import { eventually } from '../support/poll.ts'

/** Far below the 15 s after which Envoy goes on by itself, and the 10 s after which the server does. */
const soonMs = 2_000

/** A secret that nobody has, on a stream of its own, and Envoy is told to wait for it without end. */
const nobodysSecret: Json = {
  name: 'nobodys',
  sds_config: {
    resource_api_version: 'V3',
    initial_fetch_timeout: '0s',
    api_config_source: {
      api_type: 'GRPC',
      transport_api_version: 'V3',
      grpc_services: [{ envoy_grpc: { cluster_name: 'fairlead' } }],
    },
  },
}

describeWithEnvoy('a stock Envoy with a cluster and a listener that wait without end for a secret', () => {
  test.each(['sotw', 'delta'] as const)('takes every change that needs neither, at once, over %s', async (protocol) => {
    const authority = await createAuthority()
    const [first, second] = [await authority.issue({ name: 'first' }), await authority.issue({ name: 'second' })]
    const [one, two] = [await startBackend({ name: 'one' }), await startBackend({ name: 'two' })]
    const sealed = await startBackend({ name: 'sealed', tls: first })
    const ports = {
      http: await lowPort(),
      https: await lowPort(),
      stuck: await lowPort(),
      extra: await lowPort(),
      more: await lowPort(),
    }
    const { envoy, store, controlPlane } = await startEdge({
      protocol,
      documents: {
        ...cluster('shop'),
        ...cluster('unused'),
        ...endpoints('shop', one),
        ...endpoints('unused', one),
        ...routeConfiguration('routes', routesTo('shop')),
        ...listener('http', { port: ports.http, routes: rds('routes') }),
        ...listener('https', { port: ports.https, routes: rds('routes'), tls: tlsBySecret('cert') }),
        ...secret('cert', { tls_certificate: tlsCertificate(first) }),
      },
    })
    const load = startLoad({ port: ports.http })
    const tls = startLoad({ port: ports.https, rate: 20, connections: 0, tls: { ca: authority.certificate } })
    await store.write({
      ...cluster('stuck', {
        transport_socket: tlsSocket('Upstream', {
          common_tls_context: { validation_context_sds_secret_config: nobodysSecret },
        }),
      }),
      ...endpoints('stuck', one),
      ...listener('stuck', {
        port: ports.stuck,
        routes: rds('routes'),
        tls: { tls_certificate_sds_secret_configs: [nobodysSecret] },
      }),
    })
    await envoy.waitForStat('cluster_manager.warming_clusters', (count) => count === 1)
    await envoy.waitForStat('listener_manager.total_listeners_warming', (count) => count === 1)

    const soon = async (what: string, done: () => Promise<unknown>): Promise<void> => {
      await done().catch((error: unknown) => {
        throw new Error(`${what}: ${String(error)}`, { cause: error })
      })
    }
    const stat = (name: string, predicate: (value: number) => boolean) => envoy.waitForStat(name, predicate, soonMs)
    await soon('endpoints', async () => {
      await store.write(endpoints('shop', two))
      await load.next(10, { from: 'two', timeoutMs: soonMs })
    })
    await soon('a changed cluster', async () => {
      await store.write(cluster('shop', { connect_timeout: '7s' }))
      await stat('cluster_manager.cluster_modified', (count) => count === 1)
      await stat('cluster_manager.warming_clusters', (count) => count === 1)
    })
    await soon('routes', async () => {
      const response_headers_to_add = [{ header: { key: 'x-edition', value: '2' } }]
      await store.write(routeConfiguration('routes', { ...routesTo('shop'), response_headers_to_add }))
      await eventually(async () => (await get(ports.http)).headers['x-edition'] === '2', { timeoutMs: soonMs })
    })
    await soon('a rotated certificate', async () => {
      await store.write(secret('cert', { tls_certificate: tlsCertificate(second) }))
      await stat(
        'listener.127.0.0.1_' + ports.https + '.server_ssl_socket_factory.ssl_context_update_by_sds',
        (count) => count >= 2,
      )
    })
    await soon('a new listener', async () => {
      await store.write(listener('extra', { port: ports.extra, routes: rds('routes') }))
      await eventually(async () => (await get(ports.extra)).status === 200, { timeoutMs: soonMs })
    })
    await soon('a new cluster with its routes', async () => {
      await store.write({
        ...cluster('fresh'),
        ...endpoints('fresh', one),
        ...routeConfiguration('routes', routesTo('fresh')),
      })
      await load.next(10, { from: 'one', timeoutMs: soonMs })
    })
    await soon('a new cluster with a new secret', async () => {
      const validation_context_sds_secret_config = { name: 'ca', sds_config: ads }
      await store.write({
        ...cluster('sealed', {
          transport_socket: tlsSocket('Upstream', {
            sni: 'localhost',
            common_tls_context: { validation_context_sds_secret_config },
          }),
        }),
        ...endpoints('sealed', sealed),
        ...secret('ca', { validation_context: { trusted_ca: { inline_string: authority.certificate } } }),
        ...routeConfiguration('routes', routesTo('sealed')),
      })
      await load.next(10, { from: 'sealed', timeoutMs: soonMs })
    })
    await soon('removals', async () => {
      await store.write(removed('listener/extra', 'cluster/unused', 'endpoint/unused'))
      await stat('listener_manager.listener_removed', (count) => count === 1)
      await stat('cluster_manager.cluster_removed', (count) => count >= 1)
    })
    // Nor does Envoy say that it refuses one, and a route to that would fail its requests.
    await store.write({
      ...cluster('refused', {
        lb_policy: 'RING_HASH',
        ring_hash_lb_config: { minimum_ring_size: 2, maximum_ring_size: 1 },
      }),
      ...endpoints('refused', two),
      ...routeConfiguration('routes', routesTo('refused')),
    })
    await stat('cluster_manager.cds.update_rejected', (count) => count === 1)
    await store.write(listener('more', { port: ports.more, routes: rds('routes') }))
    await eventually(async () => (await get(ports.more)).status === 200, { timeoutMs: soonMs })
    await load.next(10, { from: 'sealed', timeoutMs: soonMs })

    expect(await envoy.stat('cluster_manager.warming_clusters')).toBe(1)
    expect(await envoy.stat('listener_manager.total_listeners_warming')).toBe(1)
    expect(await load.stop()).toMatchObject({ failed: 0, failures: [] })
    expect(await tls.stop()).toMatchObject({ failed: 0, failures: [] })
    expect(await rejections(controlPlane)).toBe(0)
    expect(problemsOf(controlPlane)).toEqual([])
  })
})
