import { describe, expect, it } from 'vitest'
import { createManualDiscovery, type ManualDiscovery } from '../../../test/support/manual-discovery.ts'
import { createTestContext, type TestContext } from '../../../test/support/proxy-context.ts'
import type { Clusters } from '../cluster/cluster.ts'
import { FieldReader, type JsonObject, type ReadByType } from '../config/field-reader.ts'
import type { Connections } from '../upstream/upstream.ts'
import { discoveredFilterKind, type ReadFilter, readDiscoveredFilter } from './discovered-filter.ts'
import type { HttpFilter, HttpFilterKind, HttpStream, LocalReply } from './http-filter.ts'

/** A filter that answers with its configuration. */
const echo: HttpFilterKind<string> = {
  type: 'test.Echo',
  read: (fields) => fields.string('says'),
  create: (says) => () => ({
    onRequest(stream) {
      stream.reply({ status: 200, body: says, details: 'echo' })
      return false
    },
  }),
}

const types: ReadByType<ReadFilter> = {
  'test.Echo': (fields) => ({ kind: echo as HttpFilterKind, config: echo.read(fields) }),
  'test.Other': (fields) => ({ kind: echo as HttpFilterKind, config: echo.read(fields) }),
}

const says = (text: string, type = 'test.Echo'): JsonObject => ({ '@type': `x/${type}`, says: text })

interface Bed {
  readonly discovery: ManualDiscovery
  readonly context: TestContext
  readonly waits: Promise<void>[]
  /** What a request is answered by the filter that is in use now. */
  readonly answer: () => LocalReply
}

function start(config: JsonObject): Bed {
  const context = createTestContext()
  const discovery = createManualDiscovery()
  const waits: Promise<void>[] = []
  const read = FieldReader.read({ config_source: { ads: {} }, type_urls: ['x/test.Echo'], ...config }, (fields) =>
    readDiscoveredFilter(fields, types),
  )
  const make = discoveredFilterKind.create(read, 'f', {
    context,
    clusters: {} as Clusters,
    connections: {} as Connections,
    bufferLimit: 0,
    stats: context.stats,
    discovered: { discovery, waitFor: (_, done) => void waits.push(done), onClosed: () => undefined },
  })
  return {
    discovery,
    context,
    waits,
    answer() {
      const replies: LocalReply[] = []
      const filter: HttpFilter = make()
      void filter.onRequest?.({ reply: (reply: LocalReply) => replies.push(reply) } as unknown as HttpStream)
      return replies[0] as LocalReply
    },
  }
}

describe('a filter that is discovered', () => {
  it('answers 500 until it comes, and does what came last', async () => {
    const { discovery, answer, waits, context } = start({})
    expect(discovery.asked).toEqual(['extension/f'])
    expect(answer()).toMatchObject({ status: 500, flag: 'NFCF' })
    discovery.send('extension', 'f', { name: 'f', typed_config: says('one') })
    await Promise.all(waits)
    expect(answer()).toMatchObject({ body: 'one' })
    discovery.send('extension', 'f', { name: 'f', typed_config: says('two') })
    expect(answer()).toMatchObject({ body: 'two' })
    expect(context.stat('extension_config_discovery.http_filter.f.config_reload')).toBe(2)
  })

  it('does what stands in the configuration until one comes, and after it is taken away', () => {
    const { discovery, answer, waits } = start({
      default_config: says('default'),
      apply_default_config_without_warming: true,
    })
    expect(waits).toEqual([])
    expect(answer()).toMatchObject({ body: 'default' })
    discovery.send('extension', 'f', { name: 'f', typed_config: says('one') })
    discovery.sayMissing('extension', 'f')
    expect(answer()).toMatchObject({ body: 'default' })
  })

  it('goes on as it was where another kind comes than it may be', () => {
    const { discovery, answer, context } = start({})
    discovery.send('extension', 'f', { name: 'f', typed_config: says('one') })
    const other = { name: 'f', typed_config: says('two', 'test.Other') }
    expect(() => discovery.send('extension', 'f', other)).toThrow('does not know test.Other')
    expect(answer()).toMatchObject({ body: 'one' })
    expect(context.stat('extension_config_discovery.http_filter.f.config_fail')).toBe(1)
  })

  it('may be of no kind that this proxy does not know', () => {
    expect(() => start({ type_urls: ['x/test.Nope'] })).toThrow(
      'type_urls: the reference proxy does not know test.Nope',
    )
  })
})
