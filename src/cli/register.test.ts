import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { constants } from 'node:os'
import { beforeAll, describe, expect, test } from 'vitest'
import { atTestEnd } from '../../test/support/at-test-end.ts'
import { runCommand, startCommand } from '../../test/support/command.ts'
import { startEtcd, type TestEtcd } from '../../test/support/etcd.ts'
import { freePorts } from '../../test/support/free-ports.ts'
import { describeWithEtcd } from '../../test/support/needs.ts'
import { eventually } from '../../test/support/poll.ts'

const cart = [
  'register',
  '--service',
  'cart',
  '--port',
  '8080',
  '--address',
  '10.0.0.1',
  '--etcd',
  'http://127.0.0.1:1',
]

/** With the value of a flag changed. */
const having = (flag: string, value: string): readonly string[] => [
  ...cart.flatMap((word, index) => (cart[index - 1] === flag ? [value] : [word])),
  ...(cart.includes(flag) ? [] : [flag, value]),
]

describe('fairlead register', () => {
  test.each<[readonly string[], RegExp]>([
    [['register', '--service', 'cart', '--port', '80'], /required option '--etcd <URLS>'/],
    [having('--service', 'Cart'), /--service: This is no name/],
    [having('--port', '70000'), /--port: /],
    [having('--port', 'x'), /--port x is not a number/],
    [having('--instance', 'a_b'), /--instance: This is no name/],
    [having('--label', 'x'), /Write KEY=VALUE/],
    [having('--region', ''), /--region: /],
    [having('--weight', '-1'), /--weight -1 is not a number/],
    [having('--ttl', '10'), /--ttl 10 cannot be used/],
    [having('--drain', 'soon'), /--drain soon cannot be used/],
    [having('--health', 'udp'), /--health udp cannot be used/],
    [having('--health-interval', 'soon'), /--health-interval soon cannot be used/],
    [having('--etcd', 'ftp://x'), /--etcd cannot be used/],
    [[...cart, '--', '/no/such/program'], /\/no\/such\/program cannot be started/],
  ])('is wrong use as %s', async (args, message) => {
    const { code, out, err } = await runCommand(args)
    expect([code, out]).toEqual([2, ''])
    expect(err).toMatch(message)
  })

  test('ends as its command ends, also before that was registered', async () => {
    const program = ['--', process.execPath, '-e', 'process.exit(5)']
    expect((await runCommand([...cart, ...program])).code).toBe(5)
    const killed = ['--', process.execPath, '-e', "process.kill(process.pid, 'SIGKILL')"]
    expect((await runCommand([...cart, ...killed])).code).toBe(137)
  })
})

describeWithEtcd('what holds a key', () => {
  let etcd: TestEtcd
  beforeAll(async () => {
    etcd = await startEtcd()
  })

  const healthOf = async (instance: string): Promise<unknown> => {
    const text = await etcd.client.get(`/fairlead/endpoints/cart/${instance}`).string()
    return text === null ? 'gone' : ((JSON.parse(text) as { readonly health?: string }).health ?? 'well')
  }
  const until = async (instance: string, health: string): Promise<void> =>
    void (await eventually(async () => (await healthOf(instance)) === health))

  const registering = (instance: string, port: number, more: string): readonly string[] =>
    `register --service cart --address 127.0.0.1 --instance ${instance} --port ${port} --etcd ${etcd.endpoint} ${more}`.split(
      ' ',
    )

  test('tells that the instance is well, unhealthy and well again, as it answers', async () => {
    let status = 503
    const server = createServer(
      (request, response) => void response.writeHead(request.url === '/live' ? status : 404).end(),
    )
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    atTestEnd(() => void server.close())
    const { port } = server.address() as AddressInfo
    const command = startCommand(registering('one', port, '--health /live --health-interval 20ms --drain 10ms'))
    expect(await healthOf('one')).toBe('gone')
    status = 200
    await until('one', 'well')
    status = 503
    await until('one', 'unhealthy')
    status = 200
    await until('one', 'well')
    expect((await command.stop()).err).toMatch(/is unhealthy.*is well again.*draining/s)
    expect(await healthOf('one')).toBe('gone')
  })

  test('kills a command that does not end, and lets the key go, when it is told to stop for a second time', async () => {
    const [port = 0] = await freePorts(1)
    // A child of it, as a shell has, and neither heeds SIGTERM.
    const app = `process.on('SIGTERM', () => {}); require('node:http').createServer((_, answer) => answer.end()).listen(${port}, '127.0.0.1')`
    const parent = `process.on('SIGTERM', () => {}); require('node:child_process').spawnSync(process.execPath, ['-e', ${JSON.stringify(app)}])`
    const words = registering('three', port, '--drain 1h')
    const command = startCommand([...words, '--', process.execPath, '-e', parent])
    await until('three', 'well')
    void command.stop()
    await until('three', 'draining')
    const { code } = await command.hurry()
    expect(code).toBe(128 + constants.signals.SIGKILL)
    expect(await healthOf('three')).toBe('gone')
    await expect(fetch(`http://127.0.0.1:${port}`)).rejects.toThrow()
  })

  test('drains an instance that something else runs before it lets it go', async () => {
    const command = startCommand(registering('two', 1, '--drain 1s'))
    await until('two', 'well')
    const stopping = command.stop()
    await until('two', 'draining')
    expect((await stopping).code).toBe(0)
    expect(await healthOf('two')).toBe('gone')
  })
})
