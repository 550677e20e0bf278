import { expect } from 'vitest'
import { buildBootstrap } from '../../src/cli/bootstrap-config.ts'
import { startBackend } from '../support/backend.ts'
import { createFileStore } from '../support/document-store.ts'
import {
  ads,
  type Changes,
  cluster,
  endpoints,
  type Json,
  listener,
  rds,
  routeConfiguration,
  routesTo,
} from '../support/documents.ts'
import { type EnvoyProcess, startEnvoy } from '../support/envoy.ts'
import { startLoad } from '../support/load.ts'
import { describeWithEnvoy } from '../support/needs.ts'
import { eventually } from '../support/poll.ts'
import { startServer } from '../support/server-process.ts'
import { testBothProtocols } from '../support/side-by-side.ts'
import type { Protocol } from '../support/wire-client.ts'

const ttlMs = 1_500

/** The documents, each in the wrapper that gives it a TTL. */
function expiring(changes: Changes): Changes {
  const wrapped = Object.entries(changes).map(([key, body]): [string, Json] => [
    key,
    {
      '@type': 'type.googleapis.com/envoy.service.discovery.v3.Resource',
      name: body?.['name'] ?? body?.['cluster_name'],
      ttl: `${ttlMs / 1000}s`,
      resource: body,
    },
  ])
  return Object.fromEntries(wrapped)
}

const runtime: Changes = {
  'runtime/brief': {
    '@type': 'type.googleapis.com/envoy.service.runtime.v3.Runtime',
    name: 'brief',
    layer: { shop: { isOpen: true } },
  },
}

/** With a runtime layer that the control plane gives. */
function bootstrapOf(server: string, protocol: Protocol): object {
  const bootstrap = buildBootstrap({ id: 'edge-1', cluster: 'edge', server, delta: protocol === 'delta' })
  const rtds_layer = { name: 'brief', rtds_config: ads }
  return { ...bootstrap, layered_runtime: { layers: [{ name: 'brief', rtds_layer }] } }
}

async function ttlsPass(count: number): Promise<void> {
  const end = performance.now() + count * ttlMs
  await eventually(() => performance.now() > end, { timeoutMs: count * ttlMs + 1_000 })
}

const has = async (envoy: EnvoyProcess) => ({
  keys: await envoy.stat('runtime.num_keys'),
  listeners: await envoy.stat('listener_manager.total_listeners_active'),
  clusters: await envoy.stat('cluster_manager.active_clusters'),
})

describeWithEnvoy('a stock Envoy with resources that have a TTL', () => {
  testBothProtocols(
    'over %s keeps them while the server lives, loses them alone when it is killed, and has them again with it',
    async (protocol) => {
      const backend = await startBackend({ name: 'shop' })
      const store = createFileStore()
      await store.write({
        ...cluster('shop'),
        ...endpoints('shop', backend),
        ...routeConfiguration('routes', routesTo('shop')),
        ...listener('http', { routes: rds('routes') }),
        ...expiring(listener('brief', { routes: rds('routes') })),
        ...expiring(runtime),
        ...expiring(cluster('brief', { type: 'STATIC', eds_cluster_config: undefined })),
      })
      const server = await startServer(store.flags)
      const envoy = await startEnvoy({ bootstrap: bootstrapOf(server.server, protocol) })
      await envoy.waitLive()
      // One of the clusters is the control plane's own.
      const all = { keys: 1, listeners: 2, clusters: 3 }
      await eventually(async () => (await has(envoy)).listeners === all.listeners)
      const load = startLoad({ port: await envoy.listenerPort('http') })
      const modified = await envoy.stat('listener_manager.listener_modified')

      await ttlsPass(1.5)
      expect(await has(envoy)).toEqual(all)
      // No heartbeat was an update: nothing was added, changed, drained or warmed.
      expect(await envoy.stat('listener_manager.listener_added')).toBe(2)
      expect(await envoy.stat('listener_manager.listener_modified')).toBe(modified)
      expect(await envoy.stat('cluster_manager.cluster_added')).toBe(all.clusters)
      expect(await envoy.stat('cluster_manager.cluster_modified')).toBe(0)
      const rejected = await envoy.stats(/update_rejected$/)
      expect([...rejected].filter(([, count]) => count !== 0)).toEqual([])

      await server.kill()
      await eventually(async () => (await has(envoy)).keys === 0, { timeoutMs: 3 * ttlMs })
      await eventually(async () => (await has(envoy)).listeners === 1, { timeoutMs: 3 * ttlMs })
      await eventually(async () => (await has(envoy)).clusters === 2, { timeoutMs: 3 * ttlMs })

      await server.startAgain()
      await eventually(async () => (await has(envoy)).listeners === all.listeners, { timeoutMs: 30_000 })
      await ttlsPass(1.5)
      expect(await has(envoy)).toEqual(all)

      // Rule 83: without the TTL nothing expires any more.
      const keeps = await envoy.stat('listener_manager.listener_added')
      await store.write(runtime)
      await ttlsPass(1.25)
      expect(await has(envoy)).toEqual(all)
      expect(await envoy.stat('listener_manager.listener_added')).toBe(keeps)
      expect(await load.stop()).toMatchObject({ failed: 0, failures: [] })
    },
  )
})
