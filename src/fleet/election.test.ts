import pino from 'pino'
import { expect, test, vi } from 'vitest'
import { atTestEnd } from '../../test/support/at-test-end.ts'
import { startEtcd, type TestEtcd, type TestEtcdOptions } from '../../test/support/etcd.ts'
import { describeWithEtcd } from '../../test/support/needs.ts'
import { eventually } from '../../test/support/poll.ts'
import { startTcpProxy } from '../../test/support/tcp-proxy.ts'
import { connectEtcd, type EtcdOptions } from '../source/etcd-client.ts'
import { createElection, type Election, type LeaderGuard, leaderKey } from './election.ts'

/** The least that etcd grants. */
const ttlS = 2

interface Bed {
  readonly etcd: TestEtcd
  readonly logged: readonly string[]
  /** How often two led at once. */
  readonly clashes: readonly string[]
  stand(id: string, options?: Partial<EtcdOptions>): Election
}

async function startBed(options?: TestEtcdOptions): Promise<Bed> {
  const etcd = await startEtcd(options)
  const elections: Election[] = []
  const clashes: string[] = []
  const logged: string[] = []
  const log = pino({ level: 'info' }, { write: (line: string) => void logged.push(line) })
  atTestEnd(async () => void (await Promise.all(elections.map((election) => election.close()))))
  return {
    etcd,
    logged,
    clashes,
    stand(id, more) {
      const election = createElection({ endpoints: [etcd.endpoint], id, ttlS, log, ...more })
      elections.push(election)
      election.onChange(() => {
        const leading = elections.filter(({ isLeader }) => isLeader).map((leader) => leader.id)
        if (leading.length > 1) clashes.push(leading.join(' and '))
      })
      return election
    },
  }
}

async function untilTrue(election: Election, condition: () => boolean): Promise<void> {
  if (condition()) return
  await new Promise<void>((resolve) => {
    const stop = election.onChange(() => {
      if (!condition()) return
      stop()
      resolve()
    })
  })
}

const leads = async (election: Election): Promise<void> => await untilTrue(election, () => election.isLeader)
const follows = async (election: Election, leader: string): Promise<void> =>
  await untilTrue(election, () => election.leader === leader)

/** Whether etcd takes what a leader with this guard writes. */
async function isTaken({ etcd }: Bed, guard: LeaderGuard | undefined): Promise<boolean> {
  if (guard === undefined) throw new Error('it does not lead')
  const client = await connectEtcd({ endpoints: [etcd.endpoint] }, etcd.endpoint)
  const value = { key: Buffer.from('/written'), value: Buffer.from('x') }
  const { succeeded } = await client.kv.txn({ compare: [...guard], success: [{ request_put: value }] })
  client.close()
  return succeeded
}

describeWithEtcd('an election', () => {
  test('makes one of several the leader, and all know who', async () => {
    const bed = await startBed()
    const all = ['a', 'b', 'c'].map((id) => bed.stand(id))
    const leader = await Promise.any(all.map(async (one) => leads(one).then(() => one)))
    await Promise.all(all.map((one) => follows(one, leader.id)))
    expect(all.filter(({ isLeader }) => isLeader)).toEqual([leader])
    expect((await bed.etcd.client.get(leaderKey({})).string()) ?? '').toBe(leader.id)
    expect(await isTaken(bed, leader.guard)).toBe(true)
    expect(bed.clashes).toEqual([])
  })

  test('hands over at once when the leader resigns, and what that one writes later is refused', async () => {
    const bed = await startBed()
    // Of a length that the test would not wait for.
    const first = createElection({
      endpoints: [bed.etcd.endpoint],
      id: 'first',
      ttlS: 600,
      log: pino({ level: 'silent' }),
    })
    await leads(first)
    const { guard } = first
    const second = bed.stand('second')
    await follows(second, 'first')
    await first.close()
    expect(first).toMatchObject({ isLeader: false, leader: undefined, guard: undefined })
    await leads(second)
    expect(await isTaken(bed, guard)).toBe(false)
    expect(await isTaken(bed, second.guard)).toBe(true)
  })

  test('goes over within the term when the leader falls silent, which has stopped leading by then', async () => {
    const bed = await startBed()
    const proxy = await startTcpProxy(bed.etcd.port)
    const silent = bed.stand('silent', { endpoints: [proxy.endpoint] })
    await leads(silent)
    const { guard } = silent
    const other = bed.stand('other')
    await follows(other, 'silent')
    proxy.freeze()
    const since = performance.now()
    await leads(other)
    expect(performance.now() - since).toBeLessThan(ttlS * 1000 + 3_000)
    expect(silent).toMatchObject({ isLeader: false, leader: undefined })
    expect(bed.clashes).toEqual([])
    expect(await isTaken(bed, guard)).toBe(false)
    await proxy.mend()
    await follows(silent, 'other')
    expect(silent.isLeader).toBe(false)
  })

  test('is over in time, and told so, though a timer fires a moment early, as some do', async () => {
    const bed = await startBed()
    const proxy = await startTcpProxy(bed.etcd.port)
    const start = setTimeout
    const early = (act: (...args: unknown[]) => void, ms = 0, ...args: unknown[]) => start(act, ms - 5, ...args)
    vi.spyOn(globalThis, 'setTimeout').mockImplementation(early as typeof setTimeout)
    const one = bed.stand('one', { endpoints: [proxy.endpoint] })
    await leads(one)
    await proxy.cut()
    await untilTrue(one, () => !one.isLeader)
    expect(one.leader).toBeUndefined()
  })

  test('is over for a leader whose lease was taken away', async () => {
    const bed = await startBed()
    const [one, other] = [bed.stand('one'), bed.stand('other')]
    const leader = await Promise.any([one, other].map(async (each) => leads(each).then(() => each)))
    const { guard } = leader
    await bed.etcd.client.leaseClient.leaseRevoke({ ID: String(guard?.[1]?.lease) })
    await untilTrue(leader, () => !leader.isLeader)
    await eventually(() => one.isLeader || other.isLeader)
    expect(await isTaken(bed, guard)).toBe(false)
    expect(bed.clashes).toEqual([])
  })

  test('leaves the leader where it was while etcd restarts, for its lease outlives that', async () => {
    const bed = await startBed()
    const one = bed.stand('one')
    await leads(one)
    const other = bed.stand('other')
    await follows(other, 'one')
    const { guard } = one
    await bed.etcd.kill()
    await eventually(() => one.trouble !== undefined)
    await bed.etcd.start()
    await eventually(() => one.trouble === undefined && other.trouble === undefined)
    expect([one.isLeader, other.leader]).toEqual([true, 'one'])
    expect(one.guard).toEqual(guard)
    expect(bed.clashes).toEqual([])
  })

  test('is held anew in an etcd without its data, where the old guard is refused though revisions are counted again', async () => {
    const bed = await startBed()
    const one = bed.stand('one')
    await leads(one)
    const { guard } = one
    await bed.etcd.startEmpty()
    await untilTrue(one, () => one.guard !== undefined && JSON.stringify(one.guard) !== JSON.stringify(guard))
    expect(one.guard?.[0]).toEqual(guard?.[0])
    expect(await isTaken(bed, guard)).toBe(false)
    expect(await isTaken(bed, one.guard)).toBe(true)
  })

  test('tells once that etcd cannot be reached, and that it can', async () => {
    const bed = await startBed()
    const proxy = await startTcpProxy(bed.etcd.port)
    const one = bed.stand('one', { endpoints: [proxy.endpoint] })
    await leads(one)
    await proxy.cut()
    await untilTrue(one, () => !one.isLeader)
    await eventually(() => one.trouble !== undefined)
    await proxy.mend()
    await leads(one)
    expect(one.trouble).toBeUndefined()
    expect(bed.logged.filter((line) => line.includes('cannot lead'))).toHaveLength(1)
    expect(bed.logged.filter((line) => line.includes('can lead again'))).toHaveLength(1)
  })

  test('goes on without a replica that may not write, which knows who leads', async () => {
    const root = { user: 'root', password: 'secret' }
    const bed = await startBed({ auth: root })
    const { auth } = bed.etcd.client
    await auth.roleAdd({ name: 'reader' })
    const range = { key: Buffer.from('/fairlead/'), range_end: Buffer.from('/fairlead0') }
    await auth.roleGrantPermission({ name: 'reader', perm: { permType: 'Read', ...range } })
    await auth.userAdd({ name: 'reads', password: 'too' })
    await auth.userGrantRole({ user: 'reads', role: 'reader' })
    const reader = bed.stand('reader', { auth: { user: 'reads', password: 'too' } })
    await eventually(() => reader.trouble !== undefined)
    expect(reader.trouble).toBe('the etcd user reads may not write /fairlead/leader')
    const writer = bed.stand('writer', { auth: root })
    await leads(writer)
    await follows(reader, 'writer')
    expect(reader.isLeader).toBe(false)
    expect(bed.logged.filter((line) => line.includes('cannot lead'))).toHaveLength(1)
  })
})
