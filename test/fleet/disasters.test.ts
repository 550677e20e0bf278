import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { buildBootstrap } from '../../src/cli/bootstrap-config.ts'
import { problems, readiness, waitForProblems } from '../support/admin-client.ts'
import { type Backend, startBackend } from '../support/backend.ts'
import { createAuthority, writeAuthorities, writeCertificate } from '../support/certificates.ts'
import { runCommand } from '../support/command.ts'
import { metric, startControlPlane, type TestControlPlane } from '../support/control-plane.ts'
import { createEtcdStore, createFileStore, type DocumentStore } from '../support/document-store.ts'
import { cluster, endpoints, listener, rds, routeConfiguration, routesTo } from '../support/documents.ts'
import { startEdgeUnderLoad } from '../support/edge.ts'
import { startEnvoy } from '../support/envoy.ts'
import { startEtcd, type TestEtcd } from '../support/etcd.ts'
import type { Load } from '../support/load.ts'
import { describeWithEnvoy, describeWithEtcd } from '../support/needs.ts'
import { eventually } from '../support/poll.ts'
import { startServer } from '../support/server-process.ts'
import { tempDir } from '../support/temp.ts'

// What docs/operations.md says of disasters.

const isLong = process.env['FAIRLEAD_TEST_LONG'] === '1'

/** How long an etcd that went back is not believed (rule 87), and some. */
const fenceMs = 75_000

const shopFrom = (backend: Backend) => ({
  ...cluster('shop'),
  ...endpoints('shop', backend),
  ...routeConfiguration('routes', routesTo('shop')),
  ...listener('http', { routes: rds('routes') }),
})

interface Bed {
  readonly etcd: TestEtcd
  readonly store: DocumentStore & { readonly prefix: string }
  readonly controlPlane: TestControlPlane
  readonly load: Load
  readonly one: Backend
  readonly two: Backend
  /** The options by which a command finds the same documents. */
  readonly place: readonly string[]
}

/** A server on etcd, and an Envoy under load, whose requests end at `one`. */
async function startBed(etcdArgs: readonly string[] = []): Promise<Bed> {
  const etcd = await startEtcd({ args: etcdArgs })
  const store = createEtcdStore(etcd)
  const [one, two] = await startBackends()
  await store.write(shopFrom(one))
  const controlPlane = await startControlPlane(store.flags)
  const { load } = await startEdgeUnderLoad(controlPlane, 'one')
  const place = ['--etcd', etcd.endpoint, '--etcd-prefix', store.prefix]
  return { etcd, store, controlPlane, load, one, two, place }
}

const startBackends = async () => [await startBackend({ name: 'one' }), await startBackend({ name: 'two' })] as const

const messagesOf = async (adminUrl: string): Promise<string> =>
  (await problems(adminUrl)).map(({ message }) => message).join('\n')

describeWithEtcd('etcd', () => {
  describeWithEnvoy('behind a server with an Envoy under load', () => {
    test('that was restored from an older backup is not believed, until it has caught up or a minute has passed', async () => {
      const { etcd, store, controlPlane, load, two, place } = await startBed()
      const { adminUrl } = controlPlane
      const backup = join(tempDir(), 'etcd.snapshot')
      etcd.save(backup)
      await store.write(endpoints('shop', two))
      await load.next(20, { from: 'two' })

      await etcd.restore(backup)
      await eventually(async () => expect(await messagesOf(adminUrl)).toMatch(/went back behind revision \d+/), {
        timeoutMs: 20_000,
      })
      const ready = await readiness(adminUrl)
      expect(ready).toMatchObject({ status: 200, serving: 'current' })
      expect(ready.sources[0]?.state).toBe('unreachable')
      await load.next(50, { from: 'two' })

      if (isLong) {
        // Nobody mends it: what the backup holds is taken.
        await load.next(20, { from: 'one', timeoutMs: fenceMs })
        expect(await messagesOf(adminUrl)).toMatch(/it was restored, or is another one/)
      }
      // What the backup lacks is written again: before its minute is over from what is in force, and else by hand.
      if (isLong) await store.write(endpoints('shop', two))
      else expect(await runCommand(['rollback', 'latest', ...place, '--server', adminUrl])).toMatchObject({ code: 0 })
      await waitForProblems(adminUrl, [], fenceMs)
      await load.next(50, { from: 'two' })
      expect(await load.stop()).toMatchObject({ failed: 0, failures: [] })
    })

    test('that is lost with all its data is filled again from the history of a server', async () => {
      const { etcd, store, controlPlane, load, place } = await startBed()
      const { adminUrl } = controlPlane
      const documents = async () => await etcd.client.getAll().prefix(`${store.prefix}config/`).strings()
      const before = await documents()
      await etcd.startEmpty()
      await waitForProblems(adminUrl, ['source-unreachable'])
      expect(await documents()).toEqual({})
      if (isLong) {
        await waitForProblems(adminUrl, ['source-empty', 'source-unreachable'], fenceMs)
        expect(await messagesOf(adminUrl)).toMatch(/what it held stays in force/)
      }
      await load.next(50, { from: 'one' })

      const command = await runCommand(['rollback', 'latest', ...place, '--server', adminUrl])
      expect(command).toMatchObject({ code: 0 })
      expect(await documents()).toEqual(before)
      await waitForProblems(adminUrl, [], fenceMs)
      await load.next(50, { from: 'one' })
      expect(await readiness(adminUrl)).toMatchObject({ status: 200, serving: 'current', revision: 1 })
      expect(await load.stop()).toMatchObject({ failed: 0, failures: [] })
    })

    test('that has no space left is read on, and takes changes again once it was compacted and disarmed', async () => {
      const { etcd, controlPlane, load, place, two } = await startBed(['--quota-backend-bytes', '400000'])
      const { adminUrl } = controlPlane
      const fill = async (): Promise<never> => {
        for (;;) await etcd.client.put('/elsewhere').value('x'.repeat(50_000))
      }
      await expect(fill()).rejects.toThrow('database space exceeded')

      const file = join(tempDir(), 'shop.json')
      writeFileSync(file, JSON.stringify(endpoints('shop', two)['endpoint/shop']))
      const put = () => runCommand(['put', file, ...place, '--no-check'])
      const refused = await put()
      expect(refused.code).not.toBe(0)
      expect(refused.err).toContain('database space exceeded')
      expect(await metric(controlPlane, 'fairlead_source_up')).toBe(2)
      expect(await readiness(adminUrl)).toMatchObject({ status: 200, serving: 'current' })
      await load.next(50, { from: 'one' })

      await etcd.makeRoom()
      // The key of the file is another than that of the document in force, which goes.
      await etcd.client.delete().key(`${place[3]}config/endpoint/shop`)
      expect(await put()).toMatchObject({ code: 0 })
      await load.next(50, { from: 'two' })
      expect(await load.stop()).toMatchObject({ failed: 0, failures: [] })
    })
  })
})

describeWithEnvoy('a clock', () => {
  test('that jumps a year ahead, and back, is told of by certificates alone, and no request notices', async () => {
    const authority = await createAuthority()
    const dir = tempDir()
    const { certificate: chain, key } = writeCertificate(dir, 'shop', await authority.issue({ name: 'shop' }))
    const [one, two] = await startBackends()
    const store = createFileStore()
    const secret = { kind: 'Secret', name: 'shop', certificate: { chain: { file: chain }, key: { file: key } } }
    await store.write({ ...shopFrom(one), 'secret/shop': secret })
    const server = await startServer({ ...store.flags, allowFile: [dir] }, { isHooked: true })
    const { load } = await startEdgeUnderLoad(server, 'one')
    // It is good for a day, of which people are warned.
    await eventually(async () => expect(await messagesOf(server.adminUrl)).toContain('The certificate ends at'))

    const yearMs = 366 * 86_400_000
    await server.ask('jumpClock', yearMs)
    await eventually(async () => expect(await messagesOf(server.adminUrl)).toContain('The certificate ended at'), {
      timeoutMs: 15_000,
    })
    await store.write(endpoints('shop', two))
    await load.next(20, { from: 'two' })
    await server.ask('jumpClock', -yearMs)
    await eventually(async () => expect(await messagesOf(server.adminUrl)).not.toContain('ended'), {
      timeoutMs: 15_000,
    })
    await store.write(endpoints('shop', one))
    await load.next(20, { from: 'one' })
    expect(await load.stop()).toMatchObject({ failed: 0, failures: [] })
  })
})

describeWithEnvoy('the certificate of the xDS server', () => {
  test('that has ended keeps out who connects anew, parts nobody who is connected, and is renewed without a restart', async () => {
    const authority = await createAuthority()
    const dir = tempDir()
    const validForMs = 20_000
    const endsAt = Date.now() + validForMs
    const write = async (forMs?: number) =>
      writeCertificate(dir, 'server', await authority.issue({ name: 'server', ...(forMs && { validForMs: forMs }) }))
    const { certificate: tlsCert, key: tlsKey } = await write(validForMs)
    const [one, two] = await startBackends()
    const store = createFileStore()
    await store.write(shopFrom(one))
    const controlPlane = await startControlPlane({ ...store.flags, tlsCert, tlsKey })
    const tlsCa = writeAuthorities(dir, 'ca', [authority])
    const asked = { server: controlPlane.server, tlsCa }
    const { envoy: connected, load } = await startEdgeUnderLoad(asked, 'one')
    expect(await metric(controlPlane, 'fairlead_certificate_expiry_timestamp_seconds')).toBe(Math.floor(endsAt / 1000))

    await eventually(() => Date.now() > endsAt + 1_000, { timeoutMs: validForMs + 5_000 })
    const anew = await startEnvoy({
      bootstrap: buildBootstrap({ id: 'edge-2', cluster: 'edge', delta: true, ...asked }),
    })
    await anew.waitForStat('cluster.fairlead.ssl.fail_verify_error', (count) => count > 0, 20_000)
    expect(await anew.stat('control_plane.connected_state')).toBe(0)
    expect(await connected.stat('control_plane.connected_state')).toBe(1)
    await store.write(endpoints('shop', two))
    await load.next(20, { from: 'two' })

    await write()
    await anew.waitForStat('control_plane.connected_state', (state) => state === 1, 45_000)
    await anew.waitLive()
    expect(await load.stop()).toMatchObject({ failed: 0, failures: [] })
  })
})
