import { join } from 'node:path'
import { buildBootstrap } from '../../src/cli/bootstrap-config.ts'
import { nodes } from './admin-client.ts'
import { type Backend, startBackend } from './backend.ts'
import { createAuthority, writeAuthorities, writeCertificate } from './certificates.ts'
import { createEtcdStore, type DocumentStore } from './document-store.ts'
import {
  type Changes,
  cluster,
  endpoints,
  type Json,
  listener,
  rds,
  routeConfiguration,
  routesTo,
} from './documents.ts'
import { startEnvoy } from './envoy.ts'
import type { EnvoyProcess } from './envoy-process.ts'
import { startEtcd, type TestEtcd } from './etcd.ts'
import { eventually } from './poll.ts'
import { type ServerProcess, startServer } from './server-process.ts'
import { tempDir } from './temp.ts'

/** A server of everything that a metric tells of: documents in etcd, TLS, an Envoy that rejects one of them, and a TTL. */
export interface WatchedFleet {
  readonly etcd: TestEtcd
  readonly store: DocumentStore
  readonly server: ServerProcess
  readonly envoy: EnvoyProcess
  /** Where Prometheus finds them. */
  readonly targets: { readonly fairlead: string; readonly envoy: string }
  /** One more change of endpoints that Envoy takes, and one of a cluster that it rejects. */
  change(): Promise<void>
}

const ttlMs = 1_500

/** In the wrapper that gives it a TTL, so that the server sends heartbeats. */
function expiring(changes: Changes): Changes {
  const wrap = ([key, resource]: [string, Json | undefined]): [string, Json] => [
    key,
    {
      '@type': 'type.googleapis.com/envoy.service.discovery.v3.Resource',
      name: resource?.['name'],
      ttl: `${ttlMs / 1000}s`,
      resource,
    },
  ]
  return Object.fromEntries(Object.entries(changes).map(wrap))
}

/** Right by the rules of the API, and not to Envoy: the name of a host where an address has to be. */
function refused(turn: number): Changes {
  const endpoint = { address: { socket_address: { address: 'cart.example', port_value: 80 + turn } } }
  const load_assignment = { cluster_name: 'refused', endpoints: [{ lb_endpoints: [{ endpoint }] }] }
  return cluster('refused', { type: 'STATIC', eds_cluster_config: undefined, load_assignment })
}

/** Resolves when the Envoy is LIVE and has rejected what it must. Everything ends with the test. */
export async function startWatchedFleet(): Promise<WatchedFleet> {
  const etcd = await startEtcd()
  const store = createEtcdStore(etcd)
  const backends: readonly Backend[] = [await startBackend({ name: 'one' }), await startBackend({ name: 'two' })]
  await store.write({
    ...cluster('shop'),
    ...endpoints('shop', ...backends),
    ...routeConfiguration('routes', routesTo('shop')),
    ...listener('http', { routes: rds('routes') }),
    ...expiring(listener('brief', { routes: rds('routes') })),
    ...refused(0),
  })
  const dir = tempDir()
  const authority = await createAuthority()
  const { certificate: tlsCert, key: tlsKey } = writeCertificate(
    dir,
    'server',
    await authority.issue({ name: 'server' }),
  )
  const server = await startServer({ ...store.flags, tlsCert, tlsKey })
  const tlsCa = writeAuthorities(dir, 'ca', [authority])
  const bootstrap = buildBootstrap({ id: 'edge-1', cluster: 'edge', server: server.server, delta: true, tlsCa })
  const envoy = await startEnvoy({ bootstrap })
  await envoy.waitLive()
  await eventually(async () => ((await nodes(server.adminUrl))[0]?.rejected.length ?? 0) > 0, { timeoutMs: 20_000 })
  let turn = 0
  return {
    etcd,
    store,
    server,
    envoy,
    targets: { fairlead: new URL(server.adminUrl).host, envoy: new URL(envoy.admin).host },
    async change() {
      turn += 1
      await store.write({ ...endpoints('shop', backends[turn % 2] as Backend), ...refused(turn) })
    },
  }
}

/** Of the repository. */
export const examples: string = join(import.meta.dirname, '../../examples')
