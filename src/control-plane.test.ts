import { once } from 'node:events'
import { createConnection, createServer, type Server } from 'node:net'
import { describe, expect, test } from 'vitest'
import { atTestEnd } from '../test/support/at-test-end.ts'
import { startControlPlane } from '../test/support/control-plane.ts'
import { createFileStore } from '../test/support/document-store.ts'
import { cluster, routeConfiguration, routesTo } from '../test/support/documents.ts'
import { freePorts } from '../test/support/free-ports.ts'
import { openStream, typeUrlOf } from '../test/support/wire-client.ts'

async function listening(): Promise<{ readonly server: Server; readonly port: number }> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  atTestEnd(() => void server.close())
  return { server, port: (server.address() as { port: number }).port }
}

/** Whether somebody accepts connections there. */
async function isOpen(port: number): Promise<boolean> {
  const socket = createConnection({ port, host: '127.0.0.1' })
  try {
    return await new Promise((resolve) => {
      socket.once('connect', () => resolve(true))
      socket.once('error', () => resolve(false))
    })
  } finally {
    socket.destroy()
  }
}

async function readiness(adminUrl: string): Promise<object & { readonly status: number }> {
  const response = await fetch(`${adminUrl}/ready`)
  return { status: response.status, ...((await response.json()) as object) }
}

async function poll(adminUrl: string, metadata: object): Promise<Response> {
  return await fetch(`${adminUrl}/v3/discovery:routes`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ node: { id: 'edge-1', cluster: 'edge', metadata } }),
  })
}

describe('the control plane', () => {
  test('learns over REST, too, which names a bootstrap holds', async () => {
    const store = createFileStore()
    await store.write(routeConfiguration('routes', routesTo('own')))
    const { adminUrl, pipeline } = await startControlPlane(store.flags)
    await pipeline.ready
    expect((await poll(adminUrl, {})).status).toBe(503)
    expect(await readiness(adminUrl)).toMatchObject({ withheld: [{}] })
    await poll(adminUrl, { fairlead: { static: { cluster: ['own'] } } })
    await pipeline.settled()
    expect((await poll(adminUrl, {})).status).toBe(200)
    expect(await readiness(adminUrl)).toMatchObject({ status: 200, withheld: [], errors: 0 })
  })

  test('learns of each stream which names a bootstrap holds', async () => {
    const store = createFileStore()
    await store.write(routeConfiguration('routes', routesTo('own')))
    const { adminUrl, pipeline, xdsPort } = await startControlPlane(store.flags)
    await pipeline.ready
    expect(await readiness(adminUrl)).toMatchObject({ withheld: [{}] })
    const stream = openStream({ port: xdsPort, protocol: 'sotw' })
    const metadata = { fairlead: { static: { cluster: ['own'] } } }
    stream.send({ node: { id: 'edge-1', cluster: 'edge', metadata }, type_url: typeUrlOf('route') })
    expect(await stream.next()).toMatchObject({ resources: [{}] })
    expect(await readiness(adminUrl)).toMatchObject({ withheld: [], errors: 0 })
  })

  test('says that it is not ready while it drains, and then answers nothing any more', async () => {
    const store = createFileStore()
    await store.write(cluster('cart'))
    const controlPlane = await startControlPlane({ ...store.flags, drainTimeout: '1s' })
    await controlPlane.pipeline.ready
    const streams = ['one', 'two'].map((id) => {
      const stream = openStream({ port: controlPlane.xdsPort, protocol: 'sotw' })
      stream.send({ node: { id, cluster: 'edge' }, type_url: typeUrlOf('cluster') })
      return stream
    })
    for (const stream of streams) await stream.next()
    expect((await readiness(controlPlane.adminUrl)).status).toBe(200)
    const drained = controlPlane.drain()
    // The second stream is ended later than the first: until then it answers.
    expect(await readiness(controlPlane.adminUrl)).toMatchObject({ status: 503, draining: true })
    await drained
    for (const stream of streams) expect((await stream.closed).code).toBe('UNAVAILABLE')
    expect([await isOpen(controlPlane.xdsPort), await isOpen(controlPlane.adminPort)]).toEqual([false, false])
  })

  test('ends although it never had anything to serve, for nobody answered at --etcd', async () => {
    const plane = await startControlPlane({ etcd: 'http://127.0.0.1:1' })
    const since = performance.now()
    await plane.close()
    expect(performance.now() - since).toBeLessThan(5_000)
  })

  test('that cannot start leaves nothing open', async () => {
    const { port: taken } = await listening()
    const [xds = 0] = await freePorts(1)
    const store = createFileStore()
    await store.write(cluster('cart'))
    const flags = { ...store.flags, listen: `127.0.0.1:${xds}`, admin: `127.0.0.1:${taken}` }
    await expect(startControlPlane(flags)).rejects.toMatchObject({ code: 'io' })
    expect(await isOpen(xds)).toBe(false)
  })

  test.each([
    ['listen', /xDS is served without TLS beyond this machine.*--tls-cert/],
    ['admin', /the admin API is served beyond this machine/],
  ])('warns of a --%s that others reach', async (name, words) => {
    const store = createFileStore()
    await store.write(cluster('cart'))
    expect((await startControlPlane(store.flags)).log()).not.toMatch(words)
    expect((await startControlPlane({ ...store.flags, [name]: '0.0.0.0:0' })).log()).toMatch(words)
  })
})
