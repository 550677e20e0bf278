import { expect, test } from 'vitest'
import { type BootstrapOptions, buildBootstrap } from '../../src/cli/bootstrap-config.ts'
import { createAuthority, writeAuthorities, writeCertificate } from '../support/certificates.ts'
import { startEnvoy } from '../support/envoy.ts'
import { describeWithEnvoy } from '../support/needs.ts'
import { tempDir } from '../support/temp.ts'
import { validateWithEnvoy } from '../support/validate-with-envoy.ts'

const servers = ['127.0.0.1:18000', '[::1]:18000', 'control-plane.example:18000']
const extras: readonly Partial<BootstrapOptions>[] = [
  {},
  {
    metadata: { env: 'prod', fairlead: { static: { secret: ['own'] } } },
    locality: { region: 'eu', zone: 'eu-1', subZone: 'a' },
  },
  { adminAddress: '0.0.0.0', adminPort: 0 },
  { service: 'cart', locality: { zone: 'a' } },
]
const variants = servers.flatMap((server) =>
  [false, true].flatMap((delta) =>
    extras.flatMap((extra) => (['none', 'ca', 'mutual'] as const).map((tls) => ({ server, delta, tls, extra }))),
  ),
)

describeWithEnvoy('the bootstrap of stock Envoy', (binary) => {
  test(`is accepted by Envoy in each of ${variants.length} variants`, async () => {
    const dir = tempDir()
    const authority = await createAuthority()
    const tlsCa = writeAuthorities(dir, 'ca', [authority])
    const own = writeCertificate(dir, 'proxy', await authority.issue({ name: 'proxy' }))
    const tlsFiles = { none: {}, ca: { tlsCa }, mutual: { tlsCa, tlsCert: own.certificate, tlsKey: own.key } }
    for (const { server, delta, tls, extra } of variants) {
      const bootstrap = buildBootstrap({ id: 'edge-1', cluster: 'edge', server, delta, ...tlsFiles[tls], ...extra })
      expect(validateWithEnvoy(binary, bootstrap), JSON.stringify({ server, delta, tls, extra })).toBe('')
    }
  })

  test('would not pass with a field that Envoy does not know', () => {
    const bootstrap = {
      ...buildBootstrap({ id: 'a', cluster: 'b', server: servers[0] as string, delta: true }),
      nod: {},
    }
    expect(validateWithEnvoy(binary, bootstrap)).toContain('nod')
  })

  test('starts an Envoy that waits for its control plane, and answers on its admin port', async () => {
    const envoy = await startEnvoy({
      bootstrap: buildBootstrap({ id: 'edge-1', cluster: 'edge', server: '127.0.0.1:1', delta: true }),
    })
    await envoy.waitForStat('cluster.fairlead.upstream_cx_connect_fail', (count) => count > 0)
    expect(await envoy.stat('control_plane.connected_state')).toBe(0)
    expect(await envoy.stat('no.such.stat')).toBeUndefined()
    const dump = JSON.stringify(await envoy.configDump())
    expect(dump).toContain('xds.config.supports-resource-ttl')
  })

  test('that Envoy refuses ends the start with what Envoy says', async () => {
    await expect(startEnvoy({ bootstrap: { nod: {} } })).rejects.toThrow(/exit code 1[\s\S]*nod/)
  })
})
