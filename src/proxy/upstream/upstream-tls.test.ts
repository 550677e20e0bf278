import { createSecureServer, type Http2SecureServer } from 'node:http2'
import { createServer as createHttps } from 'node:https'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import type { TLSSocket } from 'node:tls'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type CertificateAuthority, createAuthority } from '../../../test/support/certificates.ts'
import {
  type BedCluster,
  type BedSecrets,
  createBedCluster,
  createBedSecrets,
  createProxyContext,
} from '../../../test/support/proxy-bed.ts'
import type { Host } from '../cluster/host.ts'
import type { JsonObject } from '../config/field-reader.ts'
import { Headers } from '../http/headers.ts'
import type { ProxyContext } from '../proxy-context.ts'
import { noValidation } from '../tls/validation-context.ts'
import { createConnections } from './connections.ts'
import type { Connections, UpstreamRequest } from './upstream.ts'

let authority: CertificateAuthority
beforeAll(async () => {
  authority = await createAuthority()
})

const ends: (() => void)[] = []
afterEach(() => {
  for (const end of ends.splice(0)) end()
})

interface SecureHost {
  readonly port: number
  /** `h2 a.example`: what each connection agreed on. */
  readonly agreed: string[]
}

async function start(server: Http2SecureServer | ReturnType<typeof createHttps>): Promise<SecureHost> {
  const agreed: string[] = []
  const sockets = new Set<TLSSocket>()
  server.on('secureConnection', (socket: TLSSocket & { readonly servername?: string }) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    agreed.push(`${socket.alpnProtocol} ${socket.servername}`)
  })
  server.on('tlsClientError', () => undefined)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  ends.push(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return { port: (server.address() as AddressInfo).port, agreed }
}

async function secure(kind: 'both' | 'http1', sans: readonly string[] = ['a.example']): Promise<SecureHost> {
  const { certificate, key } = await authority.issue({ name: 'host', sans })
  const options = { cert: certificate, key }
  if (kind === 'http1') return start(createHttps(options, (_, response) => response.end('1.1')))
  return start(
    createSecureServer({ ...options, allowHTTP1: true }, (request, response) => response.end(request.httpVersion)),
  )
}

const any = (type: string, rest: JsonObject): JsonObject => ({ '@type': `type.googleapis.com/${type}`, ...rest })
const optionsType = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions'
const speaking = (options: JsonObject): JsonObject => ({
  typed_extension_protocol_options: { [optionsType]: any(optionsType, options) },
})
const tls = (common: JsonObject = {}, rest: JsonObject = {}): JsonObject => ({
  name: 'tls',
  typed_config: any('envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext', {
    common_tls_context: common,
    ...rest,
  }),
})
const trusting = (): JsonObject => ({
  validation_context: { trusted_ca: { inline_string: authority.certificate } },
})

interface Bed {
  readonly context: ProxyContext
  readonly connections: Connections
  readonly cluster: BedCluster
  readonly secrets: BedSecrets
  stat(name: string): number | undefined
}

function bed(port: number, json: JsonObject, metadata: Host['metadata'] = {}): Bed {
  const context = createProxyContext()
  const secrets = createBedSecrets()
  const connections = createConnections(context, secrets)
  const cluster = createBedCluster(context, port, json, metadata)
  ends.push(() => cluster.host.remove())
  return {
    context,
    connections,
    cluster,
    secrets,
    stat: (name) => context.stats.counters.get(`cluster.cart.${name}`)?.value,
  }
}

async function get(
  { connections, cluster }: Bed,
  rest: Partial<UpstreamRequest> = {},
  host = 'a.example',
): Promise<string> {
  const stream = await connections.openStream(cluster, cluster.host, {
    headers: Headers.of({ ':method': 'GET', ':path': '/', ':authority': host, ':scheme': 'https' }),
    isEnd: true,
    priority: 'default',
    downstreamProtocol: 'HTTP/1.1',
    ...rest,
  })
  return text((await stream.response).body)
}

describe('the protocol', () => {
  it('is what ALPN agrees on, where the cluster leaves it to that', async () => {
    const automatic = { ...speaking({ auto_config: {} }), transport_socket: tls() }
    const both = await secure('both')
    const one = bed(both.port, automatic)
    expect(await Promise.all([get(one), get(one)])).toEqual(['2.0', '2.0'])
    expect(await get(one)).toBe('2.0')
    expect(one.stat('upstream_cx_http2_total')).toBeGreaterThan(0)
    const old = bed((await secure('http1')).port, automatic)
    expect(await get(old)).toBe('1.1')
    expect(old.stat('upstream_cx_http1_total')).toBe(1)
  })

  it('is asked for by ALPN where the cluster says it', async () => {
    const host = await secure('both')
    const http2 = speaking({ explicit_http_config: { http2_protocol_options: {} } })
    expect(await get(bed(host.port, { ...http2, transport_socket: tls() }))).toBe('2.0')
    expect(await get(bed(host.port, { transport_socket: tls() }))).toBe('1.1')
    expect(host.agreed).toEqual(['h2 false', 'http/1.1 false'])
  })

  it('is what the client speaks, where the cluster does likewise', async () => {
    const likewise = { ...speaking({ use_downstream_protocol_config: { http2_protocol_options: {} } }) }
    const one = bed((await secure('both')).port, { ...likewise, transport_socket: tls() })
    expect(await get(one, { downstreamProtocol: 'HTTP/2' })).toBe('2.0')
    expect(await get(one, { downstreamProtocol: 'HTTP/1.1' })).toBe('1.1')
  })
})

describe('the name that is asked for', () => {
  it('is that of the request, and is checked, where the cluster says so', async () => {
    const host = await secure('http1', ['a.example', '127.0.0.1'])
    const automatic = speaking({
      explicit_http_config: { http_protocol_options: {} },
      upstream_http_protocol_options: { auto_sni: true, auto_san_validation: true },
    })
    const one = bed(host.port, { ...automatic, transport_socket: tls(trusting()) })
    expect(await get(one, {}, 'a.example:8443')).toBe('1.1')
    await expect(get(one, {}, 'b.example')).rejects.toMatchObject({ flag: 'UF' })
    expect(await get(one, {}, '127.0.0.1')).toBe('1.1')
    expect(await get(one, {}, 'a.example')).toBe('1.1')
    // Connections that asked for one name carry no request for another.
    expect(host.agreed.filter((agreed) => agreed.endsWith('a.example')).length).toBe(1)
    expect(one.stat('ssl.fail_verify_san')).toBe(1)
  })
})

describe('the transport socket', () => {
  it('is the first that the metadata of the host asks for', async () => {
    const host = await secure('http1')
    const matches = {
      transport_socket_matches: [
        { name: 'a', match: { kind: 'a' }, transport_socket: tls({}, { sni: 'one.example' }) },
        { name: 'b', match: { kind: 'b', more: true }, transport_socket: tls({}, { sni: 'two.example' }) },
        { name: 'rest', match: {}, transport_socket: tls({}, { sni: 'rest.example' }) },
      ],
    }
    const asked = async (metadata: Record<string, unknown>): Promise<string | undefined> => {
      await get(bed(host.port, matches, { 'envoy.transport_socket_match': metadata }))
      return host.agreed.at(-1)
    }
    expect(await asked({ kind: 'a' })).toBe('http/1.1 one.example')
    expect(await asked({ kind: 'b', more: true, and: 1 })).toBe('http/1.1 two.example')
    expect(await asked({ kind: 'b' })).toBe('http/1.1 rest.example')
  })
})

describe('a CA in a secret', () => {
  const sds = (name: string): JsonObject => ({ name, sds_config: { ads: {}, resource_api_version: 'V3' } })

  it('is waited for, and a new one counts for new connections only', async () => {
    const host = await secure('http1')
    const one = bed(host.port, { transport_socket: tls({ validation_context_sds_secret_config: sds('ca') }) })
    const warming = one.connections.warm(one.cluster.config)
    let isReady = false
    void warming.ready.then(() => {
      isReady = true
    })
    await expect(get(one)).rejects.toMatchObject({ transportFailure: 'TLS error: Secret is not supplied by SDS' })
    expect(isReady).toBe(false)
    one.secrets.setValidation('ca', { ...noValidation, trustedCa: Buffer.from(authority.certificate) })
    await warming.ready
    warming.cancel()
    expect(await get(one)).toBe('1.1')
    const { certificate } = await createAuthority('another')
    one.secrets.setValidation('ca', { ...noValidation, trustedCa: Buffer.from(certificate) })
    expect(await get(one)).toBe('1.1')
    one.cluster.host.turnUnhealthy()
    await expect(get(one)).rejects.toMatchObject({ flag: 'UF' })
  })

  it('that cannot be read is refused, as is one of the configuration', async () => {
    const one = bed(1, { transport_socket: tls({ validation_context_sds_secret_config: sds('ca') }) })
    one.connections.warm(one.cluster.config)
    expect(() => one.secrets.setValidation('ca', { ...noValidation, trustedCa: Buffer.from('none') })).toThrow(
      'Failed to load trusted CA certificates from <inline>',
    )
    const names = [{ san_type: 'DNS', matcher: { exact: 'a' } }]
    const without = bed(1, { transport_socket: tls({ validation_context: { match_typed_subject_alt_names: names } }) })
    expect(() => without.connections.warm(without.cluster.config)).toThrow(
      'SAN-based verification of peer certificates without trusted CA is insecure and not allowed',
    )
  })
})
