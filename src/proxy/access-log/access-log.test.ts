import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { eventually } from '../../../test/support/poll.ts'
import { createBedHost, createProxyContext } from '../../../test/support/proxy-bed.ts'
import { tempDir } from '../../../test/support/temp.ts'
import { FieldReader, type JsonObject } from '../config/field-reader.ts'
import { createStreamInfo } from '../http/create-stream-info.ts'
import { Headers } from '../http/headers.ts'
import type { StreamInfo } from '../http/stream-info.ts'
import type { DownstreamConnection, LoggedHttp } from '../network/network-filter.ts'
import type { ProxyContext } from '../proxy-context.ts'
import { createAccessLogger, readAccessLog } from './access-log.ts'

const connection = {
  id: 7,
  remoteAddress: { ip: '10.0.0.1', port: 1234 },
  directRemoteAddress: { ip: '10.0.0.9', port: 9 },
  localAddress: { ip: '::1', port: 80 },
  serverName: 'shop.example',
  tls: {
    version: 'TLSv1.3',
    cipher: 'TLS_AES_128_GCM_SHA256',
    peer: { subject: 'CN=a', uriNames: ['spiffe://a'], dnsNames: ['a', 'b'], sha256: 'ff', pem: 'PEM' },
  },
} as unknown as DownstreamConnection

/** A clock that stands 1,234 ms behind the stream's beginning. */
const context = (more: Partial<ProxyContext> = {}): ProxyContext =>
  createProxyContext({ clock: { now: () => 1234.5, after: () => ({ cancel: () => undefined }) }, ...more })

function streamOf(more: Partial<StreamInfo> = {}): StreamInfo {
  return {
    ...createStreamInfo({ now: () => 0, after: () => ({ cancel: () => undefined }) }, 'HTTP/1.1'),
    startTime: new Date('2026-11-21T16:04:05.678Z'),
    responseCode: 200,
    responseCodeDetails: 'via_upstream',
    bytesReceived: 3,
    bytesSent: 5,
    routeName: 'cart/0',
    upstreamCluster: 'cart',
    upstreamHost: createBedHost(8080),
    attempts: 2,
    flags: new Set(['URX', 'UF']),
    dynamicMetadata: new Map([['a', { b: { c: 'd' } }]]),
    ...more,
  }
}

const http: LoggedHttp = {
  request: Headers.of({ ':method': 'GET', ':path': '/a?b=c', ':authority': 'shop', 'x-long': 'abcdef' }),
  response: Headers.of({ ':status': '200', 'content-type': 'text/plain' }),
  trailers: Headers.of({ 'grpc-status': '5' }),
}

/** What is written of one stream. */
function written(log: JsonObject, stream: StreamInfo = streamOf(), of: LoggedHttp | 'raw' = http): string {
  const lines: string[] = []
  const stdout = { write: (text: string) => lines.push(text) > 0 } as unknown as NodeJS.WritableStream
  const config = FieldReader.read(log, readAccessLog)
  createAccessLogger([config], context({ stdout })).log(stream, connection, of === 'raw' ? undefined : of)
  return lines.join('')
}

const stdoutLog = (format: JsonObject, more: JsonObject = {}): JsonObject => ({
  name: 'log',
  typed_config: {
    '@type': 'type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog',
    ...format,
  },
  ...more,
})

const textLog = (text: string, more: JsonObject = {}): JsonObject =>
  stdoutLog({ log_format: { text_format_source: { inline_string: text } } }, more)

describe('a text format', () => {
  test.each([
    ['%REQ(:METHOD)% %REQ(X-NONE?:PATH)%', 'GET /a?b=c'],
    ['%REQ(x-long):3% 100%%', 'abc 100%'],
    ['%REQ(none)%|%RESP(Content-Type)%|%TRAILER(grpc-status)%', '-|text/plain|5'],
    ['%PROTOCOL% %RESPONSE_CODE% %RESPONSE_CODE_DETAILS%', 'HTTP/1.1 200 via_upstream'],
    ['%RESPONSE_FLAGS% %RESPONSE_FLAGS_LONG%', 'URX,UF UpstreamRetryLimitExceeded,UpstreamConnectionFailure'],
    ['%BYTES_RECEIVED% %BYTES_SENT% %DURATION%', '3 5 1234'],
    ['%START_TIME%', '2026-11-21T16:04:05.678Z'],
    ['%START_TIME(%Y/%m/%d %H:%M:%S.%3f %s)%', '2026/11/21 16:04:05.678 1795277045'],
    ['%START_TIME(%a, %d %b %j %E3S%z)%', 'Sat, 21 Nov 325 05.678+0000'],
    [
      '%ROUTE_NAME% %UPSTREAM_CLUSTER% %UPSTREAM_HOST% %UPSTREAM_REQUEST_ATTEMPT_COUNT%',
      'cart/0 cart 127.0.0.1:8080 2',
    ],
    ['%DOWNSTREAM_REMOTE_ADDRESS% %DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%', '10.0.0.1:1234 10.0.0.9'],
    ['%DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_PORT%', '[::1]:80 80'],
    ['%REQUESTED_SERVER_NAME% %DOWNSTREAM_TLS_VERSION% %DOWNSTREAM_PEER_SUBJECT%', 'shop.example TLSv1.3 CN=a'],
    ['%DOWNSTREAM_PEER_URI_SAN% %DOWNSTREAM_PEER_DNS_SAN%', 'spiffe://a a,b'],
    ['%DYNAMIC_METADATA(a:b:c)% %DYNAMIC_METADATA(a:b)% %DYNAMIC_METADATA(x)%', 'd {"c":"d"} -'],
    ['%CONNECTION_ID% %QUERY_PARAM(b)% %PATH(NQ)%', '7 c /a'],
  ])('%s is %s', (format, line) => {
    expect(written(textLog(format))).toBe(line)
  })

  test('has no value where nothing is known', () => {
    const nothing = createStreamInfo({ now: () => 0, after: () => ({ cancel: () => undefined }) })
    const line = written(textLog('%PROTOCOL%|%RESPONSE_CODE%|%RESPONSE_FLAGS%|%UPSTREAM_HOST%'), nothing)
    expect(line).toBe('-|0|-|-')
  })

  test('is that of Envoy where none is said', () => {
    expect(written(stdoutLog({}))).toBe(
      '[2026-11-21T16:04:05.678Z] "GET /a?b=c HTTP/1.1" 200 URX,UF 3 5 1234 - "-" "-" "-" "shop" "127.0.0.1:8080"\n',
    )
  })

  test('with what is not known is refused', () => {
    expect(() => written(textLog('%NO_SUCH%'))).toThrow('does not know the command operator %NO_SUCH%')
    expect(() => written(textLog('50% of'))).toThrow("Couldn't find valid command")
    expect(() => written(textLog('%START_TIME(%Q)%'))).toThrow('does not know %Q in a time format')
  })

  test('of a raw connection has no headers', () => {
    expect(written(textLog('%REQ(:METHOD)% %BYTES_SENT%'), streamOf(), 'raw')).toBe('- 5')
  })
})

describe('a JSON format', () => {
  test('keeps types, orders its keys, and says null for what is not there', () => {
    const format = {
      status: '%RESPONSE_CODE%',
      flags: '%RESPONSE_FLAGS%',
      both: '%RESPONSE_CODE% %REQ(none)%',
      none: '%REQ(none)%',
      deep: { list: ['%BYTES_SENT%', 1, true] },
    }
    expect(written(stdoutLog({ log_format: { json_format: format } }))).toBe(
      '{"both":"200 -","deep":{"list":[5,1,true]},"flags":"URX,UF","none":null,"status":200}\n',
    )
  })

  test('leaves out what is not there, where it is so asked', () => {
    const format = { json_format: { none: '%REQ(none)%', status: '%RESPONSE_CODE%' }, omit_empty_values: true }
    expect(written(stdoutLog({ log_format: format }))).toBe('{"status":200}\n')
  })
})

describe('a filter lets through', () => {
  const status = (op: string, value: number): JsonObject => ({
    status_code_filter: { comparison: { op, value: { default_value: value, runtime_key: 'k' } } },
  })

  test.each<[string, JsonObject, boolean]>([
    ['statuses from a bound', status('GE', 200), true],
    ['statuses from a bound, and no lower ones', status('GE', 400), false],
    ['statuses up to a bound', status('LE', 200), true],
    ['statuses but one', status('NE', 200), false],
    ['long requests', { duration_filter: { comparison: { op: 'GE', value: { default_value: 1000 } } } }, true],
    ['flags', { response_flag_filter: { flags: ['UF'] } }, true],
    ['other flags', { response_flag_filter: { flags: ['UH'] } }, false],
    ['any flag', { response_flag_filter: {} }, true],
    ['headers', { header_filter: { header: { name: ':method', string_match: { exact: 'GET' } } } }, true],
    ['statuses of gRPC', { grpc_status_filter: { statuses: ['NOT_FOUND'] } }, true],
    ['other statuses of gRPC', { grpc_status_filter: { statuses: ['NOT_FOUND'], exclude: true } }, false],
    ['what all let through', { and_filter: { filters: [status('GE', 200), status('LE', 100)] } }, false],
    ['what one lets through', { or_filter: { filters: [status('GE', 200), status('LE', 100)] } }, true],
    ['a share of all', { runtime_filter: { percent_sampled: { numerator: 100 } } }, true],
    ['no share', { runtime_filter: { percent_sampled: { numerator: 0 } } }, false],
    ['what is no health check', { not_health_check_filter: {} }, true],
  ])('%s', (_, filter, isLogged) => {
    expect(written(textLog('x', { filter })) === 'x').toBe(isLogged)
  })
})

test('a file is written in the order of the streams, however fast they come', async () => {
  const path = join(tempDir(), 'access.log')
  const config = FieldReader.read(
    {
      name: 'log',
      typed_config: {
        '@type': 'type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog',
        path,
        log_format: { text_format_source: { inline_string: '%BYTES_SENT%\n' } },
      },
    },
    readAccessLog,
  )
  const logger = createAccessLogger([config], context())
  for (let size = 0; size < 1000; size += 1) logger.log(streamOf({ bytesSent: size }), connection, http)
  const read = (): string[] => readFileSync(path, 'utf8').trim().split('\n')
  await eventually(() => {
    expect(read()).toHaveLength(1000)
  })
  expect(read()).toEqual(Array.from({ length: 1000 }, (_, size) => String(size)))
})
