import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { atTestEnd } from '../../support/at-test-end.ts'
import { eventually } from '../../support/poll.ts'
import { sendRudeClients, strictHeap } from '../../support/rude-clients.ts'
import { askHttp2, bootstrapOf, cluster, httpFilter, startRoughHttp2, toCluster } from './rough-bed.ts'

const createProxy = fileURLToPath(new URL('../../../src/proxy/create-proxy.ts', import.meta.url))

test('a proxy outlives clients that go away and ask on in one packet', async () => {
  const bootstrap = bootstrapOf(
    [
      {
        name: 'plain',
        address: { socket_address: { address: '127.0.0.1', port_value: 0 } },
        filter_chains: [{ filters: [httpFilter({ virtualHosts: [toCluster('http2')] })] }],
      },
    ],
    [cluster('http2', await startRoughHttp2(), true)],
  )
  // In a process of its own, for what is to be seen is whether it aborts.
  const source = `
    const { createProxy } = await import(${JSON.stringify(createProxy)})
    const proxy = await createProxy({ bootstrap: JSON.parse(process.env.BOOTSTRAP) })
    await proxy.live
    console.log(proxy.listenerPort('plain'))
  `
  const child = spawn(
    process.execPath,
    ['--import', import.meta.resolve('tsx'), '--input-type=module', '--eval', source],
    {
      env: { ...process.env, ...strictHeap, BOOTSTRAP: JSON.stringify(bootstrap) },
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  atTestEnd(() => void child.kill('SIGKILL'))
  const [port] = await once(child.stdout, 'data')
  await sendRudeClients(Number(port))
  // It may be busy with their requests still.
  await eventually(
    async () => {
      expect(child.signalCode).toBe(null)
      expect(await askHttp2(Number(port), { ':authority': 'http2' })).toMatchObject({ status: 200, end: 'done' })
    },
    { timeoutMs: 30_000 },
  )
})
