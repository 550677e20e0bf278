import { expect, test } from 'vitest'
import { describeWithEnvoy } from '../../support/needs.ts'
import { eventually } from '../../support/poll.ts'
import { stepsOf } from '../../support/task-page.ts'
import { createBed, type MeshBed } from './bed.ts'
import { stockEnvoy } from './stock-envoy.ts'

/** The documents of a page, state by state: each change of a file that was there before begins another. */
function statesOf(page: string): readonly Readonly<Record<string, string>>[] {
  const states: Record<string, string>[] = [{}]
  for (const step of stepsOf(page)) {
    if (step.kind !== 'file') continue
    const last = states.at(-1) as Record<string, string>
    if (step.path in last) states.push({ ...last, [step.path]: step.text })
    else last[step.path] = step.text
  }
  return states
}

/** Where the page has addresses of a network, there are apps of this machine, and a free port for its gateway. */
function here(files: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const apps: Readonly<Record<string, string>> = {
    '10.0.0.11': 'one',
    '10.0.0.12': 'two',
    '10.0.0.13': 'three',
    '10.0.0.14': 'four',
  }
  return Object.fromEntries(
    Object.entries(files).map(([path, text]) => [
      path.replaceAll(/\W/g, '-'),
      text
        .replaceAll(
          /address: (10\.0\.0\.\d+), port: \d+/g,
          (_, ip: string) => `address: 127.0.0.1, port: \${${apps[ip]}}`,
        )
        .replaceAll(/- \{name: http, port: \d+/g, '- {name: http, address: 127.0.0.1, port: ${edge}'),
    ]),
  )
}

const bed = async (): Promise<MeshBed> => await createBed(stockEnvoy, 'files', 'delta')

describeWithEnvoy('what docs/tasks tell people to do works on a stock Envoy', () => {
  test('canary a release', async () => {
    const mesh = await bed()
    await mesh.app('one')
    await mesh.app('two')
    const [first, second, third, ...others] = statesOf('canary-a-release.md')
    expect(others).toEqual([])
    await mesh.write(here(first ?? {}))
    const proxy = await mesh.proxy('edge')
    const port = await proxy.port('edge/http')
    const question = { host: 'shop.example', path: '/cart' }
    const { one = 0, two = 0 } = await mesh.send(port, 3_000, question)
    expect(one + two).toBe(3_000)
    expect(two).toBeGreaterThan(5)
    expect(two).toBeLessThan(60)
    const listeners = await proxy.count('listeners changed')
    const load = mesh.load({ port, host: 'shop.example' })
    await mesh.write(here(second ?? {}))
    await expect
      .poll(async () => (await mesh.send(port, 400, question))['two'] ?? 0, { timeout: 20_000 })
      .toBeGreaterThan(130)
    await mesh.write(here(third ?? {}))
    await expect.poll(async () => await mesh.send(port, 100, question), { timeout: 20_000 }).toEqual({ two: 100 })
    expect(await load.stop()).toMatchObject({ failed: 0, failures: [] })
    expect(await proxy.count('listeners changed')).toBe(listeners)
  })

  test('try a version on some people', async () => {
    const mesh = await bed()
    await mesh.app('one')
    await mesh.app('two')
    await mesh.write(here(statesOf('try-a-version-on-some.md')[0] ?? {}))
    const port = await (await mesh.proxy('edge')).port('edge/http')
    const host = 'shop.example'
    expect(await mesh.send(port, 50, { host, headers: { 'x-group': 'beta' } })).toEqual({ two: 50 })
    expect(await mesh.send(port, 50, { host, headers: { cookie: 'a=1; group=beta' } })).toEqual({ two: 50 })
    const arms = new Set<string>()
    for (let user = 0; user < 30; user++) {
      const byApp = Object.keys(await mesh.send(port, 5, { host, headers: { 'x-user': `user-${user}` } }))
      expect(byApp).toHaveLength(1)
      arms.add(byApp[0] as string)
    }
    expect([...arms].sort()).toEqual(['one', 'two'])
  })

  test('retry without harm', async () => {
    const mesh = await bed()
    const apps = [await mesh.app('one', () => ({ status: 500 })), await mesh.app('two', () => ({ status: 500 }))]
    await mesh.write(here(statesOf('retry-without-harm.md')[0] ?? {}))
    const port = await (await mesh.proxy('edge')).port('edge/http')
    const reached = (): number => apps.reduce((sum, { requests }) => sum + requests.length, 0)
    expect((await mesh.ask(port, { host: 'shop.example', method: 'POST', path: '/prices' })).status).toBe(500)
    expect(reached()).toBe(1)
    expect((await mesh.ask(port, { host: 'shop.example', path: '/pay' })).status).toBe(500)
    expect(reached()).toBe(2)
    expect((await mesh.ask(port, { host: 'shop.example', path: '/prices' })).status).toBe(500)
    expect(reached()).toBe(5)
  })

  test('let only these hosts out', async () => {
    const mesh = await bed()
    // An address of this machine stands for what `*.trusted.example` leads to.
    const host = '127.0.0.2'
    const { port: outside } = await mesh.app('partner', undefined, { host, port: await mesh.port('partner') })
    const [files, ...others] = statesOf('let-only-these-hosts-out.md')
    expect(others).toEqual([])
    const changed = Object.entries(files ?? {}).map(([path, text]) => [
      path.replaceAll(/\W/g, '-'),
      text
        .replaceAll('"*.trusted.example"', host)
        .replaceAll(/\[(80, 443|443, 8443)\]/g, `[${outside}]`)
        .replace('port: 3128', 'address: 127.0.0.1\n  port: ${out}')
        .replace('outbound: {', 'outbound: {port: ${reports}, '),
    ])
    await mesh.write(Object.fromEntries(changed))
    const out = await (await mesh.proxy('out')).port('out/http')
    const reports = await (await mesh.proxy('reports')).port('reports/outbound')
    for (const port of [out, reports]) {
      const statusOf = async (name: string): Promise<number> => (await mesh.ask(port, { host: name })).status
      await eventually(async () => expect(await statusOf(`${host}:${outside}`)).toBe(200), { timeoutMs: 20_000 })
      expect(await statusOf('evil.example')).toBe(403)
      expect(await statusOf('api.partner.example:8080')).toBe(403)
    }
  })

  test('fail over between zones', async () => {
    const mesh = await bed()
    const [one, two, , four] = await Promise.all(['one', 'two', 'three', 'four'].map((name) => mesh.app(name)))
    await mesh.write(here(statesOf('fail-over-between-zones.md')[0] ?? {}))
    const proxy = await mesh.proxy('edge', { service: 'edge', locality: { region: 'eu', zone: 'eu-1' } })
    const port = await proxy.port('edge/http')
    const expectAll = async (app: string): Promise<void> => {
      const send = (): Promise<unknown> => mesh.send(port, 50, { host: 'shop.example' })
      await eventually(async () => expect(await send()).toEqual({ [app]: 50 }), { timeoutMs: 20_000 })
    }
    await expectAll('one')
    await one?.close()
    // Half of the region is there, and takes 1.4 times its share: 140 of 200. Five standard deviations are 32.
    await eventually(
      async () => {
        const { two: near = 0, four: far = 0 } = await mesh.send(port, 200, { host: 'shop.example' })
        expect(near + far).toBe(200)
        expect(Math.abs(near - 140)).toBeLessThan(32)
      },
      { timeoutMs: 20_000 },
    )
    await two?.close()
    await expectAll('four')
    await four?.close()
    await expectAll('three')
  })

  test('take a service into the mesh, and let it go again', async () => {
    const mesh = await bed()
    const [cart] = await Promise.all([mesh.app('one'), mesh.app('two')])
    const [before, into, back, ...others] = statesOf('migrate-a-service.md').map((files) => {
      const own = Object.entries(files).map(([path, text]) => [
        path,
        text
          .replace('address: 10.0.0.11, port: 15006', 'address: 127.0.0.1, port: ${inbound}')
          .replace('{port: 15006, app: "127.0.0.1:8080"}', '{port: ${inbound}, app: "127.0.0.1:${one}"}')
          .replace('port: 7001', 'port: ${payments}'),
      ])
      return here(Object.fromEntries(own))
    })
    expect(others).toEqual([])
    await mesh.write(before ?? {})
    const [edge, beside] = [await mesh.proxy('edge'), await mesh.proxy('cart')]
    const [port, calls] = [await edge.port('edge/http'), await mesh.port('payments')]
    await beside.port('cart/inbound')
    const cameIn = async (): Promise<number> => await beside.count({ requestsBy: 'cart/inbound' })
    await eventually(async () => expect(await mesh.send(port, 10, { host: 'shop.example' })).toEqual({ one: 10 }))
    await eventually(async () => expect(await mesh.send(calls, 10, { host: 'payments' })).toEqual({ two: 10 }))
    expect(await cameIn()).toBe(0)
    const load = mesh.load({ port, host: 'shop.example' })
    await load.next(30)
    await mesh.write(into ?? {})
    await eventually(async () => expect(await cameIn()).toBeGreaterThan(30), { timeoutMs: 20_000 })
    await mesh.write(back ?? {})
    await eventually(
      async () => {
        const known = await cameIn()
        await load.next(30)
        expect(await cameIn()).toBe(known)
      },
      { timeoutMs: 20_000 },
    )
    expect(await load.stop()).toMatchObject({ failed: 0, failures: [] })
    expect(cart?.requests.length).toBeGreaterThan(60)
  })
})
