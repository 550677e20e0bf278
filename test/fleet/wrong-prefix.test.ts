/** A replica that reads where nothing is (a prefix that is misspelt, an etcd that was set up anew) empties no Envoy that comes to it (rule 87). */
import { expect, test } from 'vitest'
import { nodes, problems } from '../support/admin-client.ts'
import { startControlPlane } from '../support/control-plane.ts'
import { createEtcdStore } from '../support/document-store.ts'
import { listener, rds } from '../support/documents.ts'
import { startEdgeUnderLoad } from '../support/edge.ts'
import { startEtcd } from '../support/etcd.ts'
import { startMovingShop } from '../support/moving-shop.ts'
import { describeWithEnvoy, describeWithEtcd } from '../support/needs.ts'
import { eventually } from '../support/poll.ts'
import { startTcpProxy } from '../support/tcp-proxy.ts'

const patience = { timeoutMs: 30_000 }

describeWithEnvoy('a stock Envoy', () => {
  describeWithEtcd('on an etcd', () => {
    test.each(['sotw', 'delta'] as const)(
      'keeps what it has at a replica that never saw a document (%s)',
      async (protocol) => {
        const etcd = await startEtcd()
        const [store, elsewhere] = [createEtcdStore(etcd), createEtcdStore(etcd)]
        const shop = await startMovingShop()
        const documents = { ...listener('http', { routes: rds('routes') }), ...shop.documentsOf(0) }
        await store.write(documents)
        const right = await startControlPlane({ drainTime: '0s', ...store.flags })
        const wrong = await startControlPlane({ drainTime: '0s', ...elsewhere.flags })
        await Promise.all([right.pipeline.ready, wrong.pipeline.ready])
        expect(await problems(wrong.adminUrl)).toMatchObject([{ severity: 'warning', code: 'source-empty' }])

        const [toRight, toWrong] = [await startTcpProxy(right.xdsPort), await startTcpProxy(wrong.xdsPort)]
        await toWrong.cut()
        const server = [toRight, toWrong].map(({ port }) => `127.0.0.1:${port}`)
        const { load } = await startEdgeUnderLoad({ server }, 'even', protocol)
        await toRight.cut()
        await toWrong.mend()
        await eventually(async () => (await nodes(wrong.adminUrl))[0]?.heldBackSince !== undefined, patience)
        await load.next(200)
        expect((await nodes(wrong.adminUrl))[0]?.heldBackSince).toBeDefined()

        await elsewhere.write(documents)
        await eventually(async () => (await nodes(wrong.adminUrl))[0]?.heldBackSince === undefined, patience)
        expect(await problems(wrong.adminUrl)).toEqual([])
        await elsewhere.write(shop.moveTo(1))
        await load.next(20, { from: 'odd' })
        expect(await load.stop()).toMatchObject({ failed: 0, failures: [] })
      },
    )
  })
})
