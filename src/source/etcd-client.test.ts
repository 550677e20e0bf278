import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { startEtcd } from '../../test/support/etcd.ts'
import { describeWithEtcd } from '../../test/support/needs.ts'
import { eventually } from '../../test/support/poll.ts'
import { connectEtcd, type EtcdClient } from './etcd-client.ts'

async function renew({ leaseClient }: EtcdClient, lease: string): Promise<WeakRef<object>> {
  const call = await leaseClient.leaseKeepAlive()
  await new Promise((resolve, reject) => {
    call.on('data', resolve)
    call.on('error', reject)
    call.write({ ID: lease })
  })
  call.cancel()
  return new WeakRef(call)
}

describeWithEtcd('a client of etcd', () => {
  test('keeps nothing of a call that is over, for a lease is renewed for weeks', async () => {
    setFlagsFromString('--expose-gc')
    const collectGarbage = runInNewContext('gc') as () => void
    const etcd = await startEtcd()
    const client = await connectEtcd({ endpoints: [etcd.endpoint] }, etcd.endpoint)
    const { ID: lease } = await client.leaseClient.leaseGrant({ TTL: 60 })
    const calls: WeakRef<object>[] = []
    for (let count = 0; count < 10; count++) calls.push(await renew(client, lease))
    await eventually(() => {
      collectGarbage()
      // What ran last may still stand on the stack, or in gRPC.
      expect(calls.filter((call) => call.deref() !== undefined).length).toBeLessThan(4)
    })
    client.close()
  })
})
