import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import {
  createReplicas,
  type ReplicaFacts,
  type Replicas,
  type ReplicasOptions,
  replicasPrefix,
} from '../../src/fleet/replicas.ts'
import { atTestEnd } from '../support/at-test-end.ts'
import { startEtcd } from '../support/etcd.ts'
import { describeOnEtcd, type EtcdBed } from '../support/etcd-bed.ts'
import { eventually } from '../support/poll.ts'
import { startTcpProxy } from '../support/tcp-proxy.ts'

/** The least that etcd grants: it is looked every two thirds of a second. */
const ttlS = 2

const facts: Omit<ReplicaFacts, 'id'> = {
  host: 'here',
  version: '1.2.3',
  startedAt: '2026-11-21T07:00:00.000Z',
  sources: ['etcd:/fairlead/config/'],
  config: 'a'.repeat(16),
  errors: 0,
  streams: 0,
}

describeOnEtcd('replicas', (open) => {
  interface Bed extends EtcdBed {
    readonly join: (id: string, options?: Partial<ReplicasOptions>) => Replicas
  }

  function openBed(): Bed {
    const bed = open()
    const { etcd, prefix, log } = bed
    return {
      ...bed,
      join(id, options) {
        const replicas = createReplicas({
          endpoints: [etcd.endpoint],
          prefix,
          id,
          facts: async () => facts,
          isReadOnly: false,
          log,
          ttlS,
          ...options,
        })
        atTestEnd(() => replicas.close())
        return replicas
      },
    }
  }

  const idsOf = (replicas: Replicas): readonly string[] => replicas.list().map(({ id }) => id)

  test('know of each other, and what each serves', async () => {
    const { join } = openBed()
    let streams = 1
    const a = join('a', { facts: async () => ({ ...facts, streams }) })
    const b = join('b')
    await eventually(() => expect(idsOf(a)).toEqual(['a', 'b']))
    await eventually(() =>
      expect(b.list()).toEqual([
        { ...facts, id: 'a', streams: 1, isSelf: false },
        { ...facts, id: 'b', isSelf: true },
      ]),
    )
    streams = 7
    await eventually(() => expect(b.list()[0]?.streams).toBe(7), { timeoutMs: 8_000 })
    expect([a.problems, b.problems]).toEqual([[], []])
  })

  test('forget at once who leaves, and after its lease who is gone', async () => {
    const { etcd, prefix, join } = openBed()
    const a = join('a')
    const b = join('b')
    const proxy = await startTcpProxy(etcd.port)
    join('c', { endpoints: [proxy.endpoint] })
    await eventually(() => expect(idsOf(a)).toEqual(['a', 'b', 'c']))
    await b.close()
    expect(await etcd.client.getAll().prefix(replicasPrefix({ prefix })).keys()).toHaveLength(2)
    await eventually(() => expect(idsOf(a)).toEqual(['a', 'c']))
    await proxy.cut()
    await eventually(() => expect(idsOf(a)).toEqual(['a']), { timeoutMs: 8_000 })
    await etcd.client.delete().prefix(replicasPrefix({ prefix }))
    await eventually(async () => await etcd.client.get(`${replicasPrefix({ prefix })}a`).exists())
  })

  test('list nobody who may not be written, and tell of nothing else to who only reads', async () => {
    const { etcd, prefix, join } = openBed()
    const a = join('a')
    const reader = join('reader', { isReadOnly: true })
    await eventually(() => expect(idsOf(reader)).toEqual(['a', 'reader']))
    await eventually(() => a.isReachable)
    expect(await etcd.client.getAll().prefix(prefix).keys()).toEqual([`${replicasPrefix({ prefix })}a`])
    expect(reader.problems).toEqual([])
  })

  test('tell of an id that another has, who keeps it, and not of one that was killed and started again', async () => {
    const { etcd, prefix, logged, join } = openBed()
    const key = `${replicasPrefix({ prefix })}same`
    const { ID: lease } = await etcd.client.leaseClient.leaseGrant({ TTL: ttlS })
    await etcd.client.kv.put({ key: Buffer.from(key), value: Buffer.from('{}'), lease })
    const first = join('same')
    const heldByFirst = async (): Promise<boolean> => (await etcd.client.get(key).string())?.includes('here') === true
    await eventually(heldByFirst, { timeoutMs: 8_000 })
    expect(first.problems).toEqual([])
    const second = join('same', { facts: async () => ({ ...facts, host: 'there' }) })
    await eventually(() => expect(second.problems).toHaveLength(1), { timeoutMs: 8_000 })
    expect(second.problems[0]).toMatchObject({
      severity: 'warning',
      code: 'fleet',
      origin: { name: `etcd:${key}` },
      message:
        'another replica on here, started at 2026-11-21T07:00:00.000Z, is called same, too: this one is not listed',
      fix: expect.stringContaining('--replica-id'),
    })
    expect(first.problems).toEqual([])
    expect(await heldByFirst()).toBe(true)
    await eventually(() => logged.length > 0)
    expect(logged.filter((line) => line.includes('is called same'))).toHaveLength(1)
  })

  test('tell who serves something else from the same sources for long, and not while that goes on', {
    timeout: 30_000,
  }, async () => {
    const { logged, join } = openBed()
    let changes = 0
    const differing = { differenceMs: 3_000 }
    const a = join('a', differing)
    const settled = { ...facts, config: 'b'.repeat(16) }
    let isSettled = false
    join('b', { facts: async () => (isSettled ? settled : { ...facts, config: String(++changes).padStart(16, '0') }) })
    // What another reads, or another version makes of it, may be something else.
    join('files', { facts: async () => ({ ...settled, sources: ['file:'] }) })
    join('erring', { facts: async () => ({ ...settled, errors: 1 }) })
    join('newer', { facts: async () => ({ ...settled, version: '2.0.0' }) })
    await eventually(() => expect(idsOf(a)).toEqual(['a', 'b', 'erring', 'files', 'newer']))
    // Longer than that, in which b goes on from one to the next.
    await sleep(5_000)
    expect(a.problems).toEqual([])
    isSettled = true
    await eventually(() => expect(a.problems).toHaveLength(1), { timeoutMs: 12_000 })
    expect(a.problems[0]).toMatchObject({
      severity: 'warning',
      code: 'fleet',
      message: 'b serves something else from the same sources: bbbbbbbb there, aaaaaaaa here',
    })
    await eventually(() => logged.length > 0)
    expect(logged.filter((line) => line.includes('b serves something else'))).toHaveLength(1)
  })

  test('tell of an etcd that has no space left, and when it has', { timeout: 30_000 }, async () => {
    const { join } = openBed()
    const etcd = await startEtcd({ args: ['--quota-backend-bytes', '400000'] })
    let streams = 0
    const a = join('a', { endpoints: [etcd.endpoint], facts: async () => ({ ...facts, streams: ++streams }) })
    await eventually(() => a.isReachable)
    const fill = async (): Promise<never> => {
      for (;;) await etcd.client.put('/elsewhere').value('x'.repeat(50_000))
    }
    await expect(fill()).rejects.toThrow('database space exceeded')
    await eventually(() => expect(a.problems).toHaveLength(1), { timeoutMs: 8_000 })
    expect(a.problems[0]).toMatchObject({ severity: 'warning', code: 'fleet', fix: expect.stringMatching(/alarm/) })
    expect(a.problems[0]?.message).toContain('etcd has no space left')
    await etcd.makeRoom()
    await eventually(() => expect(a.problems).toEqual([]), { timeoutMs: 8_000 })
    expect(a.isReachable).toBe(true)
  })

  test('do without etcd while it is away, which nobody is told here', async () => {
    const { etcd, logged, join } = openBed()
    const proxy = await startTcpProxy(etcd.port)
    const a = join('a', { endpoints: [proxy.endpoint] })
    await eventually(() => a.isReachable)
    await proxy.cut()
    await eventually(() => !a.isReachable)
    expect(idsOf(a)).toEqual(['a'])
    expect([a.problems, logged]).toEqual([[], []])
    await proxy.mend()
    await eventually(() => a.isReachable)
  })

  test('ignore what no replica wrote', async () => {
    const { etcd, prefix, join } = openBed()
    for (const [name, value] of Object.entries({ text: 'x', list: '[]', nothing: 'null', some: '{"id":"some"}' })) {
      await etcd.client.put(`${replicasPrefix({ prefix })}${name}`).value(value)
    }
    const a = join('a')
    await eventually(() => a.isReachable)
    expect(idsOf(a)).toEqual(['a'])
  })
})
