import { describe, expect } from 'vitest'
import { buildBootstrap } from '../../../src/cli/bootstrap-config.ts'
import { createProxy } from '../../../src/proxy/create-proxy.ts'
import { atTestEnd } from '../../support/at-test-end.ts'
import { type Certificate, createAuthority } from '../../support/certificates.ts'
import {
  ads,
  cluster,
  endpoints,
  httpFilter,
  type Json,
  listener,
  rds,
  routeConfiguration,
  routesTo,
  secret,
  tlsBySecret,
  tlsCertificate,
  tlsSocket,
} from '../../support/documents.ts'
import { startEnvoy } from '../../support/envoy.ts'
import { startFakeXdsServer } from '../../support/fake-xds-server.ts'
import { describeWithEnvoy } from '../../support/needs.ts'
import { testBothProtocols } from '../../support/side-by-side.ts'
import type { Protocol } from '../../support/wire-client.ts'
import { play, type Talker, type Transcript } from './xds-transcript.ts'

type Plane = 'Envoy' | 'reference'

async function transcriptOf(
  plane: Plane,
  protocol: Protocol,
  script: (talker: Talker) => Promise<void>,
  more: object = {},
): Promise<Transcript> {
  const server = await startFakeXdsServer()
  const bootstrap = {
    ...buildBootstrap({
      id: 'edge-1',
      cluster: 'edge',
      server: `127.0.0.1:${server.port}`,
      delta: protocol === 'delta',
      adminPort: 0,
    }),
    ...more,
  }
  if (plane === 'Envoy') await startEnvoy({ bootstrap })
  else {
    const proxy = await createProxy({ bootstrap })
    atTestEnd(() => proxy.close())
  }
  return play(server, script)
}

/** The resource of a document. */
const [one] = [(documents: Readonly<Record<string, Json | undefined>>): Json => Object.values(documents)[0] as Json]

const backend = { host: '127.0.0.1', port: 9 }
const eds = (name: string, fields: Json = {}): Json => one(cluster(name, fields))
const assigned = (name: string): Json => one(endpoints(name, backend))
const http = (name: string, routes: string): Json => one(listener(name, { routes: rds(routes) }))
const routes = (name: string, to = 'a'): Json => one(routeConfiguration(name, routesTo(to)))

const authority = createAuthority()
const certificate = async (name: string): Promise<Certificate> => (await authority).issue({ name })

const scripts: Readonly<Record<string, (talker: Talker) => Promise<void>>> = {
  'from the first request to a route': async ({ answer }) => {
    await answer('cluster', 'v1', [eds('a'), eds('b')])
    await answer('endpoint', 'v1', [assigned('a')])
    await answer('endpoint', 'v2', [assigned('b')])
    await answer('listener', 'v1', [http('l', 'r')])
    await answer('route', 'v1', [routes('r')])
  },
  'over changes of clusters that warm': async ({ answer }) => {
    await answer('cluster', 'v1', [eds('a'), eds('b')])
    await answer('endpoint', 'v1', [assigned('a'), assigned('b')])
    await answer('listener', 'v1', [])
    await answer('cluster', 'v2', [eds('a'), eds('b'), eds('c')])
    await answer('cluster', 'v3', [eds('a', { connect_timeout: '7s' }), eds('b'), eds('c')])
    await answer('endpoint', 'v2', [assigned('c')])
    await answer('endpoint', 'v3', [assigned('a')])
    await answer('cluster', 'v4', [eds('a', { connect_timeout: '7s' })], { removed: ['b', 'c'] })
  },
  'over what is refused': async ({ answer }) => {
    const duplicate = { name: 'x', virtual_hosts: [1, 2].map((at) => ({ name: `${at}`, domains: ['d'] })) }
    await answer('cluster', 'v1', [eds('a', { connect_timeout: '0s' })])
    await answer('cluster', 'v2', [eds('bad', { lb_policy: 'CLUSTER_PROVIDED' }), eds('a')])
    await answer('endpoint', 'v1', [{ cluster_name: 'a', policy: { overprovisioning_factor: 0 } }])
    await answer('endpoint', 'v2', [assigned('a')])
    await answer('listener', 'v1', [http('l', 'r'), { ...http('bad', 'r'), address: {} }])
    await answer('listener', 'v2', [http('l', 'r'), http('k', 'x')])
    await answer('route', 'v1', [routes('r'), duplicate])
    await answer('route', 'v2', [{ name: 'x' }])
  },
  'over a stream that breaks': async ({ answer, reconnect }) => {
    await answer('cluster', 'v1', [eds('a'), eds('b')])
    await answer('endpoint', 'v1', [assigned('a'), assigned('b')])
    await answer('listener', 'v1', [http('l', 'r'), http('m', 's')])
    await answer('route', 'v1', [routes('r'), routes('s')])
    await reconnect()
    await answer('cluster', 'v1', [eds('a')], { removed: ['b'] })
    await answer('listener', 'v2', [http('m', 's')], { removed: ['l'] })
    await answer('route', 'v2', [routes('s')])
    await reconnect()
  },
  'over secrets': async ({ answer }) => {
    const [own, other] = await Promise.all([certificate('own'), certificate('other')])
    const upstream = tlsSocket('Upstream', { common_tls_context: tlsBySecret('client') })
    await answer('cluster', 'v1', [
      { name: 'a', type: 'STATIC', load_assignment: { cluster_name: 'a' }, transport_socket: upstream },
    ])
    await answer('secret', 'v1', [one(secret('client', { tls_certificate: tlsCertificate(own) }))])
    await answer('listener', 'v1', [
      one(listener('l', { routes: { route_config: routesTo('a') }, tls: tlsBySecret('server') })),
    ])
    await answer('secret', 'v2', [one(secret('server', { tls_certificate: tlsCertificate(own) }))])
    await answer('secret', 'v3', [one(secret('server', { tls_certificate: tlsCertificate(other) }))])
    const mixed = { ...tlsCertificate(own), private_key: { inline_string: other.key } }
    await answer('secret', 'v4', [one(secret('server', { tls_certificate: mixed }))])
    await answer('secret', 'v5', [], { removed: ['server'] })
  },
  'over a filter that is discovered': async ({ answer, reconnect }) => {
    const fault = 'extensions.filters.http.fault.v3.HTTPFault'
    const config_discovery = { config_source: ads, type_urls: [`type.googleapis.com/envoy.${fault}`] }
    const filter = (status: number): Json => ({
      name: 'f',
      typed_config: httpFilter('fault.v3.HTTPFault', {
        abort: { http_status: status, percentage: { numerator: 100 } },
      }),
    })
    await answer('cluster', 'v1', [{ name: 'a', type: 'STATIC', load_assignment: { cluster_name: 'a' } }])
    await answer('listener', 'v1', [
      one(listener('l', { routes: { route_config: routesTo('a') }, filters: [{ name: 'f', config_discovery }] })),
    ])
    await answer('extension', 'v1', [filter(418)])
    await answer('extension', 'v2', [filter(419)])
    await reconnect()
  },
  'over layers of the runtime': async ({ answer, reconnect }) => {
    await answer('runtime', 'v1', [{ name: 'one', layer: { a: 1 } }])
    await answer('cluster', 'v1', [])
    await answer('listener', 'v1', [])
    await answer('runtime', 'v2', [{ name: 'one', layer: { a: 2 } }])
    await reconnect()
  },
  'over resources that go': async ({ answer, protocol }) => {
    await answer('cluster', 'v1', [eds('a'), eds('b')])
    await answer('endpoint', 'v1', [assigned('a')])
    // Absence says nothing in SotW: the start would go on waiting.
    await answer('endpoint', 'v2', protocol === 'sotw' ? [assigned('b')] : [], { removed: ['b'] })
    await answer('listener', 'v1', [http('l', 'r')])
    await answer('route', 'v1', [], { removed: ['r'] })
    await answer('route', 'v2', [routes('r')])
    await answer('endpoint', 'v3', [], { removed: ['a'] })
    await answer('listener', 'v2', [], { removed: ['l'] })
    await answer('cluster', 'v2', [], { removed: ['a', 'b'] })
  },
}

const layer = (name: string): Json => ({ name, rtds_layer: { name, rtds_config: ads } })

/** What of a script stands in the bootstrap. */
const bootstraps: Readonly<Record<string, object>> = {
  'over layers of the runtime': { layered_runtime: { layers: [layer('one')] } },
}

/** A script is seconds of waiting for silence: the others are for the long form. */
const always: ReadonlySet<string> = new Set([
  'over changes of clusters that warm',
  'over a stream that breaks',
  'over secrets',
])
const isLong = process.env['FAIRLEAD_TEST_LONG'] === '1'

describeWithEnvoy('what a control plane hears of a stock Envoy and of the reference proxy', () => {
  describe.each(Object.entries(scripts).filter(([name]) => isLong || always.has(name)))('%s', (name, script) => {
    testBothProtocols('is the same over %s', async (protocol) => {
      const [envoy, reference] = await Promise.all([
        transcriptOf('Envoy', protocol, script, bootstraps[name]),
        transcriptOf('reference', protocol, script, bootstraps[name]),
      ])
      expect(reference.lines).toEqual(envoy.lines)
    })
  })
})
