import { createServer, type IncomingMessage, type RequestListener, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, test } from 'vitest'
import { atTestEnd } from '../../../test/support/at-test-end.ts'
import { freePorts } from '../../../test/support/free-ports.ts'
import { type ManagerBed, routesTo, startManagerBed } from '../../../test/support/http-manager-bed.ts'
import { createBedCluster, createBedHost } from '../../../test/support/proxy-bed.ts'
import type { BalanceQuestion } from '../cluster/cluster.ts'
import type { TryOutcome } from '../cluster/host.ts'
import type { JsonObject } from '../config/field-reader.ts'

interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

async function startUpstream(listener: RequestListener): Promise<number> {
  const server = createServer({ keepAliveTimeout: 0 }, listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  atTestEnd(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

interface Asked {
  readonly method?: string
  readonly path?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Buffer
}

function ask(bed: ManagerBed, { method = 'GET', path = '/', headers = {}, body = '' }: Asked = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request({ port: bed.port, host: '127.0.0.1', method, path, headers }, (response) => {
      let text = ''
      response.on('data', (chunk: Buffer) => (text += String(chunk)))
      response.on('end', () =>
        resolve({
          status: response.statusCode as number,
          headers: response.headers as Record<string, string>,
          body: text,
        }),
      )
      response.on('error', reject)
    })
    asked.on('error', reject)
    asked.end(body)
  })
}

const log: JsonObject[] = [
  {
    name: 'log',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog',
      log_format: {
        text_format_source: {
          inline_string: '%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %UPSTREAM_REQUEST_ATTEMPT_COUNT%\n',
        },
      },
    },
  },
]

/** All goes by this action to the cluster `cart`, which answers so. */
async function startBed(action: JsonObject, listener: RequestListener | number): Promise<ManagerBed> {
  const port = typeof listener === 'number' ? listener : await startUpstream(listener)
  return startManagerBed({
    config: { access_log: log, route_config: routesTo({ cluster: 'cart', ...action }) },
    clusters: (context) => [createBedCluster(context, port)],
  })
}

/** One answer after the other; the last stays. */
function inTurn(...answers: ((message: IncomingMessage, response: ServerResponse) => void)[]): RequestListener {
  let count = 0
  return (message, response) => {
    const answer = answers[Math.min(count, answers.length - 1)]
    count += 1
    answer?.(message, response)
  }
}

const status =
  (code: number, headers: Readonly<Record<string, string>> = {}) =>
  (message: IncomingMessage, response: ServerResponse): void => {
    let body = ''
    message.on('data', (chunk: Buffer) => (body += String(chunk)))
    message.on('end', () => response.writeHead(code, headers).end(body))
  }

const breakOff = (message: IncomingMessage): void => void message.socket.destroy()

const quick = { base_interval: '0.001s', max_interval: '0.002s' }

describe('a try that fails is tried again', () => {
  test.each<[string, JsonObject, RequestListener]>([
    ['on 5xx', { retry_on: '5xx' }, inTurn(status(500), status(200))],
    ['on 5xx, when the connection breaks', { retry_on: '5xx' }, inTurn(breakOff, status(200))],
    ['on gateway errors', { retry_on: 'gateway-error' }, inTurn(status(503), status(200))],
    ['on a reset', { retry_on: 'reset' }, inTurn(breakOff, status(200))],
    ['on a conflict', { retry_on: 'retriable-4xx' }, inTurn(status(409), status(200))],
    [
      'on a status of its own',
      { retry_on: 'retriable-status-codes', retriable_status_codes: [418] },
      inTurn(status(418), status(200)),
    ],
    [
      'on a header',
      { retry_on: 'retriable-headers', retriable_headers: [{ name: 'x-again', present_match: true }] },
      inTurn(status(200, { 'x-again': 'yes' }), status(200)),
    ],
    ['on a status of gRPC', { retry_on: 'unavailable' }, inTurn(status(200, { 'grpc-status': '14' }), status(200))],
    [
      'on a limit of the upstream',
      { retry_on: 'envoy-ratelimited' },
      inTurn(status(429, { 'x-envoy-ratelimited': 'true' }), status(200)),
    ],
  ])('%s', async (_, policy, listener) => {
    const bed = await startBed({ retry_policy: { ...policy, retry_back_off: quick } }, listener)
    const { status: code, headers, body } = await ask(bed, { method: 'POST', body: 'hello' })
    expect([code, headers['x-again'], headers['grpc-status'], body]).toEqual([200, undefined, undefined, 'hello'])
    expect(bed.stat('cluster.cart.upstream_rq_retry')).toBe(1)
    expect(bed.stat('cluster.cart.upstream_rq_retry_success')).toBe(1)
    expect(bed.logged).toEqual(['200 - via_upstream 2\n'])
  })

  test('when it took too long', async () => {
    const policy = { retry_on: 'reset', per_try_timeout: '0.05s', retry_back_off: quick }
    const bed = await startBed(
      { retry_policy: policy },
      inTurn(() => undefined, status(200)),
    )
    expect((await ask(bed)).status).toBe(200)
    expect(bed.stat('cluster.cart.upstream_rq_per_try_timeout')).toBe(1)
  })

  test('as often as the policy says, and no more', async () => {
    const bed = await startBed(
      { retry_policy: { retry_on: '5xx', num_retries: 2, retry_back_off: quick } },
      status(503),
    )
    expect((await ask(bed)).status).toBe(503)
    expect(bed.stat('cluster.cart.upstream_rq_total')).toBe(3)
    expect(bed.stat('cluster.cart.upstream_rq_retry_limit_exceeded')).toBe(1)
    expect(bed.logged).toEqual(['503 URX via_upstream 3\n'])
  })

  test('not when another condition is asked for', async () => {
    const bed = await startBed({ retry_policy: { retry_on: 'connect-failure,refused-stream' } }, status(503))
    expect((await ask(bed)).status).toBe(503)
    expect(bed.stat('cluster.cart.upstream_rq_total')).toBe(1)
  })

  test('only for requests that the policy is for', async () => {
    const retriable = [{ name: ':method', string_match: { exact: 'GET' } }]
    const policy = { retry_on: '5xx', retriable_request_headers: retriable, retry_back_off: quick }
    const bed = await startBed({ retry_policy: policy }, status(503))
    await ask(bed, { method: 'POST', body: 'a' })
    expect(bed.stat('cluster.cart.upstream_rq_total')).toBe(1)
    await ask(bed)
    expect(bed.stat('cluster.cart.upstream_rq_total')).toBe(3)
  })

  test('as a request from within asks for it', async () => {
    const port = await startUpstream(inTurn(status(500), status(500), status(200)))
    const bed = await startManagerBed({
      config: {
        internal_address_config: { cidr_ranges: [{ address_prefix: '127.0.0.0', prefix_len: 8 }] },
        use_remote_address: true,
      },
      clusters: (context) => [createBedCluster(context, port)],
    })
    const headers = { 'x-envoy-retry-on': '5xx', 'x-envoy-max-retries': '2' }
    expect((await ask(bed, { headers })).status).toBe(200)
  })

  test('not when its body was too long to be kept', async () => {
    const port = await startUpstream(inTurn(status(500), status(200)))
    const bed = await startManagerBed({
      config: { route_config: routesTo({ cluster: 'cart', retry_policy: { retry_on: '5xx' } }) },
      clusters: (context) => [createBedCluster(context, port)],
      bufferLimit: 1000,
    })
    expect((await ask(bed, { method: 'POST', body: Buffer.alloc(10_000) })).status).toBe(500)
    expect(bed.stat('cluster.cart.retry_or_shadow_abandoned')).toBe(1)
  })

  test('not when as many retries are under way as may be', async () => {
    const port = await startUpstream(status(503))
    const bed = await startManagerBed({
      config: { route_config: routesTo({ cluster: 'cart', retry_policy: { retry_on: '5xx' } }), access_log: log },
      clusters: (context) => [
        createBedCluster(context, port, { circuit_breakers: { thresholds: [{ max_retries: 0 }] } }),
      ],
    })
    expect((await ask(bed)).status).toBe(503)
    expect(bed.stat('cluster.cart.upstream_rq_retry_overflow')).toBe(1)
    expect(bed.logged).toEqual(['503 UO via_upstream 1\n'])
  })

  test('at another host, where tried ones are passed over', async () => {
    const [bad, good] = [(await freePorts(1))[0] as number, await startUpstream(status(200))]
    const questions: BalanceQuestion[] = []
    const policy = {
      retry_on: 'connect-failure',
      retry_host_predicate: [
        {
          name: 'envoy.retry_host_predicates.previous_hosts',
          typed_config: {
            '@type': 'type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate',
          },
        },
      ],
      host_selection_retry_max_attempts: '5',
      retry_back_off: quick,
    }
    const bed = await startManagerBed({
      config: { route_config: routesTo({ cluster: 'cart', retry_policy: policy }) },
      clusters: (context) => {
        const cluster = createBedCluster(context, bad)
        const other = createBedHost(good)
        return [
          {
            ...cluster,
            chooseHost(question) {
              questions.push({ ...question, ...(question.tried && { tried: new Set(question.tried) }) })
              return question.tried === undefined ? cluster.host : other
            },
          },
        ]
      },
    })
    expect((await ask(bed, { method: 'POST', body: 'hello' })).body).toBe('hello')
    expect(questions.map(({ tried, maxAttempts }) => [tried?.size, maxAttempts])).toEqual([
      [undefined, undefined],
      [1, 5],
    ])
  })
})

describe('without an upstream', () => {
  test('the answer says that nobody listens', async () => {
    const bed = await startBed({}, (await freePorts(1))[0] as number)
    expect(await ask(bed)).toMatchObject({
      status: 503,
      body: 'upstream connect error or disconnect/reset before headers. reset reason: remote connection failure',
    })
    expect(bed.logged[0]).toMatch(/^503 UF upstream_reset_before_response_started\{remote_connection_failure/)
  })

  test('the answer says that there is no cluster', async () => {
    const bed = await startManagerBed({
      config: {
        access_log: log,
        route_config: routesTo({ cluster: 'none', cluster_not_found_response_code: 'NOT_FOUND' }),
      },
    })
    expect((await ask(bed)).status).toBe(404)
    expect(bed.logged).toEqual(['404 NC cluster_not_found 0\n'])
  })

  test('the answer says that no host is well', async () => {
    const bed = await startManagerBed({
      config: { access_log: log },
      clusters: (context) => [{ ...createBedCluster(context, 1), chooseHost: () => undefined }],
    })
    expect(await ask(bed)).toMatchObject({ status: 503, body: 'no healthy upstream' })
    expect(bed.logged).toEqual(['503 UH no_healthy_upstream 1\n'])
  })

  test('the answer says that no route fits', async () => {
    const bed = await startManagerBed({ config: { access_log: log, route_config: { validate_clusters: false } } })
    expect(await ask(bed)).toMatchObject({ status: 404, body: '' })
    expect(bed.logged).toEqual(['404 NR route_not_found 0\n'])
  })
})

describe('a request', () => {
  test('is copied to mirrors, with another host, and their answers are dropped', async () => {
    const seen: string[] = []
    let tell = (): void => undefined
    const mirrored = new Promise<void>((resolve) => {
      tell = resolve
    })
    const mirror = await startUpstream((message, response) => {
      let body = ''
      message.on('data', (chunk: Buffer) => (body += String(chunk)))
      message.on('end', () => {
        seen.push(`${message.headers.host} ${body}`)
        response.writeHead(500).end()
        tell()
      })
    })
    const port = await startUpstream(status(200))
    const bed = await startManagerBed({
      config: { route_config: routesTo({ cluster: 'cart', request_mirror_policies: [{ cluster: 'mirror' }] }) },
      clusters: (context) => [createBedCluster(context, port), createBedCluster(context, mirror, { name: 'mirror' })],
    })
    const answer = await ask(bed, { method: 'POST', body: 'hello', headers: { host: 'cart:80' } })
    expect(answer).toMatchObject({ status: 200, body: 'hello' })
    await mirrored
    expect(seen).toEqual(['cart-shadow:80 hello'])
  })

  test('says how long it is waited for, and takes the timeout that it brings from within', async () => {
    const told: unknown[] = []
    const port = await startUpstream((message, response) => {
      told.push(message.headers['x-envoy-expected-rq-timeout-ms'])
      response.end()
    })
    const bed = await startManagerBed({
      config: {
        internal_address_config: { cidr_ranges: [{ address_prefix: '127.0.0.0', prefix_len: 8 }] },
        use_remote_address: true,
        route_config: routesTo({ cluster: 'cart', timeout: '3s' }),
      },
      clusters: (context) => [createBedCluster(context, port)],
    })
    await ask(bed)
    await ask(bed, { headers: { 'x-envoy-upstream-rq-timeout-ms': '1234' } })
    expect(told).toEqual(['3000', '1234'])
  })

  test('is no longer than its cluster may have requests', async () => {
    const port = await startUpstream(() => undefined)
    const bed = await startManagerBed({
      config: { access_log: log, route_config: routesTo({ cluster: 'cart', timeout: '0.2s' }) },
      clusters: (context) => [
        createBedCluster(context, port, { circuit_breakers: { thresholds: [{ max_requests: 1 }] } }),
      ],
    })
    const answers = await Promise.all([ask(bed), ask(bed)])
    expect(answers.map((answer) => answer.status).toSorted((a, b) => a - b)).toEqual([503, 504])
    const refused = answers.find((answer) => answer.status === 503)
    expect(refused?.headers['x-envoy-overloaded']).toBe('true')
    expect(bed.logged.some((line) => line.startsWith('503 UO '))).toBe(true)
  })

  test('tells the host what became of it', async () => {
    const port = await startUpstream(inTurn(status(200), status(503), breakOff))
    const outcomes: TryOutcome[] = []
    const bed = await startManagerBed({
      clusters: (context) => {
        const cluster = createBedCluster(context, port)
        const host = { ...cluster.host, report: (outcome: TryOutcome) => void outcomes.push(outcome) }
        return [{ ...cluster, chooseHost: () => host }]
      },
    })
    for (let index = 0; index < 3; index += 1) await ask(bed)
    expect(outcomes).toEqual([{ status: 200 }, { status: 503 }, { failure: 'reset' }])
  })
})
