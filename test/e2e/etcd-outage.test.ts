import type { Etcd3 } from 'etcd3'
import { expect } from 'vitest'
import { readiness, settledNode, waitForProblems } from '../support/admin-client.ts'
import { startBackend } from '../support/backend.ts'
import { createAuthority } from '../support/certificates.ts'
import { startControlPlane } from '../support/control-plane.ts'
import { createEtcdStore } from '../support/document-store.ts'
import { cluster, endpoints, removed } from '../support/documents.ts'
import { startEtcd } from '../support/etcd.ts'
import { describeWithEnvoy, describeWithEtcd } from '../support/needs.ts'
import { modificationsOf, shop, shopTypes, startLoadedEnvoy } from '../support/shop.ts'
import { testBothProtocols } from '../support/side-by-side.ts'
import { startTcpProxy } from '../support/tcp-proxy.ts'
import type { Protocol } from '../support/wire-client.ts'

/** An Envoy under load whose control plane reaches etcd over a wire that can be cut. */
async function startAll(protocol: Protocol) {
  const etcd = await startEtcd()
  const wire = await startTcpProxy(etcd.port)
  const store = createEtcdStore(etcd)
  const [one, two] = [await startBackend({ name: 'one' }), await startBackend({ name: 'two' })]
  const authority = await createAuthority()
  const documents = shop(one, await authority.issue({ name: 'shop' }))
  await store.write({ ...documents, ...cluster('leaving'), ...endpoints('leaving', one) })
  const controlPlane = await startControlPlane({ ...store.flags, etcd: wire.endpoint })
  const loaded = await startLoadedEnvoy(controlPlane.server, protocol, authority)
  await settledNode(controlPlane.adminUrl, shopTypes)
  return {
    ...loaded,
    etcd,
    wire,
    store,
    documents,
    one,
    two,
    controlPlane,
    before: await modificationsOf(loaded.envoy),
  }
}

describeWithEnvoy('an Envoy under load', () => {
  describeWithEtcd('whose configuration is in etcd', () => {
    testBothProtocols('notices nothing over %s when etcd is stopped and started', async (protocol) => {
      const { envoy, http, https, etcd, store, two, controlPlane, before, failures } = await startAll(protocol)
      const { adminUrl } = controlPlane
      await etcd.stop()
      await waitForProblems(adminUrl, ['source-unreachable'])
      expect(await readiness(adminUrl)).toMatchObject({
        status: 200,
        serving: 'current',
        sources: [{ state: 'unreachable', documents: 8 }, { documents: 0 }],
      })
      await Promise.all([http.next(50), https.next(5)])
      await etcd.start()
      await waitForProblems(adminUrl, [])
      await Promise.all([http.next(50), https.next(5)])
      expect(await modificationsOf(envoy)).toEqual(before)
      expect(await readiness(adminUrl)).toMatchObject({
        revision: 1,
        errors: 0,
        sources: [{ state: 'read' }, { state: 'read' }],
      })

      await store.write(endpoints('shop', two))
      await http.next(50, { from: 'two' })
      expect(await failures()).toEqual([])
    })

    testBothProtocols(
      'gets over %s exactly what changed while its server was away, though etcd has compacted all of it',
      async (protocol) => {
        const { envoy, http, https, etcd, wire, store, documents, one, two, controlPlane, before, failures } =
          await startAll(protocol)
        const { adminUrl } = controlPlane
        await wire.cut()
        await waitForProblems(adminUrl, ['source-unreachable'])

        const revision = await revisionOf(etcd.client)
        // Deleted and written again, changed and changed back, added, changed, deleted for good.
        await store.write(removed('route/shop', 'listener/https', 'secret/shop'))
        await store.write(endpoints('shop'))
        await store.write({ ...cluster('coming'), ...endpoints('coming', one) })
        await store.write(removed('cluster/leaving', 'endpoint/leaving'))
        await store.write({ ...documents, ...endpoints('shop', two) })
        await etcd.client.kv.compact({ revision: await revisionOf(etcd.client), physical: true })
        await expect(etcd.client.kv.range({ key: Buffer.from('/'), revision })).rejects.toThrow(/compacted/)
        await Promise.all([http.next(20, { from: 'one' }), https.next(2)])
        expect(await modificationsOf(envoy)).toEqual(before)

        await wire.mend()
        await waitForProblems(adminUrl, [])
        await http.next(50, { from: 'two' })
        await envoy.waitForStat('cluster_manager.cluster_removed', (count) => count > 0)
        await Promise.all([http.next(20), https.next(5)])
        expect(await failures()).toEqual([])
        const after = await modificationsOf(envoy)
        expect(after).toMatchObject({ 'cluster_manager.cluster_added': 4, 'cluster_manager.cluster_removed': 1 })
        expect(apartFromClusters(after)).toEqual(apartFromClusters(before))
        expect(await readiness(adminUrl)).toMatchObject({ revision: 2, errors: 0 })
      },
    )
  })
})

async function revisionOf(client: Etcd3): Promise<string> {
  return (await client.kv.range({ key: Buffer.from('/') })).header.revision
}

/** What must not have changed where only clusters came and went. */
function apartFromClusters(modifications: Readonly<Record<string, number>>): Readonly<Record<string, number>> {
  const ofClusters = /^cluster\.|cluster_(added|removed)$|\.cds\.config_reload$/
  return Object.fromEntries(Object.entries(modifications).filter(([name]) => !ofClusters.test(name)))
}
