/** A server that comes back without its history, to a directory that is not mounted, empties no Envoy (rule 87). */
import { expect, test } from 'vitest'
import { buildBootstrap } from '../../src/cli/bootstrap-config.ts'
import { nodes, problems } from '../support/admin-client.ts'
import { startControlPlane } from '../support/control-plane.ts'
import { createFileStore } from '../support/document-store.ts'
import { listener, rds } from '../support/documents.ts'
import { startEnvoy } from '../support/envoy.ts'
import { startLoad } from '../support/load.ts'
import { startMovingShop } from '../support/moving-shop.ts'
import { describeWithEnvoy } from '../support/needs.ts'
import { eventually } from '../support/poll.ts'

const patience = { timeoutMs: 30_000 }

describeWithEnvoy('a stock Envoy', () => {
  test.each(['sotw', 'delta'])('keeps what it has at a server whose directory is empty (%s)', async (protocol) => {
    const store = createFileStore()
    const shop = await startMovingShop()
    const documents = { ...listener('http', { routes: rds('routes') }), ...shop.documentsOf(0) }
    await store.write(documents)
    const before = await startControlPlane({ ...store.flags, drainTimeout: '0s' })
    const { server } = before
    const envoy = await startEnvoy({
      bootstrap: buildBootstrap({ id: 'edge-1', cluster: 'edge', server, delta: protocol === 'delta' }),
    })
    await envoy.waitLive()
    const load = startLoad({ port: await envoy.listenerPort('http'), rate: 100 })
    await load.next(20)
    await before.drain()
    await before.close()

    const mount = createFileStore()
    await mount.write({})
    const after = await startControlPlane({ ...mount.flags, listen: server, drainTime: '0s' })
    await after.pipeline.ready
    expect(await problems(after.adminUrl)).toMatchObject([{ severity: 'warning', code: 'source-empty' }])
    await eventually(async () => (await nodes(after.adminUrl))[0]?.heldBackSince !== undefined, patience)
    await load.next(200)
    expect((await nodes(after.adminUrl))[0]?.heldBackSince).toBeDefined()

    await mount.write(documents)
    await eventually(async () => (await nodes(after.adminUrl))[0]?.heldBackSince === undefined, patience)
    expect(await problems(after.adminUrl)).toEqual([])
    await mount.write(shop.moveTo(1))
    await load.next(20, { from: 'odd' })
    expect(await load.stop()).toMatchObject({ failed: 0, failures: [] })
  })
})
