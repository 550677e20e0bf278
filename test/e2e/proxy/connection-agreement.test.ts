import { readFileSync } from 'node:fs'
import { createServer as createHttps } from 'node:https'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls'
import { beforeAll, expect, test } from 'vitest'
import { createProxy } from '../../../src/proxy/create-proxy.ts'
import { buildProxyProtocolHeader } from '../../../src/proxy/upstream/proxy-protocol-header.ts'
import { atTestEnd } from '../../support/at-test-end.ts'
import { type CertificateAuthority, createAuthority } from '../../support/certificates.ts'
import { startEnvoy } from '../../support/envoy.ts'
import { describeWithEnvoy } from '../../support/needs.ts'
import { eventually } from '../../support/poll.ts'
import { logFile } from './agreement-bed.ts'

const any = (type: string, rest: object = {}): object => ({ '@type': `type.googleapis.com/${type}`, ...rest })
const anywhere = { socket_address: { address: '127.0.0.1', port_value: 0 } }

async function listen(server: Server): Promise<number> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  atTestEnd(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return (server.address() as AddressInfo).port
}

function cluster(name: string, port: number, rest: object = {}): object {
  const endpoint = { address: { socket_address: { address: '127.0.0.1', port_value: port } } }
  return {
    name,
    connect_timeout: '1s',
    type: 'STATIC',
    load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: [{ endpoint }] }] },
    ...rest,
  }
}

const tcpTo = (name: string): object => ({
  name: 'tcp',
  typed_config: any('envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', { stat_prefix: name, cluster: name }),
})

interface Proxies {
  readonly stock: (listener: string) => Promise<number>
  readonly reference: (listener: string) => Promise<number>
}

/** Both with the same bootstrap, but for where they log. */
async function startBoth(
  bootstrapFor: (log: string) => object,
  logs: { stock: string; reference: string },
): Promise<Proxies> {
  const envoy = await startEnvoy({
    bootstrap: bootstrapFor(logs.stock),
    args: ['--file-flush-interval-msec', '50'],
  })
  await envoy.waitLive()
  const proxy = await createProxy({ bootstrap: bootstrapFor(logs.reference) })
  atTestEnd(() => proxy.close())
  await proxy.live
  return {
    stock: (name) => envoy.listenerPort(name),
    reference: (name) => Promise.resolve(proxy.listenerPort(name) ?? 0),
  }
}

const prefix = (address_prefix: string, prefix_len: number): object => ({ address_prefix, prefix_len })

/** Each leads to a host that says its name. */
const chains: Readonly<Record<string, object>> = {
  exact: { server_names: ['a.example.org'] },
  wild: { server_names: ['*.example.org'] },
  'tls h2': { transport_protocol: 'tls', application_protocols: ['h2'] },
  tls: { transport_protocol: 'tls' },
  h2c: { transport_protocol: 'raw_buffer', application_protocols: ['h2c'] },
  'http/1.1': { transport_protocol: 'raw_buffer', application_protocols: ['http/1.1'] },
  port: { destination_port: 8443 },
  'port and net': { destination_port: 8443, prefix_ranges: [prefix('10.1.0.0', 16)] },
  'port, net and name': {
    destination_port: 8443,
    prefix_ranges: [prefix('10.1.2.0', 24)],
    server_names: ['b.example.org'],
  },
  client: { prefix_ranges: [prefix('10.2.0.0', 16)], source_prefix_ranges: [prefix('192.0.2.0', 24)] },
  'client and port': {
    prefix_ranges: [prefix('10.2.0.0', 16)],
    source_prefix_ranges: [prefix('192.0.2.0', 24)],
    source_ports: [7777],
  },
  here: { prefix_ranges: [prefix('10.3.0.0', 16)], source_type: 'SAME_IP_OR_LOOPBACK' },
  away: { prefix_ranges: [prefix('10.3.0.0', 16)], source_type: 'EXTERNAL' },
  direct: { prefix_ranges: [prefix('10.4.0.0', 16)], direct_source_prefix_ranges: [prefix('127.0.0.0', 8)] },
  six: { prefix_ranges: [prefix('2001:db8::', 32)] },
}

interface Ask {
  /** Of the PROXY protocol header; without it none is sent. */
  readonly to?: string
  readonly toPort?: number
  readonly from?: string
  readonly fromPort?: number
  readonly version?: 1 | 2
  readonly tls?: ConnectionOptions
  readonly says?: string
}

const http11 = 'GET / HTTP/1.1\r\nhost: a\r\n\r\n'
const asks: readonly (readonly [what: string, ask: Ask])[] = [
  ['a name', { tls: { servername: 'a.example.org' } }],
  ['a name in capitals', { tls: { servername: 'A.EXAMPLE.org' } }],
  ['a name of the wildcard', { tls: { servername: 'c.d.example.org' } }],
  ['a name of the wildcard, with ALPN', { tls: { servername: 'x.example.org', ALPNProtocols: ['h2'] } }],
  ['the name behind the wildcard', { tls: { servername: 'example.org' } }],
  ['no name, with ALPN', { tls: { ALPNProtocols: ['x', 'h2'] } }],
  ['no name, with ALPN that no chain asks for', { tls: { ALPNProtocols: ['x'] } }],
  ['no name', { tls: {} }],
  ['HTTP/1.1', { says: http11 }],
  ['HTTP/1.0', { says: 'GET / HTTP/1.0\r\n\r\n' }],
  ['HTTP/2 in plain text', { says: 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n' }],
  ['what is no HTTP', { says: 'hello\r\n\r\n' }],
  ['a method that there is not', { says: 'FROB / HTTP/1.1\r\n\r\n' }],
  ['a port', { to: '10.9.0.1', toPort: 8443, says: http11 }],
  ['a port, with a name', { to: '10.9.0.1', toPort: 8443, tls: { servername: 'a.example.org' } }],
  ['a port and a net', { to: '10.1.9.1', toPort: 8443, says: http11, version: 2 }],
  ['a port and a narrower net without its name', { to: '10.1.2.1', toPort: 8443, says: http11 }],
  ['a port and a narrower net with its name', { to: '10.1.2.1', toPort: 8443, tls: { servername: 'b.example.org' } }],
  ['a client', { to: '10.2.0.1', from: '192.0.2.9', says: http11, version: 2 }],
  ['a client and its port', { to: '10.2.0.1', from: '192.0.2.9', fromPort: 7777, says: http11 }],
  ['another client', { to: '10.2.0.1', from: '198.51.100.1', says: http11 }],
  ['a client of this machine', { to: '10.3.0.1', from: '127.0.0.5', says: http11 }],
  ['a client of the same address', { to: '10.3.0.1', from: '10.3.0.1', says: http11 }],
  ['a client from elsewhere', { to: '10.3.0.1', from: '10.3.0.2', says: http11 }],
  ['whoever is connected', { to: '10.4.0.1', from: '198.51.100.1', says: http11 }],
  ['an address of IPv6', { to: '2001:db8::7', from: '2001:db8::8', says: http11 }],
  ['an address of IPv6, version 2', { to: '2001:db8::7', from: '2001:db8::8', says: http11, version: 2 }],
  ['an address of IPv6 that no chain is for', { to: '2001:db9::7', from: '2001:db8::8', tls: {} }],
  ['a header that is broken', { says: 'PROXY TCP4 1 2 3 4\r\nx' }],
  ['a header of an unknown family', { says: `PROXY UNKNOWN\r\n${http11}` }],
]

/** What Node's client says first. */
async function helloOf(options: ConnectionOptions): Promise<Buffer> {
  const server = createServer()
  const port = await listen(server)
  const heard = new Promise<Buffer>((resolve) => {
    server.once('connection', (socket: Socket) => socket.once('data', resolve))
  })
  const client = connectTls({ port, host: '127.0.0.1', ...options })
  client.on('error', () => undefined)
  const hello = await heard
  client.destroy()
  return hello
}

describeWithEnvoy('a reference proxy and a stock Envoy choose the same filter chain for', () => {
  let proxies: Proxies

  beforeAll(async () => {
    const hosts = await Promise.all(
      Object.keys(chains).map(async (name) => cluster(name, await listen(createServer((socket) => socket.end(name))))),
    )
    const filter = (type: string, rest: object = {}): object => ({ name: type, typed_config: any(type, rest) })
    const bootstrap = {
      static_resources: {
        clusters: hosts,
        listeners: [
          {
            name: 'match',
            address: anywhere,
            listener_filters: [
              filter('envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol', {
                allow_requests_without_proxy_protocol: true,
              }),
              filter('envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector'),
              filter('envoy.extensions.filters.listener.http_inspector.v3.HttpInspector'),
            ],
            filter_chains: Object.entries(chains).map(([name, match]) => ({
              name,
              filter_chain_match: match,
              filters: [tcpTo(name)],
            })),
          },
        ],
      },
    }
    proxies = await startBoth(() => bootstrap, { stock: '', reference: '' })
  })

  async function chosen(port: number, words: Buffer): Promise<string> {
    const socket = connect(port, '127.0.0.1')
    socket.write(words)
    return text(socket).catch(() => '')
  }

  test.each(asks)(
    '%s',
    async (_, { to, toPort = 80, from = '198.51.100.1', fromPort = 5000, version = 1, tls, says = '' }) => {
      const client = { remoteAddress: { ip: from, port: fromPort }, localAddress: { ip: to ?? '', port: toPort } }
      const header = to === undefined ? Buffer.alloc(0) : buildProxyProtocolHeader(version, client)
      const words = Buffer.concat([header, tls === undefined ? Buffer.from(says) : await helloOf(tls)])
      const expected = await chosen(await proxies.stock('match'), words)
      expect(await chosen(await proxies.reference('match'), words)).toBe(expected)
    },
  )
})

const inline = (content: string): object => ({ inline_string: content })

/** TLS contexts towards a host whose names are these, and what they bring of their own. */
const hostNames = ['host.example', 'other.example', 'spiffe://mesh/host']

function upstreamContexts(ours: CertificateAuthority, theirs: CertificateAuthority): Readonly<Record<string, object>> {
  const trusted = { trusted_ca: inline(ours.certificate) }
  const name = (san_type: string, matcher: object): object => ({
    validation_context: { ...trusted, match_typed_subject_alt_names: [{ san_type, matcher }] },
  })
  return {
    untold: {},
    trusted: { validation_context: trusted },
    stranger: { validation_context: { trusted_ca: inline(theirs.certificate) } },
    exact: name('DNS', { exact: 'other.example' }),
    uri: name('URI', { prefix: 'spiffe://mesh/' }),
    suffix: name('DNS', { suffix: '.example' }),
    'wrong-kind': name('DNS', { exact: 'spiffe://mesh/host' }),
    'wrong-name': name('DNS', { exact: 'x.example' }),
    hash: { validation_context: { ...trusted, verify_certificate_hash: ['aa'.repeat(32)] } },
    alpn: { alpn_protocols: ['h2'] },
    newest: { tls_params: { tls_minimum_protocol_version: 'TLSv1_3', tls_maximum_protocol_version: 'TLSv1_3' } },
  }
}

describeWithEnvoy('a reference proxy and a stock Envoy speak the same TLS', () => {
  let proxies: Proxies
  let ours: CertificateAuthority
  let theirs: CertificateAuthority
  const logs = { stock: logFile('tls-stock'), reference: logFile('tls-reference') }
  /** Versions that hosts saw. */
  const seen: string[] = []

  beforeAll(async () => {
    ours = await createAuthority('ours')
    theirs = await createAuthority('theirs')
    const host = await ours.issue({ name: 'host', sans: hostNames })
    const startHost = (options: object = {}): Promise<number> => {
      const server = createHttps({ cert: host.certificate, key: host.key, ...options }, (_, response) => response.end())
      server.on('secureConnection', (socket: TLSSocket & { servername?: string }) => {
        seen.push(`${socket.getProtocol()} ${socket.alpnProtocol} ${socket.servername}`)
      })
      server.on('tlsClientError', () => undefined)
      return listen(server)
    }
    const usual = await startHost()
    const hosts = new Map<string, number>([
      ['asks', await startHost({ requestCert: true, rejectUnauthorized: true, ca: ours.certificate })],
      ['only13', await startHost({ minVersion: 'TLSv1.3' })],
      [
        'plain',
        await listen(createServer((socket) => socket.once('data', () => socket.end('HTTP/1.1 400 x\r\n\r\n')))),
      ],
      ['refused', 1],
    ])
    const contexts = upstreamContexts(ours, theirs)
    const clusters = [...Object.keys(contexts), ...hosts.keys()].map((name) =>
      cluster(name, hosts.get(name) ?? usual, {
        transport_socket: {
          name: 'tls',
          typed_config: any('envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext', {
            sni: 'host.example',
            common_tls_context: contexts[name] ?? {},
          }),
        },
      }),
    )
    const edge = await ours.issue({ name: 'edge', sans: ['edge.example'] })
    const greeter = cluster('greeter', await listen(createServer((socket) => socket.end('welcome'))))
    const secured = (name: string, common: object, rest: object = {}): object => ({
      name,
      address: anywhere,
      filter_chains: [
        {
          filters: [tcpTo('greeter')],
          transport_socket: {
            name: 'tls',
            typed_config: any('envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext', {
              common_tls_context: {
                tls_certificates: [{ certificate_chain: inline(edge.certificate), private_key: inline(edge.key) }],
                ...common,
              },
              ...rest,
            }),
          },
        },
      ],
    })
    const trust = { validation_context: { trusted_ca: inline(ours.certificate) } }
    const bootstrapFor = (log: string): object => ({
      static_resources: {
        clusters: [...clusters, greeter],
        listeners: [
          httpListener([...Object.keys(contexts), ...hosts.keys()], log),
          secured('alpn', { alpn_protocols: ['h2', 'http/1.1'] }),
          secured('mutual', trust, { require_client_certificate: true }),
          secured('optional', trust),
          secured('newest', { tls_params: { tls_minimum_protocol_version: 'TLSv1_3' } }),
        ],
      },
    })
    proxies = await startBoth(bootstrapFor, logs)
  })

  function httpListener(names: readonly string[], log: string): object {
    const routes = names.map((name) => ({ match: { prefix: `/${name}` }, route: { cluster: name } }))
    const format =
      '%REQ(:path)% %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %UPSTREAM_TRANSPORT_FAILURE_REASON%\n'
    return {
      name: 'http',
      address: anywhere,
      filter_chains: [
        {
          filters: [
            {
              name: 'http',
              typed_config: any('envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager', {
                stat_prefix: 'http',
                http_filters: [{ name: 'router', typed_config: any('envoy.extensions.filters.http.router.v3.Router') }],
                route_config: { virtual_hosts: [{ name: 'all', domains: ['*'], routes }] },
                access_log: [
                  {
                    name: 'file',
                    typed_config: any('envoy.extensions.access_loggers.file.v3.FileAccessLog', {
                      path: log,
                      log_format: { text_format_source: inline(format) },
                    }),
                  },
                ],
              }),
            },
          ],
        },
      ],
    }
  }

  async function lineOf(log: string, path: string): Promise<string> {
    return eventually(() => {
      const line = readFileSync(log, 'utf8')
        .split('\n')
        .find((one) => one.startsWith(`${path} `))
      expect(line).toBeDefined()
      return line as string
    })
  }

  test.each([
    ...Object.keys(
      upstreamContexts({ certificate: '' } as CertificateAuthority, { certificate: '' } as CertificateAuthority),
    ),
    'asks',
    'only13',
    'plain',
    'refused',
  ])('with a host: %s', async (name) => {
    const ask = async (port: number): Promise<unknown> => {
      seen.length = 0
      const response = await fetch(`http://127.0.0.1:${port}/${name}`)
      const body = await response.text()
      // What a refused host has seen before is a matter of its own library.
      return [response.status, body, response.ok ? [...seen] : []]
    }
    const expected = await ask(await proxies.stock('http'))
    expect(await ask(await proxies.reference('http'))).toEqual(expected)
    expect(await lineOf(logs.reference, `/${name}`)).toBe(await lineOf(logs.stock, `/${name}`))
  })

  interface Client extends ConnectionOptions {
    /** Shows a certificate of this CA. */
    readonly from?: 'ours' | 'theirs'
  }

  test.each<readonly [what: string, listener: string, client: Client]>([
    ['ALPN that it knows', 'alpn', { ALPNProtocols: ['x', 'http/1.1'] }],
    ['ALPN, the server preferring', 'alpn', { ALPNProtocols: ['http/1.1', 'h2'] }],
    ['ALPN that it does not know', 'alpn', { ALPNProtocols: ['x'] }],
    ['no ALPN', 'alpn', {}],
    ['a certificate', 'mutual', { from: 'ours' }],
    ['no certificate', 'mutual', {}],
    ['no certificate in TLS 1.2', 'mutual', { maxVersion: 'TLSv1.2' }],
    ['no certificate where none is required', 'optional', {}],
    ['a certificate where none is required', 'optional', { from: 'ours' }],
    ['an old version', 'newest', { maxVersion: 'TLSv1.2' }],
  ])('with a client: %s', async (_, listener, { from, ...options }) => {
    const shown = from === undefined ? undefined : await (from === 'ours' ? ours : theirs).issue({ name: 'client' })
    const ask = async (port: number): Promise<readonly string[]> => {
      const events: string[] = []
      const socket = connectTls({
        port,
        host: '127.0.0.1',
        rejectUnauthorized: false,
        ...(shown && { cert: shown.certificate, key: shown.key }),
        ...options,
      })
      socket.on('secureConnect', () =>
        events.push(`${socket.getProtocol()} ${socket.getCipher().name} ${socket.alpnProtocol}`),
      )
      socket.on('error', (error: NodeJS.ErrnoException) => events.push(String(error.code)))
      socket.on('data', (data: Buffer) => events.push(data.toString()))
      await new Promise((resolve) => socket.once('close', resolve))
      return events
    }
    const expected = await ask(await proxies.stock(listener))
    expect(await ask(await proxies.reference(listener))).toEqual(expected)
  })

  test.each(['mutual', 'optional'])('with a client whose certificate is a stranger: %s', async (listener) => {
    const { certificate, key } = await theirs.issue({ name: 'client' })
    const ask = async (port: number): Promise<string> => {
      const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, cert: certificate, key })
      return text(socket).catch(() => '')
    }
    // Envoy says an alert with it, which Node's server cannot.
    expect(await ask(await proxies.stock(listener))).toBe('')
    expect(await ask(await proxies.reference(listener))).toBe('')
  })
})
