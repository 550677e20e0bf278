import { type AddressInfo, connect as connectTcp, createServer, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { type ConnectionOptions, connect, createServer as createTlsServer, type TLSSocket } from 'node:tls'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type Certificate, type CertificateAuthority, createAuthority } from '../../../test/support/certificates.ts'
import { createManualDiscovery } from '../../../test/support/manual-discovery.ts'
import {
  type BedSecrets,
  createBedCluster,
  createBedSecrets,
  createProxyContext,
} from '../../../test/support/proxy-bed.ts'
import type { JsonObject } from '../config/field-reader.ts'
import type { DownstreamConnection, NetworkFilterKind } from '../network/network-filter.ts'
import { tcpProxy } from '../network/tcp-proxy.ts'
import type { TlsCertificate } from '../tls/tls-certificate.ts'
import { noValidation } from '../tls/validation-context.ts'
import { createConnections } from '../upstream/connections.ts'
import { createListenerManager, type ListenerManager } from './listener-manager.ts'

let authority: CertificateAuthority
let other: CertificateAuthority
beforeAll(async () => {
  authority = await createAuthority('ours')
  other = await createAuthority('theirs')
})

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

const any = (type: string, rest: JsonObject): JsonObject => ({ '@type': `type.googleapis.com/${type}`, ...rest })
const inline = (content: string): JsonObject => ({ inline_string: content })
const certificateJson = ({ certificate, key }: Certificate): JsonObject => ({
  certificate_chain: inline(certificate),
  private_key: inline(key),
})
const sds = (name: string): JsonObject => ({ name, sds_config: { ads: {}, resource_api_version: 'V3' } })
const secretOf = ({ certificate, key }: Certificate): TlsCertificate => ({
  chain: Buffer.from(certificate),
  key: Buffer.from(key),
  pkcs12: undefined,
  password: undefined,
})
const downstream = (common: JsonObject, rest: JsonObject = {}): JsonObject => ({
  name: 'tls',
  typed_config: any('envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext', {
    common_tls_context: common,
    ...rest,
  }),
})
const upstream = (common: JsonObject, rest: JsonObject = {}): JsonObject => ({
  name: 'tls',
  typed_config: any('envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext', {
    common_tls_context: common,
    ...rest,
  }),
})

interface Bed {
  readonly manager: ListenerManager
  readonly secrets: BedSecrets
  /** What the filters saw of each connection. */
  readonly seen: DownstreamConnection[]
  readonly port: number
  stat(name: string): number | undefined
}

/** A TLS listener in front of a cluster, which is an echo in plain text where nothing else is said. */
async function bed(chains: readonly JsonObject[], cluster?: { port: number; json: JsonObject }): Promise<Bed> {
  const context = createProxyContext()
  const echo = createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket))
  await new Promise<void>((resolve) => echo.listen(0, '127.0.0.1', resolve))
  ends.push(() => echo.close())
  const secrets = createBedSecrets()
  const connections = createConnections(context, secrets)
  const target = createBedCluster(context, cluster?.port ?? (echo.address() as AddressInfo).port, cluster?.json)
  const seen: DownstreamConnection[] = []
  const see: NetworkFilterKind = {
    type: 'google.protobuf.Empty',
    read: () => undefined,
    create: () => ({
      onConnection(connection) {
        seen.push(connection)
        return true
      },
    }),
  }
  const manager = createListenerManager({
    context,
    clusters: { get: () => target, all: new Map() },
    connections,
    discovery: createManualDiscovery(),
    secrets,
    networkFilters: [tcpProxy as NetworkFilterKind, see],
  })
  ends.push(() => manager.close())
  const filters = [
    { name: 'see', typed_config: any('google.protobuf.Empty', {}) },
    {
      name: 'tcp',
      typed_config: any('envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', {
        stat_prefix: 'x',
        cluster: 'cart',
      }),
    },
  ]
  manager.applyStatic([
    {
      name: 'in',
      stat_prefix: 'in',
      address: { socket_address: { address: '127.0.0.1', port_value: 0 } },
      filter_chains: chains.map((chain) => ({ ...chain, filters })),
    },
  ])
  const portNow = (): number => manager.listeners.get('in')?.address.port ?? 0
  return {
    manager,
    secrets,
    seen,
    get port() {
      return portNow()
    },
    stat: (name) => (context.stats.counters.get(name) ?? context.stats.gauges.get(name))?.value,
  }
}

interface Answer {
  readonly text: string
  readonly serverNames: string | undefined
  readonly alpn: string | false | null
  readonly socket: TLSSocket
}

/** What comes back of `hello`, and whom it was from. */
async function ask(port: number, options: ConnectionOptions = {}): Promise<Answer> {
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options })
  socket.on('error', () => undefined)
  await new Promise<void>((resolve, reject) => {
    socket.once('secureConnect', resolve)
    socket.once('error', reject)
  })
  const serverNames = socket.getPeerCertificate().subjectaltname
  const alpn = socket.alpnProtocol
  socket.end('hello')
  return { text: await text(socket), serverNames, alpn, socket }
}

describe('TLS of clients', () => {
  it('shows the certificate that is inline, and tells filters of it', async () => {
    const one = await bed([
      {
        transport_socket: downstream({
          tls_certificates: [certificateJson(await authority.issue({ name: 'a', sans: ['a.example'] }))],
          alpn_protocols: ['h2', 'http/1.1'],
        }),
      },
    ])
    const answer = await ask(one.port, { servername: 'A.example', ALPNProtocols: ['http/1.1', 'h2'] })
    expect(answer).toMatchObject({ text: 'hello', serverNames: 'DNS:a.example', alpn: 'h2' })
    expect(one.seen[0]).toMatchObject({ serverName: 'a.example', alpn: 'h2', tls: { version: 'TLSv1.3' } })
    expect(one.stat('listener.in.ssl.handshake')).toBe(1)
    expect(one.stat('listener.in.ssl.no_certificate')).toBe(1)
  })

  it('goes by the name that the client asks for: in filter chains, and in the certificates of one', async () => {
    const issue = async (name: string): Promise<JsonObject> =>
      certificateJson(await authority.issue({ name, sans: [name] }))
    const one = await bed([
      {
        filter_chain_match: { server_names: ['a.example', '*.a.example'] },
        transport_socket: downstream({ tls_certificates: [await issue('a.example'), await issue('*.a.example')] }),
      },
      {
        filter_chain_match: { server_names: ['b.example'] },
        transport_socket: downstream({ tls_certificates: [await issue('b.example')] }),
      },
    ])
    const nameFor = async (servername: string): Promise<string | undefined> =>
      (await ask(one.port, { servername })).serverNames
    expect(await nameFor('a.example')).toBe('DNS:a.example')
    expect(await nameFor('x.a.example')).toBe('DNS:*.a.example')
    expect(await nameFor('b.example')).toBe('DNS:b.example')
    await expect(ask(one.port, { servername: 'c.example' })).rejects.toThrow(/disconnected|ECONNRESET/)
    expect(one.stat('listener.in.no_filter_chain_match')).toBe(1)
    expect(one.stat('tls_inspector.sni_found')).toBe(4)
  })

  it('lets in with a certificate of the CA only, and tells who it is', async () => {
    const one = await bed([
      {
        transport_socket: downstream(
          {
            tls_certificates: [certificateJson(await authority.issue({ name: 'a' }))],
            validation_context: { trusted_ca: inline(authority.certificate) },
          },
          { require_client_certificate: true },
        ),
      },
    ])
    const asClient = async (from: CertificateAuthority, validForMs?: number): Promise<ConnectionOptions> => {
      const sans = ['spiffe://mesh/cart', 'cart.example']
      const { certificate, key } = await from.issue({ name: 'cart', sans, ...(validForMs && { validForMs }) })
      return { cert: certificate, key }
    }
    const known = await asClient(authority)
    expect((await ask(one.port, known)).text).toBe('hello')
    expect(one.seen[0]?.tls?.peer).toMatchObject({
      subject: 'CN=cart',
      uriNames: ['spiffe://mesh/cart'],
      dnsNames: ['cart.example'],
    })
    const refusal = (options: ConnectionOptions): Promise<string> =>
      ask(one.port, options).then(
        ({ text: all }) => all,
        () => '',
      )
    expect(await refusal({})).toBe('')
    expect(await refusal(await asClient(other))).toBe('')
    expect(await refusal(await asClient(authority, -1000))).toBe('')
    expect(one.seen.length).toBe(1)
    expect(one.stat('listener.in.ssl.fail_verify_no_cert')).toBe(1)
    expect(one.stat('listener.in.ssl.fail_verify_error')).toBe(2)
  })

  it('takes its certificate from a secret, waits for it, and shows a new one to new connections only', async () => {
    const one = await bed([{ transport_socket: downstream({ tls_certificate_sds_secret_configs: [sds('edge')] }) }])
    expect(one.manager.listeners.size).toBe(0)
    one.secrets.setCertificate('edge', secretOf(await authority.issue({ name: 'a', sans: ['first.example'] })))
    await one.manager.initialized
    const open = connect({ port: one.port, host: '127.0.0.1', rejectUnauthorized: false })
    await new Promise((resolve) => open.once('secureConnect', resolve))
    const words = text(open)
    one.secrets.setCertificate('edge', secretOf(await authority.issue({ name: 'a', sans: ['second.example'] })))
    expect((await ask(one.port)).serverNames).toBe('DNS:second.example')
    const { key } = await authority.issue({ name: 'a' })
    const broken = { ...secretOf(await authority.issue({ name: 'a' })), key: Buffer.from(key) }
    expect(() => one.secrets.setCertificate('edge', broken)).toThrow(/KEY_VALUES_MISMATCH/)
    expect((await ask(one.port)).serverNames).toBe('DNS:second.example')
    open.end('still open')
    expect(await words).toBe('still open')
  })

  it('listens without its secret when it is known not to come, and lets nobody in', async () => {
    const one = await bed([{ transport_socket: downstream({ tls_certificate_sds_secret_configs: [sds('edge')] }) }])
    one.secrets.miss('edge')
    await one.manager.initialized
    await expect(ask(one.port)).rejects.toThrow(/disconnected|ECONNRESET/)
  })

  it('keeps to the versions that it is told', async () => {
    const certificates = [certificateJson(await authority.issue({ name: 'a' }))]
    const one = await bed([
      {
        transport_socket: downstream({
          tls_certificates: certificates,
          tls_params: { tls_minimum_protocol_version: 'TLSv1_3' },
        }),
      },
    ])
    await expect(ask(one.port, { maxVersion: 'TLSv1.2' })).rejects.toThrow(/protocol version/)
    expect(one.stat('listener.in.ssl.connection_error')).toBe(1)
    expect((await ask(one.port)).text).toBe('hello')
  })

  it('may be for those only who ask for a name', async () => {
    const certificates = [certificateJson(await authority.issue({ name: 'a' }))]
    const one = await bed([{ transport_socket: downstream({ tls_certificates: certificates }, { require_sni: true }) }])
    expect((await ask(one.port, { servername: 'a.example' })).text).toBe('hello')
    expect(
      await ask(one.port).then(
        (answer) => answer.text,
        () => '',
      ),
    ).toBe('')
    expect(one.seen.length).toBe(1)
  })

  it('is not waited for for ever', async () => {
    const one = await bed([
      {
        transport_socket: downstream({ tls_certificates: [certificateJson(await authority.issue({ name: 'a' }))] }),
        transport_socket_connect_timeout: '0.05s',
      },
    ])
    const silent = connectTcp(one.port, '127.0.0.1')
    await text(silent).catch(() => undefined)
    expect(one.stat('listener.in.downstream_cx_transport_socket_connect_timeout')).toBe(1)
  })
})

describe('TLS towards hosts', () => {
  /** An echo over TLS that writes down what it was asked for. */
  async function tlsEcho(
    options: Parameters<typeof createTlsServer>[0],
  ): Promise<{ port: number; names: (string | false | null)[]; clients: string[] }> {
    const names: (string | false | null)[] = []
    const clients: string[] = []
    const server = createTlsServer({ allowHalfOpen: true, ...options } as object, (socket) => {
      names.push((socket as TLSSocket & { servername?: string | false }).servername ?? null)
      clients.push(String(socket.getPeerCertificate().subject?.CN))
      socket.on('error', () => undefined)
      socket.pipe(socket)
    })
    server.on('tlsClientError', () => undefined)
    const sockets = new Set<Socket>()
    server.on('connection', (socket: Socket) => sockets.add(socket))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    ends.push(() => {
      server.close()
      for (const socket of sockets) socket.destroy()
    })
    return { port: (server.address() as AddressInfo).port, names, clients }
  }

  async function plainAsk(port: number): Promise<string> {
    const socket = connectTcp({ port, host: '127.0.0.1', allowHalfOpen: true })
    socket.end('hello')
    return text(socket).catch(() => '')
  }

  it('asks for its name, shows its certificate and checks whose the other one is', async () => {
    const host = await authority.issue({ name: 'host', sans: ['host.example', 'spiffe://mesh/host'] })
    const echo = await tlsEcho({
      cert: host.certificate,
      key: host.key,
      ca: authority.certificate,
      requestCert: true,
      rejectUnauthorized: true,
    })
    const client = await authority.issue({ name: 'cart' })
    const checking = (context: JsonObject): Promise<Bed> =>
      bed([{}], {
        port: echo.port,
        json: {
          transport_socket: upstream(
            { tls_certificates: [certificateJson(client)], validation_context: context },
            { sni: 'host.example' },
          ),
        },
      })
    const ours = { trusted_ca: inline(authority.certificate) }
    const name = (type: string, matcher: JsonObject): JsonObject => ({
      ...ours,
      match_typed_subject_alt_names: [{ san_type: type, matcher }],
    })
    const passes = async (context: JsonObject): Promise<string> => plainAsk((await checking(context)).port)
    expect(await passes(ours)).toBe('hello')
    expect(echo.names[0]).toBe('host.example')
    expect(echo.clients[0]).toBe('cart')
    expect(await passes(name('DNS', { exact: 'host.example' }))).toBe('hello')
    expect(await passes(name('URI', { prefix: 'spiffe://mesh/' }))).toBe('hello')
    expect(await passes(name('URI', { safe_regex: { regex: '.*/host' } }))).toBe('hello')
    expect(await passes({ ...ours, match_subject_alt_names: [{ suffix: '.example' }] })).toBe('hello')
    expect(await passes(name('DNS', { exact: 'spiffe://mesh/host' }))).toBe('')
    expect(await passes(name('DNS', { exact: 'another.example' }))).toBe('')
    expect(await passes({ trusted_ca: inline(other.certificate) })).toBe('')
  })

  it('takes what it shows and trusts from secrets, and counts what is refused', async () => {
    const host = await authority.issue({ name: 'host', sans: ['host.example'] })
    const echo = await tlsEcho({ cert: host.certificate, key: host.key })
    const one = await bed([{}], {
      port: echo.port,
      json: {
        transport_socket: upstream({
          combined_validation_context: {
            default_validation_context: {
              match_typed_subject_alt_names: [{ san_type: 'DNS', matcher: { exact: 'host.example' } }],
            },
            validation_context_sds_secret_config: sds('ca'),
          },
        }),
      },
    })
    expect(await plainAsk(one.port)).toBe('')
    one.secrets.setValidation('ca', { ...noValidation, trustedCa: Buffer.from(other.certificate) })
    expect(await plainAsk(one.port)).toBe('')
    expect(one.stat('cluster.cart.ssl.fail_verify_error')).toBe(1)
    one.secrets.setValidation('ca', { ...noValidation, trustedCa: Buffer.from(authority.certificate) })
    expect(await plainAsk(one.port)).toBe('hello')
    expect(one.stat('cluster.cart.ssl.handshake')).toBe(1)
  })
})
