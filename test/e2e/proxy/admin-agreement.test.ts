import { expect } from 'vitest'
import { createProxy } from '../../../src/proxy/create-proxy.ts'
import { atTestEnd } from '../../support/at-test-end.ts'
import { startBackend } from '../../support/backend.ts'
import { createAuthority, writeAuthorities, writeCertificate } from '../../support/certificates.ts'
import {
  type Changes,
  cluster,
  endpoints,
  type Json,
  listener,
  routesTo,
  tlsCertificate,
  tlsSocket,
} from '../../support/documents.ts'
import { startEnvoy } from '../../support/envoy.ts'
import { describeWithEnvoy } from '../../support/needs.ts'
import { testBeside } from '../../support/side-by-side.ts'
import { tempDir } from '../../support/temp.ts'

interface Admin {
  readonly get: (path: string) => Promise<string>
  readonly port: (listener: string) => Promise<number>
}

/** The resource of a document, as it stands in a bootstrap. */
function one(documents: Changes): Json {
  const { '@type': _, ...fields } = Object.values(documents)[0] as Json
  return fields
}

/** Not whole days: both count those that are left, a moment after each other. */
const validForMs = 36 * 3_600_000

/** A listener with TLS and one without, a cluster with TLS and one without; keys by files, inline and by name. */
async function startBoth(): Promise<readonly [envoy: Admin, reference: Admin]> {
  const authority = await createAuthority()
  const directory = tempDir()
  const names = ['shop.example', '127.0.0.1', 'spiffe://mesh/shop']
  const files = writeCertificate(directory, 'own', await authority.issue({ name: 'own', sans: names, validForMs }))
  const ca = writeAuthorities(directory, 'ca', [authority])
  const byFile = { certificate_chain: { filename: files.certificate }, private_key: { filename: files.key } }
  const inline = tlsCertificate(await authority.issue({ name: 'inline', validForMs }))
  const upstream = tlsSocket('Upstream', {
    common_tls_context: { tls_certificates: [byFile], validation_context: { trusted_ca: { filename: ca } } },
  })
  const backend = await startBackend({ name: 'shop' })
  const staticCluster = (name: string, more: Json = {}): Json => ({
    ...one(cluster(name, { type: 'STATIC', eds_cluster_config: undefined })),
    load_assignment: one(endpoints(name, backend)),
    ...more,
  })
  const routes = { route_config: { name: 'r', ...routesTo('plain') } }
  const bootstrap = {
    node: { id: 'edge-1', cluster: 'edge' },
    admin: { address: { socket_address: { address: '127.0.0.1', port_value: 0 } } },
    static_resources: {
      clusters: [staticCluster('plain'), staticCluster('secure', { transport_socket: upstream })],
      listeners: [
        one(listener('http', { routes })),
        one(listener('https', { routes, tls: { tls_certificate_sds_secret_configs: [{ name: 'inline' }] } })),
      ],
      secrets: [{ name: 'inline', tls_certificate: inline }],
    },
  }
  const envoy = await startEnvoy({ bootstrap })
  await envoy.waitLive()
  const proxy = await createProxy({ bootstrap })
  atTestEnd(() => proxy.close())
  await proxy.live
  return [
    { get: (path) => envoy.adminGet(path), port: (name) => envoy.listenerPort(name) },
    {
      get: async (path) => (await fetch(`http://127.0.0.1:${proxy.adminPort}${path}`)).text(),
      port: (name) => Promise.resolve(proxy.listenerPort(name) as number),
    },
  ]
}

/** Stats that no Envoy has by that name, at least not then. */
const ownNames = [
  // Envoy has them below `http1.` and `http2.`, of all connections together.
  'http_dropped_headers_with_underscores',
  'http_requests_rejected_with_underscores_in_headers',
]

describeWithEnvoy('what a stock Envoy and the reference proxy tell of themselves', () => {
  testBeside('agrees', async () => {
    const [envoy, reference] = await startBoth()
    for (const admin of [envoy, reference]) {
      for (let count = 0; count < 3; count++) {
        await (await fetch(`http://127.0.0.1:${await admin.port('http')}/`)).text()
      }
    }

    expect(await reference.get('/ready')).toBe(await envoy.get('/ready'))

    const certificates = async ({ get }: Admin): Promise<readonly string[]> =>
      (JSON.parse(await get('/certs')) as { readonly certificates: readonly object[] }).certificates
        .map((entry) => JSON.stringify(entry))
        .toSorted()
    expect(await certificates(reference)).toEqual(await certificates(envoy))

    const withoutPorts = async ({ get }: Admin, path: string): Promise<readonly string[]> =>
      (await get(path))
        .replaceAll(/127\.0\.0\.1:\d+/g, 'ADDRESS')
        .split('\n')
        .toSorted()
    expect(await withoutPorts(reference, '/listeners')).toEqual(await withoutPorts(envoy, '/listeners'))
    // Requests that wait for a connection are counted for each cluster only.
    const known = (await withoutPorts(envoy, '/clusters')).filter((line) => !line.includes('::rq_pending_active::'))
    expect(await withoutPorts(reference, '/clusters')).toEqual(known)

    const dump = await reference.get('/config_dump')
    expect(dump).toContain('BEGIN CERTIFICATE')
    expect(dump).not.toContain('PRIVATE')

    const families = async ({ get }: Admin): Promise<ReadonlySet<string>> =>
      new Set(
        (await get('/stats/prometheus'))
          .split('\n')
          .map((line) => line.replace(/ [-+.\dNaInf]+$/, '').replaceAll(/127\.0\.0\.1_\d+/g, 'ADDRESS')),
      )
    const atEnvoy = await families(envoy)
    const isOwn = (line: string): boolean =>
      !atEnvoy.has(line) && !ownNames.some((name) => line.includes(`envoy_${name}`))
    expect([...(await families(reference))].filter(isOwn)).toEqual([])
  })
})
