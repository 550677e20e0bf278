/** One service behind Envoy, as most end-to-end tests need it: every resource type that a reconnect must not touch. */
import { buildBootstrap } from '../../src/cli/bootstrap-config.ts'
import type { Backend } from './backend.ts'
import type { Certificate, CertificateAuthority } from './certificates.ts'
import {
  type Changes,
  cluster,
  endpoints,
  listener,
  rds,
  routeConfiguration,
  routesTo,
  secret,
  tlsBySecret,
  tlsCertificate,
} from './documents.ts'
import { startEnvoy } from './envoy.ts'
import type { EnvoyProcess } from './envoy-process.ts'
import { type Load, startLoad } from './load.ts'
import type { Protocol } from './wire-client.ts'

/** The types that an Envoy with this configuration asks for. */
export const shopTypes: readonly string[] = ['cluster', 'endpoint', 'listener', 'route', 'secret']

/** The cluster `shop`, routed to by the listeners `http` and `https`; the latter's certificate is the secret `shop`. */
export function shop(backend: Backend, certificate: Certificate): Changes {
  return {
    ...cluster('shop'),
    ...endpoints('shop', backend),
    ...routeConfiguration('shop', routesTo('shop')),
    ...listener('http', { routes: rds('shop') }),
    ...listener('https', { routes: rds('shop'), tls: tlsBySecret('shop') }),
    ...secret('shop', { tls_certificate: tlsCertificate(certificate) }),
  }
}

/** An Envoy that went LIVE with nothing but the bootstrap, and requests through both of its listeners. */
export interface LoadedEnvoy {
  readonly envoy: EnvoyProcess
  /** 200 requests a second. */
  readonly http: Load
  /** 20 a second, each on a connection of its own. */
  readonly https: Load
  /** Stops both loads. Of each, what failed. */
  readonly failures: () => Promise<readonly unknown[]>
}

export async function startLoadedEnvoy(
  server: string,
  protocol: Protocol,
  authority: CertificateAuthority,
): Promise<LoadedEnvoy> {
  const bootstrap = buildBootstrap({ id: 'edge-1', cluster: 'edge', server, delta: protocol === 'delta' })
  const envoy = await startEnvoy({ bootstrap })
  await envoy.waitLive()
  const http = startLoad({ port: await envoy.listenerPort('http'), rate: 200 })
  const port = await envoy.listenerPort('https')
  const https = startLoad({ port, rate: 20, connections: 0, tls: { ca: authority.certificate } })
  await Promise.all([http.next(50), https.next(5)])
  return {
    envoy,
    http,
    https,
    failures: async () => (await Promise.all([http.stop(), https.stop()])).flatMap((report) => report.failures),
  }
}

/** What changes in an Envoy's statistics when it takes a configuration that differs from what it has, or refuses one. */
const modifications =
  /\.(cluster_(added|modified|removed)|listener_(added|modified|removed)|config_reload|ssl_context_update_by_sds|membership_change|update_rejected)$/

/** Equal before and after, nothing flapped in between. */
export async function modificationsOf(envoy: EnvoyProcess): Promise<Readonly<Record<string, number>>> {
  return Object.fromEntries(await envoy.stats(modifications))
}
