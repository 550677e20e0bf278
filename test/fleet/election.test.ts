import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { createElection, type Election } from '../../src/fleet/election.ts'
import { silentLog } from '../../src/log.ts'
import { connectEtcd } from '../../src/source/etcd-client.ts'
import { type EtcdChange, watchChanges } from '../../src/source/etcd-watch.ts'
import { atTestEnd } from '../support/at-test-end.ts'
import { startEtcd } from '../support/etcd.ts'
import { describeWithEtcd } from '../support/needs.ts'
import { eventually } from '../support/poll.ts'
import { createRandom } from '../support/random.ts'
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts'

const isLong = process.env['FAIRLEAD_TEST_LONG'] === '1'

const seeds = isLong ? [1, 2, 3, 4, 5, 6] : [1]
const chaosMs = isLong ? 60_000 : 15_000

/** The least that etcd grants. */
const ttlS = 2

interface Stander {
  readonly election: Election
  readonly proxy: TcpProxy
}

describeWithEtcd('several who would lead', () => {
  test.each(seeds)('and whose connections freeze, break and heal never lead at once: seed %i', async (seed) => {
    const random = createRandom(seed)
    const etcd = await startEtcd()
    const clashes: string[] = []
    const standers: Stander[] = []
    const leading = (): readonly Stander[] => standers.filter(({ election }) => election.isLeader)
    const check = (): void => {
      if (leading().length > 1)
        clashes.push(
          leading()
            .map(({ election }) => election.id)
            .join(' and '),
        )
    }
    for (const id of ['a', 'b', 'c']) {
      const proxy = await startTcpProxy(etcd.port)
      const election = createElection({ endpoints: [proxy.endpoint], id, ttlS, log: silentLog })
      atTestEnd(() => election.close())
      election.onChange(check)
      standers.push({ election, proxy })
    }

    // Whoever ever led goes on to write under the guard that it had, as a process that stood still would.
    const over = new AbortController()
    const direct = await connectEtcd({ endpoints: [etcd.endpoint] }, etcd.endpoint)
    atTestEnd(() => direct.close())
    const written: { readonly term: string; readonly revision: bigint }[] = []
    const watching = watchAll(direct, over.signal)
    const guards = new Map<string, NonNullable<Election['guard']>>()
    let late = 0
    const write = async (): Promise<void> => {
      for (const { election } of standers) {
        if (election.guard !== undefined) guards.set(JSON.stringify(election.guard), election.guard)
      }
      for (const [term, guard] of guards) {
        const request_put = { key: Buffer.from('/written'), value: Buffer.from(term) }
        const { succeeded, header } = await direct.kv.txn({ compare: [...guard], success: [{ request_put }] })
        if (succeeded) written.push({ term, revision: BigInt(header.revision) })
        else late++
      }
    }

    const until = performance.now() + chaosMs
    let handovers = 0
    let last: string | undefined
    let nextActAt = 0
    while (performance.now() < until) {
      check()
      await write()
      const [leader] = leading()
      if (leader !== undefined && leader.election.id !== last) {
        handovers++
        last = leader.election.id
      }
      await sleep(20)
      if (performance.now() < nextActAt) continue
      nextActAt = performance.now() + 300 + random.below(1_500)
      const { proxy } = leader !== undefined && random.chance(0.6) ? leader : random.pick(standers)
      if (random.chance(0.4)) await proxy.mend()
      else if (random.chance(0.6)) proxy.freeze()
      else await proxy.cut()
    }
    for (const { proxy } of standers) await proxy.mend()
    await eventually(() => leading().length === 1, { timeoutMs: 15_000 })
    await eventually(() => new Set(standers.map(({ election }) => election.leader)).size === 1, { timeoutMs: 15_000 })
    await write()
    const changes = await watching(written.length)
    over.abort()

    expect(clashes).toEqual([])
    // In the order in which etcd has them, a term that is over never comes again.
    const terms = changes.flatMap((change) => change.changes.map(({ entry }) => entry?.value.toString()))
    expect(terms).toEqual(written.map(({ term }) => term))
    const runs = terms.filter((term, index) => term !== terms[index - 1])
    expect(runs).toHaveLength(new Set(runs).size)
    expect(late).toBeGreaterThan(0)
    expect(handovers).toBeGreaterThan(1)
  })
})

/** All writes of `/written`, in etcd's order: resolves when so many are there. */
function watchAll(
  client: Parameters<typeof watchChanges>[0],
  signal: AbortSignal,
): (count: number) => Promise<EtcdChange[]> {
  const changes: EtcdChange[] = []
  const onChange = (change: EtcdChange): void => void changes.push(change)
  void watchChanges(client, { prefix: '/written', from: 1n, timeoutMs: 5_000, onChange }, signal)
  return async (count) => {
    await eventually(() => changes.reduce((sum, change) => sum + change.changes.length, 0) >= count)
    return changes
  }
}
