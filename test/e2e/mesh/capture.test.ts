import { writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { buildBootstrap } from '../../../src/cli/bootstrap-config.ts'
import { atTestEnd } from '../../support/at-test-end.ts'
import { startBackend } from '../../support/backend.ts'
import { createAuthority } from '../../support/certificates.ts'
import { runCommand } from '../../support/command.ts'
import { rejections, startControlPlane, type TestControlPlane } from '../../support/control-plane.ts'
import { startEnvoy } from '../../support/envoy.ts'
import { describeWithEnvoy } from '../../support/needs.ts'
import {
  createNamespace,
  describeWithNamespaces,
  type Namespace,
  testWithIpv6,
} from '../../support/network-namespace.ts'
import { eventually } from '../../support/poll.ts'
import { tempDir } from '../../support/temp.ts'

/** A workload: it says which header the proxy has added, which nobody else adds. */
const workload = `
const server = require('node:http').createServer((request, response) => {
  response.end(request.headers['x-forwarded-proto'] === undefined ? 'direct' : 'by the proxy')
})
server.listen(8080, process.argv[1] ?? '0.0.0.0', () => console.log('listening'))
`

/** A host outside, and one that speaks TLS: on the loopback of the network, under the only name that it knows. */
const partner = `
const { certificate, key } = JSON.parse(process.argv[1])
require('node:http').createServer((request, response) => response.end('partner')).listen(9090, '127.0.0.1', () => {
  const tls = require('node:tls').createServer({ cert: certificate, key }, (socket) => socket.end('partner by TLS'))
  tls.on('tlsClientError', () => {}).listen(9443, '127.0.0.1', () => console.log('listening'))
})
`

/** It asks an address for a name by TLS, and prints what comes back. */
const askTls = `
const [host, port, servername] = process.argv.slice(1)
const socket = require('node:tls').connect({ host, port, servername, rejectUnauthorized: false })
let heard = ''
socket.on('data', (data) => { heard += data })
socket.on('error', (error) => { heard ||= error.code })
socket.on('close', () => console.log(heard === '' ? 'closed' : heard))
`

/** What a workload does: it asks an address for a host, and prints the answer. */
const ask = `
const [host, port, name] = process.argv.slice(1)
require('node:http').get({ host, port, headers: { host: name } }, (response) => {
  let body = ''
  response.on('data', (text) => { body += text })
  response.on('end', () => console.log(response.statusCode + ' ' + body.trim()))
}).on('error', (error) => console.log(error.code))
`

/** It says something on a connection, and prints what comes back. */
const say = `
const [host, port, text] = process.argv.slice(1)
const socket = require('node:net').connect(port, host, () => socket.write(text))
let heard = ''
socket.on('data', (data) => { heard += data; socket.destroy() })
socket.on('error', (error) => { heard += error.code })
socket.on('close', () => console.log(heard === '' ? 'closed' : heard))
`

/** A network that is nowhere: what is sent there arrives only where it is captured. */
const [cartAddress, dbAddress, strange] = ['198.51.100.1', '198.51.100.7', '198.51.100.9']

const [cartAddress6, dbAddress6, strange6] = ['2001:db8::1', '2001:db8::7', '2001:db8::9']

/** A control plane outside the network, and the proxy `web` within it. */
async function startSidecar(net: Namespace, binary: string, config: string): Promise<TestControlPlane> {
  const server = await startControlPlane({ config: [config], listen: `${net.here}:0` })
  const address = `${net.here}:${server.xdsPort}`
  await startEnvoy({
    bootstrap: buildBootstrap({ id: 'web-1', cluster: 'web', server: address, delta: true }),
    binary: net.wrap(binary),
  })
  return server
}

/** Resolves to its port. */
async function startEcho(host: string): Promise<number> {
  const echo = createServer((socket) => socket.pipe(socket))
  await new Promise<void>((resolve) => void echo.listen(0, host, resolve))
  atTestEnd(() => void echo.close())
  return (echo.address() as { port: number }).port
}

interface Family {
  readonly here: string
  readonly there: string
  readonly db: string
}

/** What the workload `web` calls, by addresses of one family, and its Sidecar. Resolves to the directory. */
async function writeMesh(net: Namespace, { here, there, db }: Family, more: string): Promise<string> {
  const cart = await startBackend({ name: 'cart', host: net.here })
  const echoPort = await startEcho(here)
  const config = tempDir()
  writeFileSync(
    join(config, 'mesh.yaml'),
    `
kind: Service
name: cart
port: 80
endpoints: {address: ${net.here}, port: ${cart.port}}
---
kind: Service
name: orders-db
protocol: tcp
port: 5432
address: ${db}
endpoints: {address: "${here}", port: ${echoPort}}
---
kind: Service
name: web
port: 80
endpoints: {address: "${there}", port: 8080}
---
kind: Sidecar
name: web
nodes: {cluster: web}
service: web
inbound: {port: 15006, app: "127.0.0.1:8080"}
${more}
capture: iptables
accessLog: {off: true}
`,
  )
  return config
}

describeWithEnvoy('a captured workload', (binary) => {
  describeWithNamespaces('in a network of its own', () => {
    test('calls and is called through its sidecar, and without it when the rules are gone', async () => {
      const net = createNamespace()
      const more = 'outbound: {services: [cart, orders-db], egress: {hosts: [localhost], ports: [9090, 9443]}}'
      const config = await writeMesh(net, { here: net.here, there: net.there, db: dbAddress }, more)
      const server = await startSidecar(net, binary, config)
      expect(await net.start(workload)).toBe('listening')
      const certificate = await (await createAuthority()).issue({ name: 'partner' })
      expect(await net.start(partner, JSON.stringify(certificate))).toBe('listening')
      expect(await asked(net.there, 8080)).toBe('direct')

      const capture = ['capture', '--sidecar', 'web', '--config', config, '--uid', '0']
      net.restore((await runCommand(capture)).out)
      await eventually(async () => (await asked(net.there, 8080)) === 'by the proxy', { timeoutMs: 15_000 })
      await eventually(
        async () => (await net.run(ask, cartAddress, '80', 'cart')).startsWith('200 {"backend":"cart"'),
        { timeoutMs: 15_000 },
      )
      // By its host, whatever the port; and a host of no Service is refused.
      expect(await net.run(ask, cartAddress, '8123', 'cart:8123')).toMatch(/^200 /)
      expect(await net.run(ask, cartAddress, '80', 'nowhere.example')).toBe('403 This host is not in the mesh.')
      // By its address; and what is no Service is closed.
      expect(await net.run(say, dbAddress, '5432', 'hello')).toBe('hello')
      expect(await net.run(say, strange, '9999', 'hello')).toMatch(/^(closed|ECONNRESET)$/)

      // What may be reached outside goes by its name, wherever the workload takes it to be; on the ports that are said.
      expect(await net.run(ask, strange, '9090', 'localhost:9090')).toBe('200 partner')
      expect(await net.run(ask, strange, '8080', 'localhost:8080')).toBe('403 port not allowed')
      expect(await net.run(ask, strange, '9090', 'evil.example:9090')).toBe('403 This host is not in the mesh.')
      expect(await net.run(askTls, strange, '9443', 'localhost')).toBe('partner by TLS')
      expect(await net.run(askTls, strange, '9443', 'evil.example')).toMatch(/^(closed|ECONNRESET)$/)
      expect(await net.run(askTls, strange, '8443', 'localhost')).toMatch(/^(closed|ECONNRESET)$/)

      const before = net.rules()
      net.restore((await runCommand([...capture, '--refresh'])).out)
      expect(withoutCounts(net.rules())).toBe(withoutCounts(before))
      net.restore((await runCommand([...capture, '--remove'])).out)
      expect(net.rules()).not.toContain('FAIRLEAD')
      expect(await asked(net.there, 8080)).toBe('direct')
      expect(await rejections(server)).toBe(0)
    })

    test('is reached by others only through its proxy where it listens on its loopback, without any rule', async () => {
      const net = createNamespace()
      const config = tempDir()
      writeFileSync(
        join(config, 'mesh.yaml'),
        `
kind: Service
name: web
port: 80
endpoints: {address: ${net.there}, port: 15006}
---
kind: Sidecar
name: web
nodes: {cluster: web}
service: web
inbound: {port: 15006, app: "127.0.0.1:8080"}
accessLog: {off: true}
`,
      )
      const server = await startSidecar(net, binary, config)
      expect(await net.start(workload, '127.0.0.1')).toBe('listening')
      await eventually(async () => (await asked(net.there, 15_006)) === 'by the proxy', { timeoutMs: 15_000 })
      await expect(asked(net.there, 8080)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
      expect(await net.run(ask, '127.0.0.1', '8080', 'web')).toBe('200 direct')
      expect(net.rules()).not.toContain('FAIRLEAD')
      expect(await rejections(server)).toBe(0)
    })

    testWithIpv6(
      'calls and is called through it by IPv6 as well, where the Sidecar says that there is IPv6',
      async () => {
        const net = createNamespace()
        const more = 'outbound: {services: [cart, orders-db]}\nipv6: true'
        const config = await writeMesh(net, { here: net.here6, there: net.there6, db: dbAddress6 }, more)
        const server = await startSidecar(net, binary, config)
        expect(await net.start(workload, '::')).toBe('listening')
        const capture = ['capture', '--sidecar', 'web', '--config', config, '--uid', '0']
        net.restore((await runCommand([...capture, '--ipv6'])).out, 6)
        expect(await asked(net.there, 8080)).toBe('direct')
        await eventually(async () => (await asked(net.there6, 8080)) === 'by the proxy', { timeoutMs: 15_000 })
        await eventually(
          async () => (await net.run(ask, cartAddress6, '80', 'cart')).startsWith('200 {"backend":"cart"'),
          { timeoutMs: 15_000 },
        )
        expect(await net.run(ask, cartAddress6, '80', 'nowhere.example')).toBe('403 This host is not in the mesh.')
        expect(await net.run(say, dbAddress6, '5432', 'hello')).toBe('hello')
        expect(await net.run(say, strange6, '9999', 'hello')).toMatch(/^(closed|ECONNRESET)$/)
        // Itself it reaches as if there were no proxy.
        expect(await net.run(ask, '::1', '8080', 'localhost')).toBe('200 direct')

        net.restore((await runCommand(capture)).out)
        await eventually(async () => (await asked(net.there, 8080)) === 'by the proxy', { timeoutMs: 15_000 })
        const before = net.rules(6)
        net.restore((await runCommand([...capture, '--ipv6', '--refresh'])).out, 6)
        expect(withoutCounts(net.rules(6))).toBe(withoutCounts(before))
        net.restore((await runCommand([...capture, '--ipv6', '--remove'])).out, 6)
        expect(net.rules(6)).not.toContain('FAIRLEAD')
        expect(await asked(net.there6, 8080)).toBe('direct')
        expect(await rejections(server)).toBe(0)
      },
    )
  })
})

const withoutCounts = (rules: string): string =>
  rules
    .split('\n')
    .filter((line) => !line.startsWith('#'))
    .join('\n')
    .replaceAll(/\[\d+:\d+\]/g, '')

const asked = (host: string, port: number): Promise<string> =>
  new Promise((resolve, reject) => {
    const sent = request({ host, port, agent: false }, (response) => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (text: string) => {
        body += text
      })
      response.on('end', () => resolve(body))
    })
    sent.once('error', reject)
    sent.end()
  })
