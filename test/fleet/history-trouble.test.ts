import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { fetchRest, problemCodes, problems, readiness, settledNode, waitForProblems } from '../support/admin-client.ts'
import { metric } from '../support/control-plane.ts'
import { createEtcdStore, type DocumentStore } from '../support/document-store.ts'
import { listener, rds } from '../support/documents.ts'
import { startEdgeUnderLoad } from '../support/edge.ts'
import { startEtcd, type TestEtcd } from '../support/etcd.ts'
import type { Load } from '../support/load.ts'
import { type MovingShop, startMovingShop } from '../support/moving-shop.ts'
import { describeWithEnvoy, describeWithEtcd } from '../support/needs.ts'
import { eventually } from '../support/poll.ts'
import { type ServerProcess, startServer } from '../support/server-process.ts'
import { createSmallDisk, describeWithDisks, type SmallDisk } from '../support/small-disk.ts'
import { tempDir } from '../support/temp.ts'

const mebibyte = 1024 * 1024

interface Bed {
  readonly server: ServerProcess
  readonly load: Load
  /** Moves the shop to its next cluster, and waits until requests go there. */
  readonly move: () => Promise<void>
}

/** A server on etcd with its history in that directory, and a stock Envoy on it under load. */
async function startBed(snapshots: string): Promise<Bed> {
  const { store, shop } = await prepare()
  const server = await startServer({ ...store.flags, snapshots, drainTime: '0s' })
  const { load } = await startEdgeUnderLoad(server, 'even')
  let round = 0
  return {
    server,
    load,
    async move() {
      round += 1
      await store.write(shop.moveTo(round))
      await load.next(10, { from: shop.backendOf(round) })
    },
  }
}

interface Makings {
  readonly etcd: TestEtcd
  readonly store: DocumentStore
  readonly shop: MovingShop
}

async function prepare(): Promise<Makings> {
  const etcd = await startEtcd()
  const [store, shop] = [createEtcdStore(etcd), await startMovingShop()]
  await store.write({ ...listener('http', { routes: rds('routes') }), ...shop.documentsOf(0) })
  return { etcd, store, shop }
}

/** The history's files as they are: name → bytes. */
function segmentsIn(directory: string): Readonly<Record<string, Buffer>> {
  const names = readdirSync(directory).filter((name) => /^\d{8}\.log/.test(name))
  return Object.fromEntries(names.map((name) => [name, readFileSync(join(directory, name))]))
}

async function revisionsOf({ adminUrl }: ServerProcess): Promise<readonly number[]> {
  const page = await fetch(`${adminUrl}/api/snapshots`)
  return ((await page.json()) as { revisions: { revision: number }[] }).revisions.map(({ revision }) => revision)
}

/** To whoever comes now, this cluster. */
async function serves({ adminUrl }: ServerProcess, clusterName: string): Promise<void> {
  await eventually(
    async () => {
      const { status, body } = await fetchRest(adminUrl, 'clusters', 'edge')
      expect(status).toBe(200)
      expect(body?.resources.map(({ name }) => name)).toEqual([clusterName])
    },
    { timeoutMs: 15_000 },
  )
}

/** The Envoy is there and at rest: a server that was started anew does not know what one has that it has not yet seen. */
async function connected({ adminUrl }: ServerProcess): Promise<void> {
  await settledNode(adminUrl, ['cluster', 'endpoint', 'listener', 'route'])
}

/** Turns a bit in the middle of a file, in place. */
function damage(path: string): void {
  const bytes = readFileSync(path)
  const middle = bytes.length >> 1
  bytes[middle] = (bytes[middle] as number) ^ 0x40
  writeFileSync(path, bytes, { flag: 'r+' })
}

/** When all that happened is in the file. */
async function written(server: ServerProcess, directory: string): Promise<void> {
  const { revision } = await readiness(server.adminUrl)
  let size = -1
  await eventually(
    async () => {
      const now = Object.values(segmentsIn(directory)).reduce((sum, { length }) => sum + length, 0)
      const isStill = now === size
      size = now
      return isStill && (await revisionsOf(server))[0] === revision
    },
    { intervalMs: 100 },
  )
}

const expectUntouched = (now: Readonly<Record<string, Buffer>>, before: Readonly<Record<string, Buffer>>): void => {
  for (const [name, bytes] of Object.entries(before)) {
    expect(now[name]?.subarray(0, bytes.length).equals(bytes), `${name} is as it was, or longer`).toBe(true)
  }
}

/** While what is told of the history is not what is told of it at other times. */
async function expectTrouble(server: ServerProcess, reason: RegExp): Promise<void> {
  const { adminUrl } = server
  await waitForProblems(adminUrl, ['history'])
  expect((await problems(adminUrl))[0]).toMatchObject({ severity: 'warning', message: expect.stringMatching(reason) })
  expect(await metric(server, 'fairlead_history_up')).toBe(0)
  expect(server.log()).toContain('cannot write the history')
  expect(await readiness(adminUrl)).toMatchObject({ status: 200, ready: true, serving: 'current' })
}

describeWithEnvoy('a server under load whose history is in trouble', () => {
  describeWithEtcd('serves on and says what is wrong', () => {
    describeWithDisks('on a disk of its own', () => {
      test('that is full: nothing on it changes, and all of it is written when there is room', async () => {
        const disk = createSmallDisk(mebibyte)
        const { server, load, move } = await startBed(disk.path)
        await move()
        await written(server, disk.path)
        disk.fill()
        const before = segmentsIn(disk.path)
        // The last page of a file has room for a little more.
        await eventually(
          async () => {
            await move()
            return (await problemCodes(server.adminUrl)).length > 0
          },
          { timeoutMs: 20_000 },
        )
        await expectTrouble(server, /ENOSPC|no space left/)
        const full = segmentsIn(disk.path)
        expectUntouched(full, before)
        await move()
        expect(segmentsIn(disk.path)).toEqual(full)
        expect((await revisionsOf(server)).length).toBe((await readiness(server.adminUrl)).revision)

        disk.empty()
        // By itself: no change need come.
        await waitForProblems(server.adminUrl, [], 20_000)
        expect(await metric(server, 'fairlead_history_up')).toBe(1)
        expectUntouched(segmentsIn(disk.path), full)
        const revisions = await revisionsOf(server)
        await server.terminate()
        const again = await server.startAgain()
        expect(await revisionsOf(again)).toEqual(revisions)
        expect(await load.stop()).toMatchObject({ failed: 0, failures: [] })
      })

      test('that is full or read-only when it starts, with etcd away: it serves what the disk has', async () => {
        await Promise.all([
          startOn(
            (disk) => disk.fill(),
            (disk) => disk.empty(),
            /ENOSPC|no space left/,
          ),
          startOn(
            (disk) => disk.setWritable(false),
            (disk) => disk.setWritable(true),
            /EROFS|read-only/,
          ),
        ])
      })
    })

    test('with a damaged file, damaged while it ran or was stopped: the file stays, and what comes later is kept', async () => {
      const snapshots = tempDir()
      const { server, load, move } = await startBed(snapshots)
      for (let count = 0; count < 4; count++) await move()
      await written(server, snapshots)
      damage(join(snapshots, '00000001.log'))
      const damaged = segmentsIn(snapshots)
      await move()
      await written(server, snapshots)
      expectUntouched(segmentsIn(snapshots), damaged)
      const before = segmentsIn(snapshots)

      await server.kill()
      const again = await server.startAgain()
      expect(again.log()).toContain('the history ends in a torn or damaged record')
      await connected(again)
      expect(await readiness(again.adminUrl)).toMatchObject({ status: 200, ready: true, serving: 'current' })
      expectUntouched(segmentsIn(snapshots), before)
      await move()
      await written(again, snapshots)
      const kept = await revisionsOf(again)
      await again.terminate()
      const last = await again.startAgain()
      expect(await revisionsOf(last)).toEqual(kept)
      expectUntouched(segmentsIn(snapshots), before)
      expect(await load.stop()).toMatchObject({ failed: 0, failures: [] })
    })
  })
})

/** A server with a history is started again on a disk in trouble, and sees the end of that. */
async function startOn(
  begin: (disk: SmallDisk) => void,
  end: (disk: SmallDisk) => void,
  reason: RegExp,
): Promise<void> {
  const disk = createSmallDisk(mebibyte)
  const { etcd, store, shop } = await prepare()
  const server = await startServer({ ...store.flags, snapshots: disk.path })
  await serves(server, shop.clusterOf(0))
  await server.terminate()
  await etcd.stop()
  begin(disk)
  const before = segmentsIn(disk.path)
  const again = await server.startAgain()
  await waitForProblems(again.adminUrl, ['history', 'source-unreachable'])
  await serves(again, shop.clusterOf(0))
  expect(await readiness(again.adminUrl)).toMatchObject({ status: 200, ready: true, serving: 'last good' })
  expect(await revisionsOf(again)).toEqual([1])

  await etcd.start()
  await expectTrouble(again, reason)
  let round = 0
  const move = async (): Promise<void> => {
    round += 1
    await store.write(shop.moveTo(round))
    await serves(again, shop.clusterOf(round))
  }
  await move()
  expect(segmentsIn(disk.path)).toEqual(before)
  end(disk)
  await waitForProblems(again.adminUrl, [], 20_000)
  expectUntouched(segmentsIn(disk.path), before)
}
