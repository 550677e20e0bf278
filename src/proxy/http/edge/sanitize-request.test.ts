import { describe, expect, test } from 'vitest'
import { createProxyContext } from '../../../../test/support/proxy-bed.ts'
import { FieldReader, type JsonObject } from '../../config/field-reader.ts'
import { httpFilterKinds } from '../../filter/http-filter-kinds.ts'
import type { DownstreamConnection } from '../../network/network-filter.ts'
import { routerFilter } from '../../route/router.ts'
import { Headers } from '../headers.ts'
import { type EdgeRules, readManagerConfig, routeOptionsOf } from '../manager-config.ts'
import { sanitizeRequest } from './sanitize-request.ts'

const kinds = [...httpFilterKinds, routerFilter]

/** The rules of a connection manager of this configuration. */
function rulesOf(config: JsonObject): EdgeRules {
  const whole = {
    stat_prefix: 'x',
    route_config: { virtual_hosts: [] },
    http_filters: [
      { name: 'r', typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' } },
    ],
    ...config,
  }
  return FieldReader.read(whole, (fields) => readManagerConfig(fields, kinds, routeOptionsOf(kinds))).edge
}

const peer = { subject: 'CN=a', uriNames: ['spiffe://a'], dnsNames: ['a', 'b'], sha256: 'ff', pem: 'PEM' }

function sanitized(
  config: JsonObject,
  headers: Readonly<Record<string, string>>,
  connection: Partial<DownstreamConnection> = {},
): Readonly<Record<string, string>> {
  const request = Headers.of({ ':path': '/', ...headers })
  const address = { ip: '203.0.113.1', port: 5 }
  const from = { remoteAddress: address, localAddress: { ip: '10.0.0.1', port: 80 }, ...connection }
  sanitizeRequest(request, from as DownstreamConnection, rulesOf(config), createProxyContext(), undefined)
  return Object.fromEntries(request)
}

describe('who the client is', () => {
  test('is the one that has connected, where that is so asked', () => {
    expect(sanitized({ use_remote_address: true }, {})).toMatchObject({
      'x-forwarded-for': '203.0.113.1',
      'x-forwarded-proto': 'http',
      'x-envoy-external-address': '203.0.113.1',
    })
  })

  test('is what is said by whoever has connected, else', () => {
    const headers = sanitized({}, { 'x-forwarded-for': '1.2.3.4', 'x-forwarded-proto': 'https' })
    expect(headers).toMatchObject({ 'x-forwarded-for': '1.2.3.4', 'x-forwarded-proto': 'https' })
    expect(headers).not.toHaveProperty('x-envoy-external-address')
  })

  test('is not told where nothing is to be appended', () => {
    expect(sanitized({ use_remote_address: true, skip_xff_append: true }, {})).not.toHaveProperty('x-forwarded-for')
  })
})

describe('what the request says to the router', () => {
  const said = { 'x-envoy-retry-on': '5xx', 'x-envoy-upstream-rq-timeout-ms': '9', 'x-envoy-internal': 'true' }

  test('is not believed from outside', () => {
    const headers = sanitized({ use_remote_address: true }, said)
    for (const name of Object.keys(said)) expect(headers).not.toHaveProperty(name)
  })

  test('is believed from within', () => {
    const config = {
      use_remote_address: true,
      internal_address_config: { cidr_ranges: [{ address_prefix: '203.0.113.0', prefix_len: 24 }] },
    }
    expect(sanitized(config, said)).toMatchObject(said)
  })
})

describe('the id of a request', () => {
  test('from outside is a new one', () => {
    expect(sanitized({ use_remote_address: true }, { 'x-request-id': 'mine' })['x-request-id']).toMatch(
      /^[\da-f-]{36}$/,
    )
  })

  test('is kept where it may be', () => {
    const kept = { use_remote_address: true, preserve_external_request_id: true }
    expect(sanitized(kept, { 'x-request-id': 'mine' })['x-request-id']).toBe('mine')
    expect(sanitized({}, { 'x-request-id': 'mine' })['x-request-id']).toBe('mine')
  })

  test('says why it is traced', () => {
    const tracing = { tracing: { random_sampling: { value: 100 } } }
    expect(sanitized(tracing, {})['x-request-id']?.[14]).toBe('9')
    expect(sanitized({ tracing: { random_sampling: { value: 0 } } }, {})['x-request-id']?.[14]).toBe('4')
  })
})

describe('a trace', () => {
  const provider = (type: string, config: JsonObject): JsonObject => ({
    tracing: {
      provider: {
        name: 'x',
        typed_config: { '@type': `type.googleapis.com/envoy.config.trace.v3.${type}`, ...config },
      },
    },
  })
  const otlp = provider('OpenTelemetryConfig', {
    service_name: 'edge',
    grpc_service: { envoy_grpc: { cluster_name: 'otlp' }, timeout: '1s' },
  })

  test('begins here', () => {
    expect(sanitized(otlp, {})['traceparent']).toMatch(/^00-[\da-f]{32}-[\da-f]{16}-01$/)
  })

  test('goes on with another span', () => {
    const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-00`
    expect(sanitized(otlp, { traceparent })['traceparent']).toMatch(/^00-a{32}-(?!b{16})[\da-f]{16}-00$/)
  })

  test('of Zipkin has headers of its own', () => {
    const headers = sanitized(
      provider('ZipkinConfig', {
        collector_cluster: 'c',
        collector_endpoint: '/',
        collector_endpoint_version: 'HTTP_JSON',
      }),
      { 'x-b3-traceid': 'aa', 'x-b3-spanid': 'bb', 'x-b3-sampled': '0' },
    )
    expect(headers).toMatchObject({ 'x-b3-traceid': 'aa', 'x-b3-parentspanid': 'bb', 'x-b3-sampled': '0' })
  })
})

describe('the certificate of the client', () => {
  const tls = { version: 'TLSv1.3', cipher: 'c', peer }
  const set = { subject: true, dns: true, uri: true }

  test('is told of', () => {
    const config = { forward_client_cert_details: 'SANITIZE_SET', set_current_client_cert_details: set }
    expect(sanitized(config, { 'x-forwarded-client-cert': 'false' }, { tls })['x-forwarded-client-cert']).toBe(
      'Hash=ff;Subject="CN=a";URI=spiffe://a;DNS=a;DNS=b',
    )
  })

  test('is told of behind what is told already', () => {
    const config = { forward_client_cert_details: 'APPEND_FORWARD' }
    expect(sanitized(config, { 'x-forwarded-client-cert': 'Hash=aa' }, { tls })['x-forwarded-client-cert']).toBe(
      'Hash=aa,Hash=ff',
    )
  })

  test('is not told of by clients that have none', () => {
    const config = { forward_client_cert_details: 'APPEND_FORWARD' }
    expect(sanitized(config, { 'x-forwarded-client-cert': 'Hash=aa' })).not.toHaveProperty('x-forwarded-client-cert')
    expect(sanitized({}, { 'x-forwarded-client-cert': 'Hash=aa' }, { tls })).not.toHaveProperty(
      'x-forwarded-client-cert',
    )
  })
})

test('what a connection manager has that is not known is refused by its name', () => {
  expect(() => rulesOf({ scoped_routes: { name: 'x' } })).toThrow('scoped_routes')
  expect(() => rulesOf({ original_ip_detection_extensions: [{}] })).toThrow('original_ip_detection_extensions')
  expect(() => rulesOf({ http_filters: [] })).toThrow('http_filters')
})
