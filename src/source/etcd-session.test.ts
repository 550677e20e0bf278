import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { atTestEnd } from '../../test/support/at-test-end.ts'
import { startEtcd } from '../../test/support/etcd.ts'
import { startForgetfulEtcd } from '../../test/support/forgetful-etcd.ts'
import { describeWithEtcd } from '../../test/support/needs.ts'
import { startTcpProxy } from '../../test/support/tcp-proxy.ts'
import { createEtcdSession, type EtcdSession } from './etcd-session.ts'

const auth = { user: 'root', password: 'secret' }
const timing = { callMs: 2_000 }

const ask = async (session: EtcdSession): Promise<string> =>
  (await session.run(async ({ kv }) => await kv.range({ key: Buffer.from('/') }))).header.revision

describeWithEtcd('a session with etcd', () => {
  test('goes on when the token has ended with which it was let in', async () => {
    const etcd = await startForgetfulEtcd(auth)
    const session = createEtcdSession({ endpoints: [etcd.endpoint], timing, auth })
    atTestEnd(() => session.close())
    const revision = await ask(session)
    await delay(2_500)
    expect(await ask(session)).toBe(revision)
  })

  test('tells what failed, once for an endpoint, when etcd does not answer by a new connection either', async () => {
    const etcd = await startEtcd()
    const wire = await startTcpProxy(etcd.port)
    const endpoint = wire.endpoint
    const session = createEtcdSession({ endpoints: [endpoint], timing })
    atTestEnd(() => session.close())
    const revision = await ask(session)
    await wire.cut()
    await expect(ask(session)).rejects.toThrow(/^etcd does not answer: http:\/\/127\.0\.0\.1:\d+: [^;]+$/)
    await wire.mend()
    expect(await ask(session)).toBe(revision)
  })
})
