import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { gunzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { createFilter, perRouteOf } from '../../../test/support/filter-stream.ts'
import { createManualClock } from '../../../test/support/manual-clock.ts'
import { createProxyContext } from '../../../test/support/proxy-bed.ts'
import { createRuntime } from '../runtime.ts'
import { bufferFilter } from './buffer.ts'
import { compressorFilter } from './compressor.ts'
import { faultFilter } from './fault.ts'
import { localRateLimitFilter } from './local-rate-limit.ts'

const always = { default_value: { numerator: 100 } }

describe('a local rate limit', () => {
  const config = {
    stat_prefix: 'limit',
    token_bucket: { max_tokens: 2, tokens_per_fill: 1, fill_interval: '1s' },
    filter_enabled: always,
    filter_enforced: always,
  }

  test('lets a burst pass, and then as many as the bucket is filled by', async () => {
    const clock = createManualClock()
    const context = createProxyContext({ clock })
    const filter = createFilter(localRateLimitFilter, config, context)
    const pass = async (): Promise<boolean> => await filter().goesOn
    expect([await pass(), await pass(), await pass()]).toEqual([true, true, false])
    clock.pass(999)
    expect(await pass()).toBe(false)
    clock.pass(1)
    expect([await pass(), await pass()]).toEqual([true, false])
    clock.pass(60_000)
    expect([await pass(), await pass(), await pass()]).toEqual([true, true, false])
    const counted = ['enabled', 'ok', 'rate_limited', 'enforced'].map(
      (name) => context.stats.counters.get(`limit.http_local_rate_limit.${name}`)?.value,
    )
    expect(counted).toEqual([9, 5, 4, 4])
  })

  test('says what was wrong, with the headers that it is told', () => {
    const filter = createFilter(
      localRateLimitFilter,
      {
        ...config,
        token_bucket: { max_tokens: 1, fill_interval: '1s' },
        status: { code: 'ServiceUnavailable' },
        response_headers_to_add: [{ header: { key: 'x-limited', value: 'yes' } }],
      },
      createProxyContext({ clock: createManualClock() }),
    )
    filter()
    const { reply } = filter()
    expect([reply?.status, reply?.flag, reply?.details, reply?.headers?.get('x-limited')]).toEqual([
      503,
      'RL',
      'local_rate_limited',
      'yes',
    ])
  })

  test('that is not enforced only counts', async () => {
    const filter = createFilter(
      localRateLimitFilter,
      { stat_prefix: 'a', token_bucket: { max_tokens: 1, fill_interval: '1s' }, filter_enabled: always },
      createProxyContext({ clock: createManualClock() }),
    )
    expect([await filter().goesOn, await filter().goesOn]).toEqual([true, true])
  })

  test('of each connection is its own where that is asked for', async () => {
    const filter = createFilter(
      localRateLimitFilter,
      {
        ...config,
        token_bucket: { max_tokens: 1, fill_interval: '1s' },
        local_rate_limit_per_downstream_connection: true,
      },
      createProxyContext({ clock: createManualClock() }),
    )
    // Each request of the bed is a connection of its own.
    expect([await filter().goesOn, await filter().goesOn]).toEqual([true, true])
  })
})

describe('a fault', () => {
  const percentage = { numerator: 10 }

  test('is made for its share, by chance', async () => {
    const numbers = [0.09, 0.1]
    const context = createProxyContext({ random: () => numbers.shift() ?? 1 })
    const filter = createFilter(faultFilter, { abort: { http_status: 503, percentage } }, context)
    const [hit, missed] = [filter(), filter()]
    expect([await hit.goesOn, hit.reply?.status, await missed.goesOn]).toEqual([false, 503, true])
    expect(context.stats.counters.get('http.test.fault.aborts_injected')?.value).toBe(1)
  })

  test('delays before it aborts, and no longer than the client waits', async () => {
    const clock = createManualClock()
    const context = createProxyContext({ clock, random: () => 0 })
    const config = { delay: { fixed_delay: '2s', percentage }, abort: { http_status: 418, percentage } }
    const filter = createFilter(faultFilter, config, context)
    const [waiting, leaving] = [filter(), filter()]
    const active = (): number | undefined => context.stats.gauges.get('http.test.fault.active_faults')?.value
    expect([waiting.reply, active()]).toEqual([undefined, 2])
    leaving.close()
    expect([await leaving.goesOn, leaving.reply, active()]).toEqual([false, undefined, 1])
    clock.pass(2000)
    expect([await waiting.goesOn, waiting.reply?.status, active()]).toEqual([false, 418, 0])
    expect([...waiting.stream.info.flags]).toContain('DI')
  })

  test('of the route takes the place of the own one', async () => {
    const type = 'envoy.extensions.filters.http.fault.v3.HTTPFault'
    const perRoute = [perRouteOf(faultFilter, type, { abort: { http_status: 429, percentage } })]
    const filter = createFilter(faultFilter, {}, createProxyContext({ random: () => 0 }))
    const asked = filter({ perRoute })
    expect([await asked.goesOn, asked.reply?.status]).toEqual([false, 429])
    expect(await filter().goesOn).toBe(true)
  })

  test('can be turned while the proxy runs', async () => {
    const runtime = createRuntime([{ name: 'static', values: { 'fault.http.abort.abort_percent': 0 } }])
    const context = createProxyContext({ runtime, random: () => 0 })
    const filter = createFilter(faultFilter, { abort: { http_status: 503, percentage } }, context)
    expect(await filter().goesOn).toBe(true)
  })

  test('makes no more at a time than it may', async () => {
    const clock = createManualClock()
    const context = createProxyContext({ clock, random: () => 0 })
    const filter = createFilter(
      faultFilter,
      { delay: { fixed_delay: '1s', percentage }, max_active_faults: 1 },
      context,
    )
    const first = filter()
    expect(await filter().goesOn).toBe(true)
    expect(context.stats.counters.get('http.test.fault.faults_overflow')?.value).toBe(1)
    clock.pass(1000)
    expect(await first.goesOn).toBe(true)
  })
})

describe('a buffer', () => {
  const filter = createFilter(bufferFilter, { max_request_bytes: 5 }, createProxyContext())

  test('hands a whole request on, with its length', async () => {
    const asked = filter({ body: Readable.from([Buffer.from('he'), Buffer.from('llo')]) })
    expect(await asked.goesOn).toBe(true)
    expect(asked.stream.request.get('content-length')).toBe('5')
    expect((await buffer(asked.stream.body as Readable)).toString()).toBe('hello')
  })

  test('refuses one that is too large', async () => {
    const asked = filter({ body: Readable.from([Buffer.from('hello'), Buffer.from('!')]) })
    expect([await asked.goesOn, asked.reply?.status]).toEqual([false, 413])
  })

  test('lets one be that ends before its time', async () => {
    const body = new Readable({ read: () => {} })
    const asked = filter({ body })
    body.destroy()
    expect([await asked.goesOn, asked.reply]).toEqual([false, undefined])
  })
})

describe('a compressor', () => {
  const gzip = { '@type': 'type.googleapis.com/envoy.extensions.compression.gzip.compressor.v3.Gzip' }
  const filter = createFilter(
    compressorFilter,
    { compressor_library: { name: 'gzip', typed_config: gzip } },
    createProxyContext(),
  )
  const text = { ':status': '200', 'content-type': 'text/plain; charset=utf-8', 'content-length': '60' }
  const encodingOf = (accepted: string, headers: Readonly<Record<string, string>> = text): string | undefined =>
    filter({ headers: { 'accept-encoding': accepted } })
      .respond(headers, Readable.from([]))
      .headers.get('content-encoding')

  test('makes it shorter, and says so', async () => {
    const { headers, body } = filter({ headers: { 'accept-encoding': 'br, gzip' } }).respond(
      { ...text, etag: '"strong"' },
      Readable.from([Buffer.from('a'.repeat(30)), Buffer.from('b'.repeat(30))]),
    )
    expect(gunzipSync(await buffer(body as Readable)).toString()).toBe('a'.repeat(30) + 'b'.repeat(30))
    expect(Object.fromEntries(headers)).toEqual({
      ':status': '200',
      'content-type': 'text/plain; charset=utf-8',
      'content-encoding': 'gzip',
      vary: 'Accept-Encoding',
    })
  })

  test.each([
    ['gzip', 'gzip'],
    ['GZIP;q=0.5', 'gzip'],
    ['*', 'gzip'],
    ['gzip;q=0, *', undefined],
    ['br', undefined],
    ['', undefined],
  ])('for who accepts %s gives %s', (accepted, encoding) => {
    expect(encodingOf(accepted)).toBe(encoding)
  })

  test.each<Readonly<Record<string, string>>>([
    { 'content-type': 'image/png' },
    { 'content-length': '29' },
    { 'content-encoding': 'br' },
    { 'cache-control': 'public, no-transform' },
    { ':status': '206' },
  ])('leaves what has %j', (headers) => {
    expect(encodingOf('gzip', { ...text, ...headers })).toBe(headers['content-encoding'])
  })
})
