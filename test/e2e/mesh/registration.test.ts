import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { buildBootstrap } from '../../../src/cli/bootstrap-config.ts'
import { problems, waitForProblems } from '../../support/admin-client.ts'
import { atTestEnd } from '../../support/at-test-end.ts'
import { startControlPlane } from '../../support/control-plane.ts'
import { type EnvoyProcess, startEnvoy } from '../../support/envoy.ts'
import { startEtcd } from '../../support/etcd.ts'
import { freePorts } from '../../support/free-ports.ts'
import { startLoad } from '../../support/load.ts'
import { describeWithEnvoy, describeWithEtcd } from '../../support/needs.ts'
import { eventually } from '../../support/poll.ts'
import { tempDir } from '../../support/temp.ts'

const main = fileURLToPath(new URL('../../../src/cli/main.ts', import.meta.url))

/** An app that says who it is, and ends with 7 when it is asked to. */
const app = `
const [name, port] = process.argv.slice(1)
require('node:http')
  .createServer((request, response) => {
    request.resume()
    response.writeHead(200, { 'x-backend': name })
    response.end(JSON.stringify({ backend: name }))
  })
  .listen(Number(port), '127.0.0.1', () => console.log('pid ' + process.pid))
process.on('SIGTERM', () => process.exit(7))
`

interface Registered {
  readonly process: ChildProcess
  readonly port: number
  readonly ended: Promise<number | null>
}

/** `fairlead register -- node app`, as a process that can be killed; the app is ended with the test. */
async function register(etcd: string, name: string, drain = '1s'): Promise<Registered> {
  const [port = 0] = await freePorts(1)
  const flags = ['--service', 'cart', '--address', '127.0.0.1', '--port', String(port), '--instance', name]
  const times = ['--ttl', '2s', '--drain', drain, '--etcd', etcd, '--label', `version=${name}`]
  const command = ['--', process.execPath, '-e', app, name, String(port)]
  const child = spawn(
    process.execPath,
    ['--import', import.meta.resolve('tsx'), main, 'register', ...flags, ...times, ...command],
    { cwd: tempDir(), stdio: ['ignore', 'pipe', 'inherit'] },
  )
  const ended = once(child, 'exit').then(([code]) => code as number | null)
  atTestEnd(async () => {
    child.kill('SIGKILL')
    await ended
  })
  child.stdout.on('data', (chunk: Buffer) => {
    const pid = Number(/pid (\d+)/.exec(chunk.toString())?.[1])
    atTestEnd(() => {
      try {
        process.kill(pid, 'SIGKILL')
      } catch {
        // It ended with the command.
      }
    })
  })
  return { process: child, port, ended }
}

const shop = (port: number): string => `
kind: Service
name: cart
registry: {}
---
kind: Gateway
name: edge
nodes: {cluster: edge}
listeners: [{name: http, address: 127.0.0.1, port: ${port}}]
---
kind: Route
name: cart
gateways: edge
rules: [{backends: cart}]
`

/** The endpoints that Envoy has for the Service, each with its health flags. */
async function endpoints(envoy: EnvoyProcess): Promise<ReadonlyMap<string, string>> {
  const page = await envoy.adminGet('/clusters')
  return new Map(
    [...page.matchAll(/^cart::([\d.]+:\d+)::health_flags::(.*)$/gm)].map(([, address = '', flags = '']) => [
      address,
      flags,
    ]),
  )
}

describeWithEtcd('an instance that registers in etcd', () => {
  test('is gone with its command, at once, at a second Ctrl-C', async () => {
    const etcd = await startEtcd()
    const one = await register(etcd.endpoint, 'one', '1h')
    const told = async (): Promise<string> => (await etcd.client.get('/fairlead/endpoints/cart/one').string()) ?? 'gone'
    await eventually(async () => expect(await told()).toContain('127.0.0.1'), { timeoutMs: 20_000 })
    one.process.kill('SIGINT')
    await eventually(async () => expect(await told()).toContain('draining'))
    one.process.kill('SIGINT')
    expect(await one.ended).toBe(137)
    expect(await told()).toBe('gone')
    await expect(fetch(`http://127.0.0.1:${one.port}`)).rejects.toThrow()
  })

  describeWithEnvoy('for a Service in front of which there is an Envoy', () => {
    test('gets requests, none after its drain, and is gone within its lease when it is killed', async () => {
      const etcd = await startEtcd()
      const [port = 0] = await freePorts(1)
      const config = tempDir()
      writeFileSync(join(config, 'shop.yaml'), shop(port))
      await etcd.client.put('/fairlead/config/none').value('resources: []')
      const server = await startControlPlane({ config: [config], etcd: etcd.endpoint })
      const envoy = await startEnvoy({
        bootstrap: buildBootstrap({ id: 'edge-1', cluster: 'edge', server: server.server, delta: false }),
      })
      await envoy.waitLive()
      await waitForProblems(server.adminUrl, ['no-endpoints'])
      const until = async (holds: (all: ReadonlyMap<string, string>) => boolean): Promise<void> => {
        await eventually(async () => holds(await endpoints(envoy)), { timeoutMs: 20_000 })
      }

      const one = await register(etcd.endpoint, 'one')
      await until((all) => all.get(`127.0.0.1:${one.port}`) === 'healthy')
      expect(await problems(server.adminUrl)).toEqual([])
      const load = startLoad({ port: await envoy.listenerPort('edge/http'), host: 'cart', path: '/' })
      await load.next(20, { from: 'one' })

      // What another program writes by the contract; and something that is none of it, which concerns nobody else.
      await etcd.client.put('/fairlead/endpoints/cart/broken').value('{"address": "127.0.0.1", "prot": 1}')
      await waitForProblems(server.adminUrl, ['unknown-field', 'rule-violation'])
      expect((await problems(server.adminUrl))[0]).toMatchObject({
        place: expect.stringContaining('endpoints/cart/broken') as string,
      })
      await etcd.client.delete().key('/fairlead/endpoints/cart/broken')
      await waitForProblems(server.adminUrl, [])

      const two = await register(etcd.endpoint, 'two')
      await until((all) => all.get(`127.0.0.1:${two.port}`) === 'healthy')
      one.process.kill('SIGTERM')
      await until((all) => /eds/.test(all.get(`127.0.0.1:${one.port}`) ?? ''))
      await load.next(20, { from: 'two' })
      expect(await one.ended).toBe(7)
      await until((all) => !all.has(`127.0.0.1:${one.port}`))
      await load.next(20, { from: 'two' })
      expect(await load.stop()).toMatchObject({ failed: 0, failures: [] })

      const killedAt = performance.now()
      two.process.kill('SIGKILL')
      await until((all) => all.size === 0)
      // The lease of 2 s, at which etcd looks twice a second, and the debounce of a change.
      expect(performance.now() - killedAt).toBeLessThan(6_000)
      await waitForProblems(server.adminUrl, ['no-endpoints'])
    })
  })
})
