import { writeFileSync } from 'node:fs'
import { beforeAll, expect, test } from 'vitest'
import type { FleetStatus } from '../../src/fleet/fleet.ts'
import { rangeEnd } from '../../src/source/etcd-read.ts'
import { runCommand } from '../support/command.ts'
import { metric, startControlPlane, type TestControlPlane } from '../support/control-plane.ts'
import { createEtcdStore, createFileStore } from '../support/document-store.ts'
import { cluster } from '../support/documents.ts'
import { startEtcd, type TestEtcd } from '../support/etcd.ts'
import { describeWithEtcd } from '../support/needs.ts'
import { eventually } from '../support/poll.ts'
import { tempDir } from '../support/temp.ts'

/** Each looks every three seconds who is there, and asks as long for a leader who was killed. */
const patience = { timeoutMs: 15_000 }

async function replicasOf({ adminUrl }: TestControlPlane): Promise<FleetStatus> {
  return (await (await fetch(`${adminUrl}/api/replicas`)).json()) as FleetStatus
}

function fleetProblemsOf({ pipeline }: TestControlPlane): readonly string[] {
  return pipeline.problems.filter(({ code }) => code === 'fleet').map(({ message }) => message)
}

/** On an etcd whose users have to log in, as one who may read everything below the prefix, and write these. */
async function startAsUser(writable: readonly string[]): Promise<TestControlPlane & { readonly etcd: TestEtcd }> {
  const etcd = await startEtcd({ auth: { user: 'root', password: 'secret' } })
  const { auth } = etcd.client
  const rangeOf = (prefix: string): { key: Buffer; range_end: Buffer } => ({
    key: Buffer.from(prefix),
    range_end: rangeEnd(prefix),
  })
  await auth.roleAdd({ name: 'server' })
  await auth.roleGrantPermission({ name: 'server', perm: { permType: 'Read', ...rangeOf('/fairlead/') } })
  for (const name of writable) {
    const perm = { permType: 'Readwrite' as const, ...rangeOf(`/fairlead/${name}`) }
    await auth.roleGrantPermission({ name: 'server', perm })
  }
  await auth.userAdd({ name: 'fairlead', password: 'too' })
  await auth.userGrantRole({ user: 'fairlead', role: 'server' })
  await etcd.client.put('/fairlead/config/cart').value(JSON.stringify(Object.values(cluster('cart'))[0]))
  const etcdPasswordFile = `${tempDir()}/password`
  writeFileSync(etcdPasswordFile, 'too')
  const plane = await startControlPlane({ etcd: etcd.endpoint, etcdUser: 'fairlead', etcdPasswordFile, replicaId: 'a' })
  await plane.pipeline.ready
  return { ...plane, etcd }
}

/** How often it was asked for keys so far. */
async function rangesOf({ endpoint }: TestEtcd): Promise<number> {
  const text = await (await fetch(`${endpoint}/metrics`)).text()
  const [, count] = /^grpc_server_started_total\{grpc_method="Range".*\} (\d+)$/m.exec(text) ?? []
  return Number(count)
}

describeWithEtcd('replicas on one etcd', () => {
  let etcd: TestEtcd

  beforeAll(async () => {
    etcd = await startEtcd()
  })

  test('tell of each other, and the leader hands over when it drains', { timeout: 40_000 }, async () => {
    const store = createEtcdStore(etcd)
    await store.write(cluster('cart'))
    const [a, b] = [
      await startControlPlane({ ...store.flags, replicaId: 'a', drainTimeout: '0s' }),
      await startControlPlane({ ...store.flags, replicaId: 'b' }),
    ]
    await eventually(async () => {
      const status = await replicasOf(b)
      expect(status.self).toBe('b')
      expect(status.leader).toMatch(/^[ab]$/)
      expect(status.replicas.map(({ id, isSelf }) => [id, isSelf])).toEqual([
        ['a', false],
        ['b', true],
      ])
      expect(status.replicas[0]?.config).toMatch(/^[0-9a-f]{16}$/)
      expect(status.replicas[1]?.config).toBe(status.replicas[0]?.config)
    }, patience)
    const { leader } = await replicasOf(b)
    const [leading, other] = leader === 'a' ? [a, b] : [b, a]
    expect([await metric(leading, 'fairlead_leader'), await metric(other, 'fairlead_leader')]).toEqual([1, 0])
    expect(await metric(b, 'fairlead_replicas')).toBe(2)
    const { out } = await runCommand(['replicas', '--server', b.adminUrl])
    expect(out).toMatch(/^REPLICA +LEADER +VERSION +SINCE +CONFIG +STREAMS\n/)
    expect(out).toMatch(new RegExp(`\\n${leader}( \\(asked\\))? +leads `))
    const since = performance.now()
    const drained = leading.drain()
    await eventually(async () => (await metric(other, 'fairlead_leader')) === 1)
    expect(performance.now() - since).toBeLessThan(2_000)
    await drained
    await eventually(async () => (await replicasOf(other)).replicas.length === 1, patience)
    expect(fleetProblemsOf(other)).toEqual([])
  })

  test('say while etcd is away that what they know of each other is of before', { timeout: 40_000 }, async () => {
    const own = await startEtcd()
    const store = createEtcdStore(own)
    await store.write(cluster('cart'))
    const plane = await startControlPlane({ ...store.flags, replicaId: 'a' })
    await eventually(async () => expect(await replicasOf(plane)).toMatchObject({ leader: 'a' }), patience)
    expect(await replicasOf(plane)).not.toHaveProperty('isStale')
    await own.stop()
    await eventually(async () => expect(await replicasOf(plane)).toMatchObject({ isStale: true }), patience)
    await own.start()
    await eventually(async () => expect(await replicasOf(plane)).not.toHaveProperty('isStale'), patience)
  })

  test('of which one that is called as another does not say that it leads', { timeout: 40_000 }, async () => {
    const store = createEtcdStore(etcd)
    await store.write(cluster('cart'))
    const first = await startControlPlane({ ...store.flags, replicaId: 'same' })
    await eventually(async () => expect(await replicasOf(first)).toMatchObject({ leader: 'same' }), patience)
    const second = await startControlPlane({ ...store.flags, replicaId: 'same' })
    await eventually(async () => expect(await replicasOf(second)).toMatchObject({ leader: 'same' }), patience)
    expect((await replicasOf(first)).replicas).toMatchObject([{ isLeader: true }])
    expect((await replicasOf(second)).replicas).toMatchObject([{ isLeader: false }])
  })

  test('of which one that may only read leads nobody, is listed nowhere and writes nothing', async () => {
    const store = createEtcdStore(etcd)
    await store.write(cluster('cart'))
    const reader = await startControlPlane({ ...store.flags, etcdReadOnly: true, replicaId: 'reader' })
    await reader.pipeline.ready
    await eventually(async () => (await replicasOf(reader)).replicas.length === 1)
    expect(await replicasOf(reader)).toMatchObject({ self: 'reader', leader: null, replicas: [{ isLeader: false }] })
    expect(await etcd.client.getAll().prefix(store.prefix).keys()).toEqual([`${store.prefix}config/cluster/cart`])
    expect(fleetProblemsOf(reader)).toEqual([])
  })

  test('of which one whose user may not write says so once, and serves', { timeout: 30_000 }, async () => {
    const plane = await startAsUser([])
    await eventually(() => expect(fleetProblemsOf(plane)).toHaveLength(2), patience)
    expect(fleetProblemsOf(plane)).toEqual([
      expect.stringContaining(
        'this replica cannot lead the others: the etcd user fairlead may not write /fairlead/leader',
      ),
      expect.stringContaining('the etcd user fairlead may not write /fairlead/replicas/a'),
    ])
    expect(plane.pipeline.isReady).toBe(true)
    const told = (): readonly string[] =>
      plane
        .log()
        .split('\n')
        .filter((line) => line.includes('may not write /fairlead/'))
    await eventually(() => expect(told()).toHaveLength(2), patience)
    const problem = expect.stringContaining('may not write /fairlead/replicas/a')
    const fix = expect.stringContaining('--etcd-read-only')
    expect(told().map((line) => JSON.parse(line))).toContainEqual(
      expect.objectContaining({ code: 'fleet', place: 'etcd:/fairlead/replicas/a', problem, fix }),
    )
  })

  test('of which one with the rights that operations.md gives does all that there is to do', {
    timeout: 30_000,
  }, async () => {
    const plane = await startAsUser(['leader', 'replicas/', 'good/', 'history/'])
    const written = async (): Promise<readonly string[]> => {
      const keys = await plane.etcd.client.getAll().prefix('/fairlead/').keys()
      return [...new Set(keys.map((key) => key.split('/').slice(0, 3).join('/')))].sort()
    }
    await eventually(async () => {
      const folders = ['config', 'good', 'history', 'leader', 'replicas'].map((name) => `/fairlead/${name}`)
      expect(await written()).toEqual(folders)
    }, patience)
    expect(await metric(plane, 'fairlead_leader')).toBe(1)
    expect(plane.pipeline.problems.map(({ code }) => code)).toEqual(['missing-assignment'])
  })

  test('have their history read from etcd once for all who ask at the same time', { timeout: 30_000 }, async () => {
    const store = createEtcdStore(etcd)
    await store.write(cluster('cart'))
    const { adminUrl } = await startControlPlane(store.flags)
    const list = async (): Promise<unknown> => (await fetch(`${adminUrl}/api/fleet/snapshots`)).json()
    await eventually(async () => expect(await list()).toMatchObject({ revisions: [{ revision: 1 }] }), patience)
    const before = await rangesOf(etcd)
    const answers = await Promise.all(Array.from({ length: 100 }, list))
    // One reading takes two, and a dashboard may come when it is over.
    expect((await rangesOf(etcd)) - before).toBeLessThan(50)
    for (const answer of answers) expect(answer).toMatchObject({ revisions: [{ revision: 1 }] })
  })

  test('are none of those that read files', async () => {
    const store = createFileStore()
    await store.write(cluster('cart'))
    const plane = await startControlPlane(store.flags)
    await plane.pipeline.ready
    expect(await replicasOf(plane)).toEqual({ self: null, leader: null, replicas: [] })
    expect((await runCommand(['replicas', '--server', plane.adminUrl])).out).toBe(
      'This server shares nothing with others: it was started without --etcd.\n',
    )
  })
})
