import { once } from 'node:events'
import { connect } from 'node:tls'
import { expect } from 'vitest'
import { buildBootstrap } from '../../src/cli/bootstrap-config.ts'
import { type Backend, startBackend } from './backend.ts'
import { type CertificateAuthority, createAuthority } from './certificates.ts'
import { problemsOf, rejections, startControlPlane, type TestControlPlane } from './control-plane.ts'
import type { DocumentStore } from './document-store.ts'
import {
  cluster,
  endpoints,
  listener,
  rds,
  removed,
  routeConfiguration,
  routesTo,
  secret,
  tlsBySecret,
  tlsCertificate,
} from './documents.ts'
import type { EnvoyProcess } from './envoy.ts'
import { type Load, type LoadReport, startLoad } from './load.ts'
import { lowPort } from './low-port.ts'
import type { StartProxy } from './planes.ts'
import { eventually } from './poll.ts'
import type { Protocol } from './wire-client.ts'

export interface MainJobOptions {
  readonly protocol: Protocol
  readonly store: DocumentStore
  readonly start: StartProxy
  /** How often it makes every kind of change. */
  readonly rounds: number
}

export interface MainJobReport {
  /** 200 requests a second on kept-alive connections. */
  readonly http: LoadReport
  /** 50 a second, each on a TLS connection of its own. */
  readonly tls: LoadReport
  /** Every `….update_rejected` counter of Envoy's that is not 0. */
  readonly updateRejected: Readonly<Record<string, number>>
  /** How many responses Envoy rejected, as the control plane counts them. */
  readonly rejections: number
  /** Standing problems of the configuration. */
  readonly problems: readonly string[]
}

interface Mesh {
  readonly store: DocumentStore
  readonly controlPlane: TestControlPlane
  readonly envoy: EnvoyProcess
  readonly authority: CertificateAuthority
  readonly backends: readonly [Backend, Backend]
  readonly http: Load
  readonly tls: Load
  /** By the listener's name. */
  readonly ports: { readonly http: number; readonly https: number; readonly extra: number }
}

/**
 * The product's first promise, once: a stock Envoy with nothing but the printed bootstrap goes LIVE, routes, and takes
 * changes of endpoints, clusters, routes, listeners and certificates while it is under load. Each change is waited for at
 * Envoy, by what it serves or counts.
 */
export async function runMainJob({ protocol, store, start, rounds }: MainJobOptions): Promise<MainJobReport> {
  const authority = await createAuthority()
  const backends: [Backend, Backend] = [await startBackend({ name: 'one' }), await startBackend({ name: 'two' })]
  const certificate = await authority.issue({ name: 'first' })
  const ports = { http: await lowPort(), https: await lowPort(), extra: await lowPort() }
  await store.write({
    ...cluster('cart'),
    ...endpoints('cart', backends[0]),
    ...routeConfiguration('routes', routesTo('cart')),
    ...listener('http', { port: ports.http, routes: rds('routes') }),
    ...listener('https', { port: ports.https, routes: rds('routes'), tls: tlsBySecret('cert') }),
    ...secret('cert', { tls_certificate: tlsCertificate(certificate) }),
  })
  const controlPlane = await startControlPlane(store.flags)
  const bootstrap = buildBootstrap({
    id: 'edge-1',
    cluster: 'edge',
    server: controlPlane.server,
    delta: protocol === 'delta',
  })
  const envoy = await start({ bootstrap })
  await envoy.waitLive()
  const http = startLoad({ port: ports.http, rate: 200 })
  const tls = startLoad({ port: ports.https, rate: 50, connections: 0, tls: { ca: authority.certificate } })
  const mesh: Mesh = { store, controlPlane, envoy, authority, backends, http, tls, ports }
  await http.next(20, { from: 'one' })

  for (let round = 1; round <= rounds; round++) {
    await changeEndpoints(mesh)
    await changeCluster(mesh, round)
    await moveRoutes(mesh, round)
    await changeListeners(mesh, round)
    await changeCertificates(mesh)
  }

  const reports = { http: await http.stop(), tls: await tls.stop() }
  const counted = await envoy.stats(/update_rejected$/)
  // That Envoy has no such counter must not pass for none rejected.
  for (const name of ['cluster_manager.cds', 'listener_manager.lds', 'http.http.rds.routes', 'cluster.cart']) {
    expect([...counted.keys()]).toContain(`${name}.update_rejected`)
  }
  expect([...counted.keys()].filter((name) => name.startsWith('sds.'))).not.toEqual([])
  return {
    ...reports,
    updateRejected: Object.fromEntries([...counted].filter(([, value]) => value !== 0)),
    rejections: await rejections(controlPlane),
    problems: problemsOf(controlPlane),
  }
}

/** To the other backend, to both, and back to the first. */
async function changeEndpoints({ store, backends: [one, two], http }: Mesh): Promise<void> {
  await store.write(endpoints('cart', two))
  await http.next(20, { from: 'two' })
  await store.write(endpoints('cart', one, two))
  await http.next(10, { from: 'one' })
  await store.write(endpoints('cart', one))
  await http.next(20, { from: 'one' })
}

/** Changed in a field, a cluster warms again and needs its assignment again (rule 72). */
async function changeCluster({ store, envoy, http }: Mesh, round: number): Promise<void> {
  const before = (await envoy.stat('cluster_manager.cluster_modified')) ?? 0
  await store.write(cluster('cart', { connect_timeout: `${round + 5}s` }))
  await envoy.waitForStat('cluster_manager.cluster_modified', (count) => count > before)
  await envoy.waitForStat('cluster_manager.warming_clusters', (count) => count === 0, 5_000)
  await http.next(20, { from: 'one' })
}

/** To a cluster that is new in the same write, and back while it is removed in the same write. */
async function moveRoutes({ store, backends: [, two], envoy, http }: Mesh, round: number): Promise<void> {
  const name = `shop-${round}`
  await store.write({
    ...cluster(name),
    ...endpoints(name, two),
    ...routeConfiguration('routes', routesTo({ cluster: name, timeout: '5s' })),
  })
  await http.next(20, { from: 'two' })
  await store.write({
    ...routeConfiguration('routes', routesTo('cart')),
    ...removed(`cluster/${name}`, `endpoint/${name}`),
  })
  await envoy.waitForStat('cluster_manager.cluster_removed', (count) => count >= round)
  await http.next(20, { from: 'one' })
}

/** One is added, serves, is changed, and is removed; the one that has the load is changed under it. */
async function changeListeners({ store, envoy, http, ports }: Mesh, round: number): Promise<void> {
  await store.write(listener('extra', { port: ports.extra, routes: rds('routes') }))
  const extra = startLoad({ port: await envoy.listenerPort('extra'), rate: 50 })
  await extra.next(5, { from: 'one' })
  const before = (await envoy.stat('listener_manager.listener_modified')) ?? 0
  const fields = { per_connection_buffer_limit_bytes: 32_768 + round }
  await store.write({
    ...listener('extra', { port: ports.extra, routes: rds('routes'), fields }),
    ...listener('http', { port: ports.http, routes: rds('routes'), fields }),
  })
  await envoy.waitForStat('listener_manager.listener_modified', (count) => count >= before + 2)
  await http.next(20, { from: 'one' })
  await extra.next(5, { from: 'one' })
  expect(await extra.stop()).toMatchObject({ failed: 0, failures: [] })
  await store.write(removed('listener/extra'))
  await envoy.waitForStat('listener_manager.listener_removed', (count) => count >= round)
}

/** Rotated as a secret; then inline in the listener; then a secret again, which the listener must wait for. */
async function changeCertificates({ store, authority, tls, ports }: Mesh): Promise<void> {
  const issue = () => authority.issue({ name: 'next' })
  const [rotated, inline, again] = [await issue(), await issue(), await issue()]
  const servedBy = async (serialNumber: string): Promise<void> => {
    await eventually(async () => (await servedSerialNumber(ports.https)) === serialNumber)
    await tls.next(5, { from: 'one' })
  }
  await store.write(secret('cert', { tls_certificate: tlsCertificate(rotated) }))
  await servedBy(rotated.serialNumber)
  await store.write({
    ...listener('https', {
      port: ports.https,
      routes: rds('routes'),
      tls: { tls_certificates: [tlsCertificate(inline)] },
    }),
    ...removed('secret/cert'),
  })
  await servedBy(inline.serialNumber)
  await store.write({
    ...listener('https', { port: ports.https, routes: rds('routes'), tls: tlsBySecret('cert') }),
    ...secret('cert', { tls_certificate: tlsCertificate(again) }),
  })
  await servedBy(again.serialNumber)
}

/** Of the certificate that a new connection is shown. */
async function servedSerialNumber(port: number): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
  try {
    await once(socket, 'secureConnect')
    return socket.getPeerCertificate().serialNumber.toLowerCase()
  } finally {
    socket.destroy()
  }
}
