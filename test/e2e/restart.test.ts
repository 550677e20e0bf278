import { expect } from 'vitest'
import { readiness, settledNode, waitForProblems } from '../support/admin-client.ts'
import { startBackend } from '../support/backend.ts'
import { createAuthority } from '../support/certificates.ts'
import { createEtcdStore, createFileStore, type DocumentStore } from '../support/document-store.ts'
import { endpoints } from '../support/documents.ts'
import { startEtcd } from '../support/etcd.ts'
import { describeWithEnvoy, describeWithEtcd } from '../support/needs.ts'
import { type ServerProcess, startServer } from '../support/server-process.ts'
import { modificationsOf, shop, shopTypes, startLoadedEnvoy } from '../support/shop.ts'
import { testBothProtocols } from '../support/side-by-side.ts'
import type { Protocol } from '../support/wire-client.ts'

/** A server, an Envoy on it that is under load and has everything, and what Envoy's statistics say then. */
async function startAll(store: DocumentStore, protocol: Protocol) {
  const [one, two] = [await startBackend({ name: 'one' }), await startBackend({ name: 'two' })]
  const authority = await createAuthority()
  await store.write(shop(one, await authority.issue({ name: 'shop' })))
  const server = await startServer(store.flags)
  const loaded = await startLoadedEnvoy(server.server, protocol, authority)
  await settledNode(server.adminUrl, shopTypes)
  return { ...loaded, one, two, server, before: await modificationsOf(loaded.envoy) }
}

/** What the server has sent to its one client since it was started, in resources of each type. */
async function resourcesSent(server: ServerProcess): Promise<Readonly<Record<string, number>>> {
  const { types } = await settledNode(server.adminUrl, shopTypes)
  return Object.fromEntries(Object.entries(types).map(([type, { resources }]) => [type, resources]))
}

/** Each time takes Envoy some seconds to come back. */
const rounds = process.env['FAIRLEAD_TEST_LONG'] === '1' ? 20 : 1

const nothing = { cluster: 0, endpoint: 0, listener: 0, route: 0, secret: 0 }

describeWithEnvoy('a server that is killed under load and started again', () => {
  testBothProtocols(
    'modifies over %s nothing in Envoy, sends over delta nothing that it has, and goes on (rule 105)',
    async (protocol) => {
      const store = createFileStore()
      const { envoy, http, https, two, server, before, failures } = await startAll(store, protocol)
      let again = server
      for (let round = 1; round <= rounds; round++) {
        await again.kill()
        await envoy.waitForStat('control_plane.connected_state', (value) => value === 0)
        await Promise.all([http.next(20), https.next(2)])
        again = await again.startAgain()
        expect(await resourcesSent(again)).toEqual(
          protocol === 'delta' ? nothing : { cluster: 1, endpoint: 1, listener: 2, route: 1, secret: 1 },
        )
      }
      await Promise.all([http.next(50), https.next(5)])
      expect(await modificationsOf(envoy)).toEqual(before)
      expect(before['cluster_manager.cluster_added']).toBe(2)

      const sent = await resourcesSent(again)
      await store.write(endpoints('shop', two))
      await http.next(50, { from: 'two' })
      expect(await failures()).toEqual([])
      // The change is all that was sent since: nothing was on its way when the numbers were looked at.
      expect(await resourcesSent(again)).toEqual({ ...sent, endpoint: (sent['endpoint'] as number) + 1 })
    },
  )

  describeWithEtcd('whose etcd is down then', () => {
    testBothProtocols('serves the last good over %s, says so, and follows etcd again', async (protocol) => {
      const etcd = await startEtcd()
      const store = createEtcdStore(etcd)
      const { envoy, http, https, two, server, before, failures } = await startAll(store, protocol)
      expect(await readiness(server.adminUrl)).toMatchObject({ status: 200, serving: 'current', revision: 1 })
      await server.kill()
      await etcd.stop()

      const again = await server.startAgain()
      await waitForProblems(again.adminUrl, ['source-unreachable'])
      expect(await readiness(again.adminUrl)).toMatchObject({
        status: 200,
        ready: true,
        serving: 'last good',
        revision: 1,
        sources: [{ state: 'unreachable' }, { state: 'unreachable' }],
        errors: 1,
        withheld: [],
      })
      // The certificate's key is not in the history: the server says nothing of it, and Envoy keeps what it has (rule 53).
      const sent = await resourcesSent(again)
      expect(sent).toEqual(
        protocol === 'delta' ? nothing : { cluster: 1, endpoint: 1, listener: 2, route: 1, secret: 0 },
      )
      await Promise.all([http.next(50), https.next(5)])
      expect(await modificationsOf(envoy)).toEqual(before)

      await etcd.start()
      await waitForProblems(again.adminUrl, [])
      expect(await readiness(again.adminUrl)).toMatchObject({ status: 200, serving: 'current', revision: 1 })
      await store.write(endpoints('shop', two))
      await http.next(50, { from: 'two' })
      await https.next(5)
      expect(await failures()).toEqual([])
      const after = await modificationsOf(envoy)
      expect({ ...after, 'cluster.shop.membership_change': before['cluster.shop.membership_change'] }).toEqual(before)
    })
  })
})
