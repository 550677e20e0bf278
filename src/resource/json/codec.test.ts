import { create, type DescMessage, fromJson, type JsonValue, type Message, toBinary } from '@bufbuild/protobuf'
import { describe, expect, it } from 'vitest'
import { parse, stringify } from 'yaml'
import { envoyResources } from '../../../test/support/envoy-resources.ts'
import { everyTypeApi } from '../../../test/support/every-type.ts'
import { treeOf } from '../../../test/support/tree-of.ts'
import { typeUrlPrefix } from '../type-url.ts'
import { decodeMessage, encodeMessage, messageToJson } from './codec.ts'
import { readMessage } from './message-reader.ts'

const api = everyTypeApi()

interface Encoded {
  readonly desc: DescMessage
  readonly message: Message
  readonly typeUrl: string
  readonly bytes: Uint8Array
}

function encode(json: JsonValue): Encoded {
  const typeUrl = (json as { '@type': string })['@type']
  const desc = api.registry.getMessage(typeUrl.slice(typeUrlPrefix.length)) as DescMessage
  const { message, problems } = readMessage(api, desc, treeOf(stringify(json)), '')
  expect(problems).toEqual([])
  return { desc, message, typeUrl, bytes: encodeMessage(desc, message) }
}

/** The same content with the keys of every map in another order. */
function shuffled(json: JsonValue, seed: number): JsonValue {
  if (Array.isArray(json)) return json.map((item, index) => shuffled(item, seed + index))
  if (typeof json !== 'object' || json === null) return json
  const order = (key: string): number => (key.length * 31 + key.charCodeAt(seed % key.length) * seed) % 97
  const keys = Object.keys(json).sort((a, b) => order(a) - order(b))
  return Object.fromEntries(keys.map((key) => [key, shuffled(json[key] as JsonValue, seed + 1)]))
}

describe.each(Object.entries(envoyResources))('%s', (_, yaml) => {
  const json = parse(yaml) as JsonValue
  const { desc, typeUrl, bytes } = encode(json)

  it('comes back from JSON and from bytes as it was', () => {
    const shown = messageToJson(api, typeUrl, bytes)
    expect(encode(shown).bytes).toEqual(bytes)
    const { message } = decodeMessage(api, typeUrl, bytes)
    expect(encodeMessage(desc, message)).toEqual(bytes)
  })

  it('has the same bytes in whatever order its keys are written', () => {
    for (const seed of [1, 2, 3, 4, 5]) expect(encode(shuffled(json, seed)).bytes).toEqual(bytes)
  })

  it('means to the protobuf library what it means to us', () => {
    const { '@type': _type, ...content } = json as Record<string, JsonValue>
    const theirs = fromJson(desc, content, { registry: api.registry })
    expect(messageToJson(api, typeUrl, toBinary(desc, theirs))).toEqual(messageToJson(api, typeUrl, bytes))
  })
})

describe('encodeMessage', () => {
  const desc = api.registry.getMessage('test.Every') as DescMessage

  it('sorts every map, and leaves the message that it was given as it was', () => {
    const init = (keys: string[]): Message => {
      const record = Object.fromEntries(keys.map((key) => [key, key]))
      const values = { mapString: record, struct: { list: [record], ...record } }
      return create(desc, {
        ...values,
        self: values,
        listOfSelf: [values],
        one: { case: 'oneStruct', value: record },
      } as never)
    }
    const message = init(['b', 'c', 'a'])
    const asGiven = toBinary(desc, message)
    expect(encodeMessage(desc, message)).toEqual(encodeMessage(desc, init(['c', 'a', 'b'])))
    expect(encodeMessage(desc, message)).not.toEqual(asGiven)
    expect(toBinary(desc, message)).toEqual(asGiven)
  })
})

describe('messageToJson', () => {
  const typeUrl = `${typeUrlPrefix}test.Every`

  it.each<[string, JsonValue]>([
    ['snake_case names and 64-bit numbers as text', { list_int64: ['-9223372036854775808'], map_string: { a: 'x' } }],
    ['floats as short as they can be', { float: 0.1, list_float: [1e10, 16777216, 3.4028235e38] }],
    ['what JSON has no number for', { double: 'NaN', list_float: ['Infinity', '-Infinity'] }],
    ['enums by name, unknown ones by number', { color: 'DARK_RED', list_color: ['BLUE', 77] }],
    [
      'durations and times',
      { list_of_duration: ['-0.500s', '3s', '0.000001s', '0.000000001s'], timestamp: '1969-12-31T23:59:59.500Z' },
    ],
    ['wrappers, and a default in one', { bool_value: false, list_of_int64_value: ['1'], one_number: '0' }],
    ['JSON as it is', { struct: { a: [1, null, { b: 'c' }] }, value: null, list_value: [true], mask: 'foo_bar,baz' }],
    ['bytes in base64', { bytes: '+/8=', bytes_value: '' }],
    ['messages that are there and empty', { self: {}, empty: {}, list_of_self: [{}, {}] }],
    [
      'Anys expanded',
      { any: { '@type': typeUrl, any: { '@type': `${typeUrlPrefix}google.protobuf.Duration`, value: '1.500s' } } },
    ],
  ])('shows %s', (_, json) => {
    const whole = { '@type': typeUrl, ...(json as object) }
    expect(messageToJson(api, typeUrl, encode(whole).bytes)).toEqual(whole)
  })

  const unknown = { typeUrl: 'type.googleapis.com/shop.Unknown', value: new Uint8Array([1, 2, 3]) }

  it('shows what the API does not know as its type and base64', () => {
    const { desc } = encode({ '@type': typeUrl })
    const bytes = encodeMessage(desc, create(desc, { any: unknown } as never))
    const shown = { '@type': unknown.typeUrl, value: 'AQID' }
    expect(messageToJson(api, typeUrl, bytes)).toEqual({ '@type': typeUrl, any: shown })
    expect(messageToJson(api, unknown.typeUrl, unknown.value)).toEqual(shown)
  })

  it('shows bytes that do not decode in base64', () => {
    expect(messageToJson(api, typeUrl, new Uint8Array([0xff]))).toEqual({ '@type': typeUrl, value: '/w==' })
  })

  it('shows no sensitive content when asked to redact, nor what cannot be judged', () => {
    const { desc } = encode({ '@type': typeUrl })
    const message = create(desc, { string: 'seen', secret: { string: 'hunter2' }, any: unknown } as never)
    const text = JSON.stringify(messageToJson(api, typeUrl, encodeMessage(desc, message), { redact: true }))
    expect(text).toContain('seen')
    expect(text).not.toContain('hunter2')
    expect(text).not.toContain('AQID')
    expect(messageToJson(api, unknown.typeUrl, unknown.value, { redact: true })).toEqual({
      '@type': unknown.typeUrl,
      value: '[redacted]',
    })
  })

  it('hides the private key of a certificate', () => {
    const { typeUrl: secretUrl, bytes } = encode(parse(envoyResources['a certificate'] as string) as JsonValue)
    expect(JSON.stringify(messageToJson(api, secretUrl, bytes))).toContain('a2V5LWJ5dGVz')
    const text = JSON.stringify(messageToJson(api, secretUrl, bytes, { redact: true }))
    expect(text).not.toContain('a2V5LWJ5dGVz')
    expect(text).not.toContain(Buffer.from('key-bytes').toString('hex'))
    expect(text).toContain('shop-cert')
  })
})

describe('decodeMessage', () => {
  it('says that it does not know a type', () => {
    expect(() => decodeMessage(api, 'x/shop.Unknown', new Uint8Array())).toThrow(
      'the Envoy API (built-in) has no message shop.Unknown',
    )
  })

  it('says that bytes are none of the type', () => {
    expect(() => decodeMessage(api, 'x/test.Every', new Uint8Array([0xff]))).toThrow(
      'cannot decode the bytes of a test.Every',
    )
  })
})
