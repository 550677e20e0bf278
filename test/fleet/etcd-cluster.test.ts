import { expect, test } from 'vitest'
import { type EtcdMember, startEtcdCluster } from '../support/etcd-cluster.ts'
import { describeWithEtcd } from '../support/needs.ts'
import { eventually } from '../support/poll.ts'

/** As a client that knows this member alone; reads that it answers by itself are of no use here. */
async function put(member: EtcdMember, value: string): Promise<boolean> {
  const body = JSON.stringify({ key: btoa('key'), value: btoa(value) })
  const request = { method: 'POST', body, signal: AbortSignal.timeout(1_000) }
  return await fetch(`${member.endpoint}/v3/kv/put`, request).then(
    ({ ok }) => ok,
    () => false,
  )
}

describeWithEtcd('a cluster of etcd for tests', () => {
  test('has another leader when its leader is killed or isolated, and only who is with the others can write', async () => {
    const cluster = await startEtcdCluster()
    const first = await cluster.leader()
    expect(await put(first, 'one')).toBe(true)
    await first.kill()
    const second = await cluster.leader()
    expect(second).not.toBe(first)
    await eventually(() => put(second, 'two'))
    await first.start()

    cluster.isolate(second)
    const third = await cluster.leader()
    expect(third).not.toBe(second)
    await eventually(() => put(third, 'three'))
    expect(await put(second, 'lost')).toBe(false)
    cluster.mend()
    await eventually(() => put(second, 'four'), { timeoutMs: 15_000 })
  }, 60_000)
})
