import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { nodes, problems } from '../support/admin-client.ts'
import { startBackend } from '../support/backend.ts'
import { runCommand } from '../support/command.ts'
import { metric, rejections } from '../support/control-plane.ts'
import {
  cluster,
  endpoints,
  type Json,
  listener,
  rds,
  routeConfiguration,
  routesTo,
  secret,
  tlsBySecret,
  tlsSocket,
} from '../support/documents.ts'
import { get, startEdge } from '../support/edge.ts'
import { startLoad } from '../support/load.ts'
import { lowPort } from '../support/low-port.ts'
import { describeWithEnvoy } from '../support/needs.ts'
import { eventually } from '../support/poll.ts'
import { testBothProtocols } from '../support/side-by-side.ts'

/** What the API's rules allow and Envoy does not take. */
const noFile: Json = {
  transport_socket: tlsSocket('Upstream', {
    common_tls_context: { validation_context: { trusted_ca: { filename: '/nowhere/ca.crt' } } },
  }),
}
const sameDomainTwice: Json = {
  virtual_hosts: ['one', 'two'].map((name) => ({ name, domains: ['shop.example'] })),
}
const badRegex: Json = {
  virtual_hosts: [
    {
      name: 'all',
      domains: ['*'],
      routes: [{ match: { safe_regex: { regex: '(' } }, route: { cluster: 'shop' } }],
    },
  ],
}
const noHost: Json = { address: { socket_address: { address: 'not-an-ip', port_value: 80 } } }

const quietMs = 4_000

describeWithEnvoy('a stock Envoy that is given bad resources beside good changes', () => {
  testBothProtocols('takes the good ones, and is given each bad one once, over %s', async (protocol) => {
    const [one, two] = [await startBackend({ name: 'one' }), await startBackend({ name: 'two' })]
    const ports = { http: await lowPort(), extra: await lowPort(), other: await lowPort(), tls: await lowPort() }
    const { envoy, store, controlPlane } = await startEdge({
      protocol,
      documents: {
        ...cluster('shop'),
        ...endpoints('shop', one),
        ...cluster('kept'),
        ...endpoints('kept', one),
        ...routeConfiguration('routes', routesTo('shop')),
        ...routeConfiguration('other', routesTo('kept')),
        ...listener('http', { port: ports.http, routes: rds('routes') }),
        ...listener('other', { port: ports.other, routes: rds('other') }),
      },
    })
    const load = startLoad({ port: ports.http })
    const kept = startLoad({ port: ports.other, rate: 50 })
    await load.next(10, { from: 'one' })

    await store.write({
      // New and good, changed and good.
      ...cluster('fresh'),
      ...endpoints('fresh', two),
      ...routeConfiguration('routes', routesTo('fresh')),
      ...listener('extra', { port: ports.extra, routes: rds('routes') }),
      // New and bad, changed and bad.
      ...cluster('bad-file', noFile),
      ...endpoints('bad-file', one),
      ...cluster('kept', noFile),
      ...listener('bad-address', { routes: rds('routes'), fields: noHost }),
      ...routeConfiguration('other', sameDomainTwice),
      ...secret('bad-secret', {
        tls_certificate: { certificate_chain: { inline_string: 'none' }, private_key: { inline_string: 'none' } },
      }),
      ...listener('tls', { port: ports.tls, routes: rds('routes'), tls: tlsBySecret('bad-secret') }),
    })
    await load.next(10, { from: 'two' })
    await eventually(async () => (await get(ports.extra)).status === 200)

    const bad = ['cluster bad-file', 'cluster kept', 'listener bad-address', 'route other', 'secret bad-secret']
    const rejected = await eventually(async () => {
      const found = (await nodes(controlPlane.adminUrl)).flatMap((node) => node.rejected)
      const names = found.map(({ type, name }) => `${type} ${name}`).sort()
      if (names.join() !== bad.join()) throw new Error(`rejected are ${names.join()}`)
      return found
    })
    for (const { type, name, origin, message, keeps } of rejected) {
      expect(origin).toMatchObject({ name: expect.stringMatching(new RegExp(`${type}/${name}\\.json$`)), line: 1 })
      expect(message).not.toContain('debug')
      expect(message).toMatch(/Invalid path|malformed IP address|Duplicate entry of domain|certificate chain/)
      expect(keeps === null).toBe(name.startsWith('bad-'))
    }
    const standing = await problems(controlPlane.adminUrl)
    expect(standing.map(({ code, place }) => `${code} ${place.replace(/^.*\/config\//, '')}`).sort()).toEqual(
      bad.map((text) => `rejected ${text.replace(' ', '/')}.json:1:1`),
    )
    expect(await metric(controlPlane, 'fairlead_rejected_resources')).toBe(5)
    const shown = await runCommand(['nodes', '--server', controlPlane.adminUrl])
    for (const text of bad) expect(shown.out).toMatch(new RegExp(`rejected ${text.replace(' ', ' "')}" `))

    // Nothing is tried again, whatever happens beside it.
    const nacks = await rejections(controlPlane)
    expect(nacks).toBeLessThanOrEqual(bad.length)
    await store.write({
      ...cluster('fresh', { connect_timeout: '7s' }),
      ...listener('extra', { port: ports.extra, routes: rds('other') }),
    })
    await envoy.waitForStat('listener_manager.listener_modified', (count) => count >= 1)
    await sleep(quietMs)
    expect(await rejections(controlPlane)).toBe(nacks)
    expect(await envoy.stat('cluster_manager.warming_clusters')).toBe(0)

    await store.write({
      ...cluster('bad-file'),
      ...cluster('kept'),
      ...endpoints('bad-file', two),
      ...listener('bad-address', { port: await lowPort(), routes: rds('routes') }),
      ...routeConfiguration('other', routesTo('bad-file')),
    })
    await kept.next(10, { from: 'two' })
    await eventually(async () => {
      const left = (await nodes(controlPlane.adminUrl)).flatMap((node) => node.rejected).map(({ name }) => name)
      expect(left).toEqual(['bad-secret'])
    })
    expect(await rejections(controlPlane)).toBe(nacks)
    expect((await load.stop()).failures).toEqual([])
    expect((await kept.stop()).failures).toEqual([])
  })

  testBothProtocols('that does not say which it was is asked by halves, over %s', async (protocol) => {
    const one = await startBackend({ name: 'one' })
    const names = ['a', 'b', 'c', 'd']
    const port = await lowPort()
    const ports = new Map<string, number>()
    for (const name of names) ports.set(name, await lowPort())
    const routes = (edition: string, bad?: string) =>
      Object.assign(
        {},
        ...names.map((name) =>
          routeConfiguration(
            name,
            name === bad
              ? badRegex
              : { ...routesTo('shop'), response_headers_to_add: [{ header: { key: 'x-edition', value: edition } }] },
          ),
        ),
      )
    const { store, controlPlane } = await startEdge({
      protocol,
      documents: {
        ...cluster('shop'),
        ...endpoints('shop', one),
        ...routes('1'),
        ...Object.assign(
          {},
          ...names.map((name) => listener(name, { port: ports.get(name) ?? port, routes: rds(name) })),
        ),
      },
    })
    const edition = async (name: string) => (await get(ports.get(name) ?? port)).headers['x-edition']
    await eventually(async () => (await edition('d')) === '1')
    await store.write(routes('2', 'c'))
    for (const name of ['a', 'b', 'd'])
      await eventually(async () => (await edition(name)) === '2', { timeoutMs: 15_000 })
    expect(await edition('c')).toBe('1')
    await eventually(async () => {
      const [status] = await nodes(controlPlane.adminUrl)
      expect(status?.rejected).toMatchObject([{ type: 'route', name: 'c', message: 'missing ): (' }])
    })
    const nacks = await rejections(controlPlane)
    await store.write(routes('3', 'c'))
    for (const name of ['a', 'b', 'd']) await eventually(async () => (await edition(name)) === '3')
    expect(await rejections(controlPlane)).toBe(nacks)
  })
})
