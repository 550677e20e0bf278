import { expect, test } from 'vitest'
import { buildBootstrap } from '../../../src/cli/bootstrap-config.ts'
import { createProxy } from '../../../src/proxy/create-proxy.ts'
import { atTestEnd } from '../../support/at-test-end.ts'
import { startBackend } from '../../support/backend.ts'
import { rejections, startControlPlane } from '../../support/control-plane.ts'
import { createFileStore } from '../../support/document-store.ts'
import { cluster, endpoints, listener, rds, routeConfiguration, routesTo } from '../../support/documents.ts'
import { backendOf } from '../../support/edge.ts'
import { eventually } from '../../support/poll.ts'

/** The bench has a thousand. */
const proxies = process.env['FAIRLEAD_TEST_LONG'] === '1' ? 300 : 50
const clusters = 20

test(`${proxies} proxies in one process each serve what one server sends, and go on without it`, async () => {
  const [one, two] = [await startBackend({ name: 'one' }), await startBackend({ name: 'two' })]
  const names = Array.from({ length: clusters }, (_, index) => `cart-${index}`)
  const store = createFileStore()
  await store.write({
    ...Object.assign({}, ...names.map((name) => ({ ...cluster(name), ...endpoints(name, one) }))),
    ...listener('http', { routes: rds('routes') }),
    ...routeConfiguration('routes', routesTo('cart-0')),
  })
  const controlPlane = await startControlPlane(store.flags)
  await controlPlane.pipeline.ready
  const all = await Promise.all(
    Array.from({ length: proxies }, async (_, index) => {
      const { server } = controlPlane
      const id = `edge-${index}`
      const bootstrap = buildBootstrap({ id, cluster: 'edge', server, delta: index % 2 === 0, adminPort: 0 })
      const proxy = await createProxy({ bootstrap })
      atTestEnd(() => proxy.close())
      await proxy.live
      return proxy
    }),
  )
  const answers = (): Promise<readonly string[]> =>
    Promise.all(all.map((proxy) => backendOf(proxy.listenerPort('http') ?? 0, { timeoutMs: 20_000 })))

  expect(new Set(await answers())).toEqual(new Set(['one']))
  for (const proxy of all) for (const name of names) expect(proxy.clusters.all.has(name)).toBe(true)
  await store.write(endpoints('cart-0', two))
  await eventually(async () => expect(new Set(await answers())).toEqual(new Set(['two'])), { timeoutMs: 20_000 })
  expect(await rejections(controlPlane)).toBe(0)

  await controlPlane.close()
  expect(new Set(await answers())).toEqual(new Set(['two']))
})
