import { generateKeyPairSync } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { atTestEnd } from '../../test/support/at-test-end.ts'
import { startEtcd, type TestEtcd } from '../../test/support/etcd.ts'
import { describeWithEtcd } from '../../test/support/needs.ts'
import { startTcpProxy } from '../../test/support/tcp-proxy.ts'
import { tempDir } from '../../test/support/temp.ts'
import { createEtcdSession, type EtcdSession } from './etcd-session.ts'

const auth = { user: 'root', password: 'secret' }
const timing = { callMs: 2_000 }

/** An etcd whose tokens end after a second, as others' do after minutes. */
async function startForgetful(): Promise<TestEtcd> {
  const directory = tempDir()
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const [pub, key] = [join(directory, 'pub.pem'), join(directory, 'key.pem')]
  writeFileSync(pub, publicKey.export({ type: 'spki', format: 'pem' }))
  writeFileSync(key, privateKey.export({ type: 'pkcs1', format: 'pem' }))
  const token = `jwt,pub-key=${pub},priv-key=${key},sign-method=RS256,ttl=1s`
  const etcd = await startEtcd({ auth, args: ['--auth-token', token] })
  return etcd
}

const ask = async (session: EtcdSession): Promise<string> =>
  (await session.run(async ({ kv }) => await kv.range({ key: Buffer.from('/') }))).header.revision

describeWithEtcd('a session with etcd', () => {
  test('goes on when the token has ended with which it was let in', async () => {
    const etcd = await startForgetful()
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
