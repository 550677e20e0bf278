import { expect, test } from 'vitest'
import type { ReplicasStatus } from '../../src/admin/server.ts'
import { metric } from '../support/control-plane.ts'
import { createEtcdStore } from '../support/document-store.ts'
import { cluster, endpoints } from '../support/documents.ts'
import { startEtcdCluster } from '../support/etcd-cluster.ts'
import { describeWithEtcd } from '../support/needs.ts'
import { eventually } from '../support/poll.ts'
import { type ServerProcess, startServer } from '../support/server-process.ts'

/** How long nobody leads after a kill, by what operations.md says, and what a busy machine adds. */
const termMs = 6_000
const slackMs = 6_000

const leads = async (server: ServerProcess): Promise<boolean> => (await metric(server, 'fairlead_leader')) === 1

async function listedBy({ adminUrl }: ServerProcess): Promise<readonly string[]> {
  const status = (await (await fetch(`${adminUrl}/api/replicas`)).json()) as ReplicasStatus
  return status.replicas.map(({ id }) => id)
}

/** How long it takes until that one leads. */
async function untilLeads(server: ServerProcess): Promise<number> {
  const since = performance.now()
  await eventually(async () => await leads(server), { timeoutMs: termMs + slackMs })
  return performance.now() - since
}

describeWithEtcd('the leader of real servers on an etcd of three', () => {
  test('is followed by another when it is killed, stands still, or is asked to end, and when etcd loses its own', async () => {
    const etcd = await startEtcdCluster()
    const store = createEtcdStore(etcd)
    await store.write({ ...cluster('cart'), ...endpoints('cart') })
    const start = async (replicaId: string): Promise<ServerProcess> => await startServer({ ...store.flags, replicaId })
    const first = await start('first')
    await untilLeads(first)
    const second = await start('second')
    await eventually(async () => expect(await listedBy(second)).toEqual(['first', 'second']), { timeoutMs: 15_000 })

    await first.kill()
    expect(await untilLeads(second)).toBeLessThan(termMs + slackMs)

    // etcd elects a leader of its own; ours stays, or is followed.
    const third = await start('third')
    const member = await etcd.leader()
    await member.kill()
    await eventually(async () => (await leads(second)) !== (await leads(third)), { timeoutMs: 20_000 })
    await member.start()
    const [leading, other] = (await leads(second)) ? [second, third] : [third, second]

    // It stands still for longer than its term, and must not go on leading where it left off.
    process.kill(leading.pid, 'SIGSTOP')
    await untilLeads(other)
    process.kill(leading.pid, 'SIGCONT')
    expect(await leads(leading)).toBe(false)
    expect(await leads(other)).toBe(true)

    // At once, while its streams still drain.
    const stopped = other.terminate()
    expect(await untilLeads(leading)).toBeLessThan(3_000)
    await stopped
    await eventually(async () => expect(await listedBy(leading)).toHaveLength(1), { timeoutMs: 15_000 })
  })
})
