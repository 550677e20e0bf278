import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { startBackend } from '../../test/support/backend.ts'
import { createAuthority, writeAuthorities, writeCertificate } from '../../test/support/certificates.ts'
import { runCommand, startCommand } from '../../test/support/command.ts'
import { startControlPlane } from '../../test/support/control-plane.ts'
import { createFileStore } from '../../test/support/document-store.ts'
import { cluster, endpoints, listener, rds, routeConfiguration, routesTo } from '../../test/support/documents.ts'
import { tempDir } from '../../test/support/temp.ts'
import type { Protocol } from '../../test/support/wire-client.ts'
import { buildBootstrap } from './bootstrap-config.ts'

const protocols: readonly Protocol[] = ['sotw', 'delta']

function writeBootstrap(content: string | object): string {
  const file = join(tempDir(), 'envoy.yaml')
  writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content))
  return file
}

/** Which a log line tells of. */
function portIn(log: string, name: string): number {
  return Number(new RegExp(`"${name}":"?(?:[\\d.]+:)?(\\d+)`).exec(log)?.[1])
}

describe('fairlead proxy', () => {
  test.each(protocols)(
    'carries requests by a control plane over mutual TLS and %s, until it is stopped',
    async (protocol) => {
      const authority = await createAuthority()
      const directory = tempDir()
      const ca = writeAuthorities(directory, 'ca', [authority])
      const server = writeCertificate(directory, 'server', await authority.issue({ name: 'server' }))
      const client = writeCertificate(directory, 'client', await authority.issue({ name: 'client' }))
      const backend = await startBackend({ name: 'shop' })
      const store = createFileStore()
      await store.write({
        ...cluster('shop'),
        ...endpoints('shop', backend),
        ...routeConfiguration('routes', routesTo('shop')),
        ...listener('http', { routes: rds('routes') }),
      })
      const tls = { tlsCert: server.certificate, tlsKey: server.key, tlsClientCa: ca }
      const controlPlane = await startControlPlane({ ...store.flags, ...tls })
      const bootstrap = buildBootstrap({
        id: 'edge-1',
        cluster: 'edge',
        server: controlPlane.server,
        delta: protocol === 'delta',
        tlsCa: ca,
        tlsCert: client.certificate,
        tlsKey: client.key,
      })
      const command = startCommand(['proxy', '-c', writeBootstrap(bootstrap), '--admin-port', '0'])
      const log = await command.waitForErr(/is live/)
      const response = await fetch(`http://127.0.0.1:${portIn(log, 'http')}/`)
      expect(response.status).toBe(200)
      const ready = await fetch(`http://127.0.0.1:${portIn(log, 'admin')}/ready`)
      expect(await ready.text()).toBe('LIVE\n')
      const { code, err } = await command.stop()
      expect(code).toBe(0)
      expect(err).toContain('stopped')
    },
  )

  test('ends by itself where a static listener is not taken, and says which field it is', async () => {
    const bootstrap = writeBootstrap(`
static_resources:
  listeners:
  - name: l
    address: {socket_address: {address: 127.0.0.1, port_value: 0}}
    filter_chains: [{filters: [{name: x, typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.network.echo.v3.Echo}}]}]
`)
    const { code, err } = await runCommand(['proxy', '-c', bootstrap])
    expect(code).toBe(1)
    expect(err).toContain('static_resources.listeners')
    expect(err).toContain('envoy.extensions.filters.network.echo.v3.Echo')
  })

  test.each<[string, readonly string[], number, RegExp]>([
    ['no bootstrap', ['proxy'], 2, /required option '-c, --config <FILE>'/],
    ['one that is not there', ['proxy', '-c', '/nowhere/x.yaml'], 2, /the bootstrap \/nowhere\/x\.yaml cannot be read/],
    ['no port', ['proxy', '-c', 'x', '--admin-port', '70000'], 2, /--admin-port 70000 is no whole number/],
  ])('refuses %s', async (_, args, exitCode, message) => {
    const { code, err } = await runCommand(args)
    expect(err).toMatch(message)
    expect(code).toBe(exitCode)
  })

  test('says every field of a bootstrap that it does not know', async () => {
    const { code, err } = await runCommand(['proxy', '-c', writeBootstrap('{hds_config: {}, flags_path: /x}')])
    expect(code).toBe(1)
    expect(err).toContain('hds_config: the reference proxy does not know this field')
    expect(err).toContain('flags_path: the reference proxy does not know this field')
  })
})
