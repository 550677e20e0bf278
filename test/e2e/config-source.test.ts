import { expect } from 'vitest'
import { startBackend } from '../support/backend.ts'
import { createAuthority } from '../support/certificates.ts'
import {
  ads,
  type Changes,
  cluster,
  document,
  endpoints,
  type Json,
  listener,
  routeConfiguration,
  routesTo,
  secret,
  tlsCertificate,
} from '../support/documents.ts'
import { startEdge } from '../support/edge.ts'
import { startLoad } from '../support/load.ts'
import { describeWithEnvoy } from '../support/needs.ts'
import { testBothProtocols } from '../support/side-by-side.ts'

/** One source, written in other bytes each time. */
const source = (revision: number): Json => ({ ...ads, initial_fetch_timeout: `${20 + revision}s` })

/** Far below the `initial_fetch_timeout` after which Envoy goes on by itself. */
const soonMs = 8_000

const fault = 'type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault'

/** A listener that takes all it can by discovery, one of it by a source that changes. */
function listenerWith(what: string, revision: number): Changes {
  const of = (other: string): Json => source(what === other ? revision : 0)
  return listener('https', {
    routes: { rds: { route_config_name: 'routes', config_source: of('route configuration') } },
    filters: [{ name: 'fault', config_discovery: { config_source: of('filter configuration'), type_urls: [fault] } }],
    tls: { tls_certificate_sds_secret_configs: [{ name: 'edge', sds_config: of('secret') }] },
  })
}

describeWithEnvoy('a listener whose source of something changes its bytes, and what comes from there does not', () => {
  for (const what of ['secret', 'route configuration', 'filter configuration']) {
    testBothProtocols(`takes over at once over %s: its ${what} (rule 73)`, async (protocol) => {
      const authority = await createAuthority()
      const backend = await startBackend({ name: 'shop' })
      const { envoy, store } = await startEdge({
        protocol,
        documents: {
          ...cluster('shop'),
          ...endpoints('shop', backend),
          ...routeConfiguration('routes', routesTo('shop')),
          ...secret('edge', { tls_certificate: tlsCertificate(await authority.issue({ name: 'edge' })) }),
          ...document('extension', 'config.core.v3.TypedExtensionConfig', 'fault', {
            typed_config: { '@type': fault },
          }),
          ...listenerWith(what, 0),
        },
      })
      const port = await envoy.listenerPort('https')
      const load = startLoad({ port, rate: 50, connections: 0, tls: { ca: authority.certificate } })
      await load.next(10, { from: 'shop' })
      for (let revision = 1; revision <= 3; revision++) {
        await store.write(listenerWith(what, revision))
        await envoy.waitForStat('listener_manager.lds.update_success', (count) => count >= 1 + revision, soonMs)
        await envoy.waitForStat('listener_manager.total_listeners_warming', (count) => count === 0, soonMs)
        await load.next(10)
      }
      expect(await load.stop()).toMatchObject({ failed: 0, failures: [] })
    })
  }
})
