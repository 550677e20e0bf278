import { describe, expect, test } from 'vitest'
import { runCommand } from '../../test/support/command.ts'
import { buildBootstrap } from './bootstrap-config.ts'

const who = ['bootstrap', '--id', 'edge-1', '--cluster', 'edge']

describe('fairlead bootstrap', () => {
  test('prints the JSON of a bootstrap, and nothing else', async () => {
    const { code, out, err } = await runCommand(who)
    expect([code, err]).toEqual([0, ''])
    const expected = buildBootstrap({ id: 'edge-1', cluster: 'edge', server: '127.0.0.1:18000', delta: false })
    expect(JSON.parse(out)).toEqual(expected)
  })

  test('takes every flag', async () => {
    const flags = ['--server', 'cp.example:18000', '--delta', '--admin-port', '0', '--admin-address', '::1']
    const tls = ['--tls-ca', 'ca.pem', '--tls-cert', 'tls.crt', '--tls-key', 'tls.key']
    const where = ['--service', 'cart', '--region', 'eu', '--zone', 'a', '--sub-zone', 'rack-1']
    const { code, out } = await runCommand([...who, ...flags, ...tls, ...where, '--metadata', '{"env": "prod"}'])
    expect(code).toBe(0)
    expect(JSON.parse(out)).toEqual(
      buildBootstrap({
        id: 'edge-1',
        cluster: 'edge',
        server: 'cp.example:18000',
        delta: true,
        adminPort: 0,
        adminAddress: '::1',
        tlsCa: 'ca.pem',
        tlsCert: 'tls.crt',
        tlsKey: 'tls.key',
        metadata: { env: 'prod' },
        service: 'cart',
        locality: { region: 'eu', zone: 'a', subZone: 'rack-1' },
      }),
    )
  })

  test('takes the address of each replica', async () => {
    const { code, out } = await runCommand([...who, '--server', 'cp-1:18000', '--server', 'cp-2:18000'])
    expect(code).toBe(0)
    const server = ['cp-1:18000', 'cp-2:18000']
    expect(JSON.parse(out)).toEqual(buildBootstrap({ id: 'edge-1', cluster: 'edge', server, delta: false }))
  })

  test('says as little of where the Envoy is as it is told', async () => {
    const { out } = await runCommand([...who, '--zone', 'a'])
    expect((JSON.parse(out) as { readonly node: object }).node).toMatchObject({ locality: { zone: 'a' } })
    expect((JSON.parse(out) as { readonly node: { readonly locality: object } }).node.locality).toEqual({ zone: 'a' })
  })

  test.each<[readonly string[], RegExp]>([
    [['bootstrap'], /required option '--id <ID>'/],
    [['bootstrap', '--id', 'a'], /required option '--cluster <NAME>'/],
    [['bootstrap', '--id', '', '--cluster', 'a'], /--id is empty/],
    [[...who, '--server', 'x'], /x is not host:port: write it like/],
    [[...who, '--server', 'http://x:1'], /is not host:port/],
    [[...who, '--server', 'cp-1:18000', '--server', 'x'], /x is not host:port/],
    [[...who, '--admin-port', ''], /not a port from 0 to 65535/],
    [[...who, '--admin-port', '65536'], /not a port/],
    [[...who, '--admin-port', '1e3'], /not a port/],
    [[...who, '--admin-address', 'localhost'], /--admin-address localhost is not an IP address/],
    [[...who, '--tls-ca', 'a', '--tls-cert', 'b'], /--tls-cert and --tls-key go together/],
    [[...who, '--tls-cert', 'a', '--tls-key', 'b'], /--tls-cert needs --tls-ca/],
    [[...who, '--metadata', '{'], /must be a JSON object, such as/],
    [[...who, '--metadata', '[]'], /must be a JSON object/],
  ])('%j exits 2', async (args, words) => {
    const { code, out, err } = await runCommand(args)
    expect([code, out]).toEqual([2, ''])
    expect(err).toMatch(words)
  })
})
