import { once } from 'node:events'
import { connect } from 'node:tls'
import { expect } from 'vitest'
import { buildBootstrap } from '../../src/cli/bootstrap-config.ts'
import { startBackend } from '../support/backend.ts'
import { createAuthority, writeAuthorities, writeCertificate } from '../support/certificates.ts'
import { metric, problemsOf, rejections, startControlPlane } from '../support/control-plane.ts'
import { createFileStore } from '../support/document-store.ts'
import {
  type Changes,
  cluster,
  endpoints,
  type Json,
  listener,
  removed,
  routeConfiguration,
  routesTo,
} from '../support/documents.ts'
import { startEnvoy } from '../support/envoy.ts'
import { startLoad } from '../support/load.ts'
import { describeWithEnvoy } from '../support/needs.ts'
import { eventually } from '../support/poll.ts'
import { testBeside, testBothProtocols } from '../support/side-by-side.ts'
import { tempDir } from '../support/temp.ts'

/** A cluster, its endpoints, a listener and its routes, each from that source of configuration. */
function shop(source: Json, port: { host: string; port: number }): Changes {
  return {
    ...cluster('shop', { eds_cluster_config: { eds_config: source } }),
    ...endpoints('shop', port),
    ...listener('http', { routes: { rds: { route_config_name: 'routes', config_source: source } } }),
    ...routeConfiguration('routes', routesTo('shop')),
  }
}

/** The static cluster of the printed bootstrap. */
const serverCluster = 'fairlead'

const bootstrapOf = (server: string, more: object = {}) =>
  buildBootstrap({ id: 'edge-1', cluster: 'edge', server, delta: false, ...more }) as Record<string, unknown>

/** Every type from a stream or poll of its own, not from ADS. */
const withoutAds = (source: Json): Json => ({ dynamic_resources: { cds_config: source, lds_config: source } })

describeWithEnvoy('a stock Envoy', () => {
  testBothProtocols('takes every type from its own gRPC service, over %s', async (protocol) => {
    const api_type = protocol === 'sotw' ? 'GRPC' : 'DELTA_GRPC'
    const [one, two] = [await startBackend({ name: 'one' }), await startBackend({ name: 'two' })]
    const grpc_services = [{ envoy_grpc: { cluster_name: serverCluster } }]
    const source = {
      api_config_source: { api_type, transport_api_version: 'V3', grpc_services },
      resource_api_version: 'V3',
    }
    const store = createFileStore()
    await store.write(shop(source, one))
    const controlPlane = await startControlPlane(store.flags)
    const envoy = await startEnvoy({ bootstrap: { ...bootstrapOf(controlPlane.server), ...withoutAds(source) } })
    await envoy.waitLive()
    const load = startLoad({ port: await envoy.listenerPort('http') })
    await load.next(20, { from: 'one' })
    await store.write({
      ...endpoints('shop', two),
      ...cluster('spare', { type: 'STATIC', eds_cluster_config: undefined }),
    })
    await load.next(20, { from: 'two' })
    await envoy.waitForStat('cluster_manager.active_clusters', (count) => count === 3)
    await store.write(removed('cluster/spare'))
    await envoy.waitForStat('cluster_manager.active_clusters', (count) => count === 2)
    expect(await load.stop()).toMatchObject({ failed: 0, failures: [] })
    // CDS, EDS, LDS, RDS.
    expect(await metric(controlPlane, 'fairlead_streams')).toBe(4)
    expect(await rejections(controlPlane)).toBe(0)
    expect(problemsOf(controlPlane)).toEqual([])
  })

  testBeside('polls every type by REST, and is told when nothing changed (rule 94)', async () => {
    const [one, two] = [await startBackend({ name: 'one' }), await startBackend({ name: 'two' })]
    const source = {
      api_config_source: {
        api_type: 'REST',
        transport_api_version: 'V3',
        cluster_names: [serverCluster],
        refresh_delay: '0.05s',
        request_timeout: '5s',
      },
      resource_api_version: 'V3',
    }
    const store = createFileStore()
    await store.write(shop(source, one))
    const controlPlane = await startControlPlane(store.flags)
    // Before, it answers 503, which Envoy counts as a failure.
    await controlPlane.pipeline.ready
    const printed = bootstrapOf(new URL(controlPlane.adminUrl).host)
    const { clusters } = printed['static_resources'] as { clusters: Json[] }
    const [server] = clusters
    const http1 = { ...server, typed_extension_protocol_options: undefined }
    const envoy = await startEnvoy({
      bootstrap: { ...printed, ...withoutAds(source), static_resources: { clusters: [http1] } },
    })
    await envoy.waitLive()
    const load = startLoad({ port: await envoy.listenerPort('http') })
    await load.next(20, { from: 'one' })
    await envoy.waitForStat(`cluster.${serverCluster}.upstream_rq_304`, (count) => count >= 10)
    const updates = await envoy.stat('cluster.shop.update_success')
    await store.write(endpoints('shop', two))
    await load.next(20, { from: 'two' })
    expect(await envoy.stat('cluster.shop.update_success')).toBe((updates ?? 0) + 1)
    expect(await load.stop()).toMatchObject({ failed: 0, failures: [] })
    const rejected = await envoy.stats(/update_(rejected|failure)$/)
    expect([...rejected].filter(([, count]) => count !== 0)).toEqual([])
    expect(problemsOf(controlPlane)).toEqual([])
  })

  testBeside(
    'keeps its stream while the certificates of a mutual TLS server are renewed, and the next uses the new ones',
    async () => {
      const [old, next] = [await createAuthority('old CA'), await createAuthority('next CA')]
      const dir = tempDir()
      const server = writeCertificate(dir, 'server', await old.issue({ name: 'server' }))
      const client = writeCertificate(dir, 'client', await old.issue({ name: 'client' }))
      const ca = writeAuthorities(dir, 'ca', [old])
      const [one, two] = [await startBackend({ name: 'one' }), await startBackend({ name: 'two' })]
      const ads = { ads: {}, resource_api_version: 'V3' }
      const store = createFileStore()
      await store.write(shop(ads, one))
      const controlPlane = await startControlPlane({
        ...store.flags,
        tlsCert: server.certificate,
        tlsKey: server.key,
        tlsClientCa: ca,
      })
      const first = await startEnvoy({
        bootstrap: bootstrapOf(controlPlane.server, { tlsCa: ca, tlsCert: client.certificate, tlsKey: client.key }),
      })
      await first.waitLive()
      const load = startLoad({ port: await first.listenerPort('http') })
      await load.next(20, { from: 'one' })

      const renewed = await next.issue({ name: 'server' })
      writeAuthorities(dir, 'ca', [next])
      writeCertificate(dir, 'server', renewed)
      const port = controlPlane.xdsPort
      await eventually(async () => (await serverSerialNumber(port)) === renewed.serialNumber, { timeoutMs: 10_000 })

      // The one that is connected has nothing to do with it.
      await store.write(endpoints('shop', two))
      await load.next(20, { from: 'two' })
      expect(await first.stat(`cluster.${serverCluster}.upstream_cx_total`)).toBe(1)
      expect(await load.stop()).toMatchObject({ failed: 0, failures: [] })

      // Another needs a certificate of the new authority.
      const nextCa = writeAuthorities(dir, 'next-ca', [next])
      const late = { id: 'edge-2', tlsCa: nextCa, tlsCert: client.certificate, tlsKey: client.key }
      const refused = await startEnvoy({ bootstrap: bootstrapOf(controlPlane.server, late) })
      await refused.waitForStat(`cluster.${serverCluster}.upstream_cx_connect_fail`, (count) => count > 0)
      await refused.close()
      const taken = writeCertificate(dir, 'late', await next.issue({ name: 'late' }))
      const second = await startEnvoy({
        bootstrap: bootstrapOf(controlPlane.server, { ...late, tlsCert: taken.certificate, tlsKey: taken.key }),
      })
      await second.waitLive()
      expect(await first.stat('control_plane.connected_state')).toBe(1)
    },
  )
})

/** Of the certificate that the server shows, with or without being let in. */
async function serverSerialNumber(port: number): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['h2'] })
  socket.on('error', () => {})
  try {
    await once(socket, 'secureConnect')
    return socket.getPeerCertificate().serialNumber.toLowerCase()
  } finally {
    socket.destroy()
  }
}
