import { type DescMessage, fromBinary, fromJson, type JsonValue, toBinary } from '@bufbuild/protobuf'
import { describe, expect, it } from 'vitest'
import { everyTypeApi } from '../../../test/support/every-type.ts'
import { treeOf } from '../../../test/support/tree-of.ts'
import type { EnvoyApi } from '../envoy-api.ts'
import type { Tree } from '../tree.ts'
import { readMessage } from './message-reader.ts'

const api = everyTypeApi()
const desc = api.registry.getMessage('test.Every') as DescMessage

function problemsOf(yaml: string, from: EnvoyApi = api): string[] {
  return readMessage(from, desc, treeOf(yaml), 'doc').problems.map(
    ({ code, line, column, path, message, fix }) => `${code} ${line}:${column} ${path}: ${message} ${fix}`,
  )
}

function bytesOf(yaml: string): string {
  const { message, problems } = readMessage(api, desc, treeOf(yaml), '')
  expect(problems).toEqual([])
  return Buffer.from(toBinary(desc, message)).toString('hex')
}

/** What protobuf-es makes of the same JSON. */
const expected = (json: JsonValue): string =>
  Buffer.from(toBinary(desc, fromJson(desc, json, { registry: api.registry }))).toString('hex')

describe('what is right is read as the protobuf library reads it', () => {
  const integers = { int32: -7, sint32: -7, sfixed32: -7, uint32: 4294967295, fixed32: 4294967295 }
  const longs = {
    int64: '-9223372036854775808',
    sint64: '9223372036854775807',
    sfixed64: '-5',
    uint64: '18446744073709551615',
    fixed64: 12,
  }
  it.each<[string, JsonValue]>([
    ['32-bit integers', integers],
    ['32-bit integers as text', { int32: '-7', uint32: '1e3', fixed32: '10.0' }],
    ['64-bit integers', longs],
    ['floats', { float: 1.5, double: -1e300 }],
    ['floats as text', { float: '0.1', double: 'NaN', list_double: ['Infinity', '-Infinity', '-0.5e-3', 0] }],
    ['text, booleans and bytes', { string: 'a\u{1F600}', bool: true, bytes: '+/8=' }],
    ['lists', { list_string: ['', 'a'], list_bool: [true, false], list_int64: [1, '2'], list_bytes: ['', 'AA=='] }],
    ['enums by name and number', { color: 'DARK_RED', list_color: ['BLUE', 1, 77, 0] }],
    ['camelCase names', { listString: ['a'], boolValue: true, listOfDuration: ['1s'] }],
    [
      'null as absence',
      { string: null, list_string: null, map_string: null, duration: null, one_text: null, any: null },
    ],
    ['durations', { list_of_duration: ['0.25s', '-0.5s', '-3s', '0s', '315576000000s', '1.000000001s'] }],
    [
      'times',
      { list_of_timestamp: ['2025-01-31T08:30:00Z', '1969-12-31T23:59:59.5Z', '2024-02-29T12:00:00.123456789+02:00'] },
    ],
    ['field masks', { mask: 'fooBar,baz.quxQuux' }],
    [
      'wrappers',
      { bool_value: false, int64_value: '0', string_value: '', bytes_value: 'AQ==', list_of_int64_value: [1, '2'] },
    ],
    ['a wrapper in a oneof', { one_number: '0' }],
    [
      'JSON',
      { struct: { a: [1, 'x', null, true, { b: {} }] }, list_of_struct: [{}, { a: 1 }], list_value: [null, [2]] },
    ],
    ['a Struct in a oneof', { one_struct: { a: 1 } }],
    ['any JSON value', { value: null, list_of_value: [null, 1, 'a', false, [1], { a: { b: 2 } }] }],
    ['messages', { self: { self: { string: 'deep' } }, list_of_self: [{}, { int32: 1 }], empty: {} }],
    [
      'maps',
      { map_string: { a: '1', b: '2' }, map_bool: { false: 'n', true: 'y' }, map_int32: { '-1': 'a', '3': 'b' } },
    ],
    [
      'maps of 64-bit keys',
      { map_uint64: { '18446744073709551615': 'max' }, map_sint64: { '-9223372036854775808': 'min' } },
    ],
    ['the key __proto__', JSON.parse('{"map_string":{"__proto__":"x"},"struct":{"__proto__":{"a":1}}}') as JsonValue],
    [
      'an Any in an Any',
      {
        any: {
          '@type': 'type.googleapis.com/test.Every',
          string: 'outer',
          any: { '@type': 'type.googleapis.com/google.protobuf.Duration', value: '1.5s' },
        },
      },
    ],
    ['an Any of JSON', { any: { '@type': 'type.googleapis.com/google.protobuf.Struct', value: { a: 1 } } }],
    ['an Any of a wrapper', { any: { '@type': 'type.googleapis.com/google.protobuf.UInt32Value', value: 0 } }],
    ['an Any of nothing', { any: { '@type': 'type.googleapis.com/google.protobuf.Empty' } }],
  ])('%s', (_, json) => {
    expect(bytesOf(JSON.stringify(json))).toBe(expected(json))
  })

  it('takes integers of YAML without losing digits', () => {
    expect(bytesOf('{uint64: 18446744073709551615, int64: -9223372036854775807}')).toBe(
      expected({ uint64: '18446744073709551615', int64: '-9223372036854775807' }),
    )
  })

  it('takes NaN and infinity as YAML writes them, and base64 for URLs', () => {
    expect(bytesOf('{double: .nan, list_float: [.inf, -.inf], bytes: -_8}')).toBe(
      expected({ double: 'NaN', list_float: ['Infinity', '-Infinity'], bytes: '+/8=' }),
    )
  })

  it('encodes maps alike, in whatever order they were written', () => {
    const one = bytesOf('{map_string: {b: x, a: y, "10": z, "9": w}, struct: {z: {b: 1, a: 2}, y: 3}}')
    expect(bytesOf('{struct: {y: 3, z: {a: 2, b: 1}}, map_string: {"9": w, a: y, "10": z, b: x}}')).toBe(one)
  })

  it('writes every Any with the one prefix, so that equal content has equal bytes', () => {
    expect(bytesOf('{any: {"@type": "example.com/google.protobuf.Empty"}}')).toBe(
      bytesOf('{any: {"@type": type.googleapis.com/google.protobuf.Empty}}'),
    )
  })
})

describe('what is wrong', () => {
  const hint = 'If your Envoy is newer and has this field, `fairlead api import $(which envoy)` may know it.'
  const range32 = 'a whole number from -2147483648 to 2147483647'
  it.each<[string, string, string]>([
    [
      'an unknown field',
      'strin: x',
      `unknown-field 1:1 doc.strin: test.Every has no field \`strin\`. Did you mean \`string\`? ${hint}`,
    ],
    [
      'one that resembles none',
      'qqqqqq: x',
      `unknown-field 1:1 doc.qqqqqq: test.Every has no field \`qqqqqq\`. ${hint}`,
    ],
    ['a key that is no name', '"a b": x', 'unknown-field 1:1 doc: test.Every has no field of this name. Remove it.'],
    [
      'an @type that has no place',
      'self: {"@type": x}',
      'unknown-field 1:8 doc.self.@type: test.Every has no field `@type`. Remove it: the type of this field is fixed.',
    ],
    [
      'one field twice',
      'list_string: []\nlistString: [a]',
      'wrong-type 2:1 doc.listString: `listString` and `list_string` are one field. Keep one of them.',
    ],
    [
      'two of a oneof',
      'one_text: a\none_number: 1',
      'wrong-type 2:1 doc.one_number: `one_text` and `one_number` exclude each other. Keep one of them.',
    ],
    [
      'a number for text',
      'string: 1',
      'wrong-type 1:9 doc.string: Expected text, not the number `1`. Put the value in quotes.',
    ],
    ['a map for text', 'string: {}', 'wrong-type 1:9 doc.string: Expected text, not a map. Write a string.'],
    [
      'text for a boolean',
      'bool: "true"',
      'wrong-type 1:7 doc.bool: Expected true or false, not the text `true`. Write true or false, without quotes.',
    ],
    [
      'a fraction',
      'int32: 1.5',
      `wrong-type 1:8 doc.int32: Expected ${range32}, not the number \`1.5\`. Write a whole number in that range.`,
    ],
    [
      'too large',
      'int32: 2147483648',
      `wrong-type 1:8 doc.int32: Expected ${range32}, not the number \`2147483648\`. Write a whole number in that range.`,
    ],
    [
      'too large for 64 bits',
      'uint64: 18446744073709551616',
      'wrong-type 1:9 doc.uint64: Expected a whole number from 0 to 18446744073709551615, not the number `18446744073709551616`. Write a whole number in that range.',
    ],
    [
      'too large a float',
      'float: 1e39',
      'wrong-type 1:8 doc.float: The number is too large for the field. Write a smaller number.',
    ],
    [
      'no number',
      'double: abc',
      'wrong-type 1:9 doc.double: Expected a number, not the text `abc`. Write a number, or "NaN", "Infinity" or "-Infinity".',
    ],
    [
      'no base64',
      'bytes: "a"',
      'wrong-type 1:8 doc.bytes: Expected base64, not the text `a`. Encode the bytes in base64.',
    ],
    [
      'broken Unicode',
      'string: "\\ud800"',
      'wrong-type 1:9 doc.string: The text is not valid Unicode. Replace the broken surrogate pair.',
    ],
    [
      'no list',
      'list_string: a',
      'wrong-type 1:14 doc.list_string: Expected a list, not the text `a`. Write a list, with a dash before each item.',
    ],
    [
      'null in a list',
      'list_string: [a, null]',
      'wrong-type 1:18 doc.list_string[1]: Expected text, not null. Write a string.',
    ],
    [
      'no map',
      'map_string: []',
      'wrong-type 1:13 doc.map_string: Expected a map, not a list. Write a map of keys to values.',
    ],
    [
      'a key of another type',
      'map_int32: {x: a}',
      'wrong-type 1:13 doc.map_int32.x: The key is not of the type that the map has. Write another key.',
    ],
    [
      'a key twice',
      'map_int32: {"1": a, "1.0": b}',
      'wrong-type 1:21 doc.map_int32["1.0"]: The key is there twice, in two spellings. Keep one of them.',
    ],
    [
      'no message',
      'self: 3',
      'wrong-type 1:7 doc.self: Expected a map of the fields of test.Every, not the number `3`. Write a map.',
    ],
    [
      'an unknown enum value',
      'color: dark-red',
      'wrong-type 1:8 doc.color: The text `dark-red` is no value of test.Color. Did you mean DARK_RED? It has NONE, DARK_RED, BLUE.',
    ],
    [
      'a boolean for an enum',
      'color: true',
      'wrong-type 1:8 doc.color: Expected a value of test.Color, not the boolean `true`. Write one of NONE, DARK_RED, BLUE.',
    ],
    [
      'a duration in milliseconds',
      'duration: 250ms',
      'wrong-type 1:11 doc.duration: Expected a duration, not the text `250ms`. Write 0.25s.',
    ],
    [
      'a duration of two units',
      'duration: 1m30s',
      'wrong-type 1:11 doc.duration: Expected a duration, not the text `1m30s`. Write 90s.',
    ],
    [
      'a duration without unit',
      'duration: 5',
      'wrong-type 1:11 doc.duration: Expected a duration, not the number `5`. Write 5s.',
    ],
    [
      'too fine a duration',
      'duration: 0.0000000001s',
      'wrong-type 1:11 doc.duration: Expected a duration, not the text `0.0000000001s`. Write at most nine decimals.',
    ],
    [
      'too long a duration',
      'duration: 315576000001s',
      'wrong-type 1:11 doc.duration: The duration is longer than 10,000 years. Write a shorter duration.',
    ],
    [
      'a day that was not',
      'timestamp: "2025-02-30T00:00:00Z"',
      'wrong-type 1:12 doc.timestamp: Expected a time, not the text `2025-02-30T00:00:00Z`. Write it as in "2025-01-31T08:30:00Z".',
    ],
    [
      'infinity in JSON',
      'struct: {a: .inf}',
      'wrong-type 1:13 doc.struct.a: NaN and infinity have no place in JSON. Write a finite number.',
    ],
    [
      'too many digits in JSON',
      'struct: {a: 9007199254740993}',
      'wrong-type 1:13 doc.struct.a: Numbers here are doubles, which cannot hold all digits of this one. Put it in quotes if its reader takes text.',
    ],
    [
      'no @type',
      'any: {string: a}',
      "wrong-type 1:6 doc.any: There is no @type, which says what this is. Add '@type': type.googleapis.com/ and the name of the message.",
    ],
    [
      'an @type without prefix',
      'any: {"@type": test.Every}',
      'wrong-type 1:16 doc.any.@type: The @type has no prefix. Write type.googleapis.com/test.Every.',
    ],
    [
      'an unknown @type',
      'any: {"@type": type.googleapis.com/test.Evry}',
      'unknown-extension 1:16 doc.any.@type: test.Evry is not in the Envoy API that this server knows (built-in). Did you mean test.Every? If your Envoy is newer and has this message, `fairlead api import $(which envoy)` may know it.',
    ],
    [
      'the v2 API',
      'any: {"@type": type.googleapis.com/envoy.api.v2.Cluster}',
      'unknown-extension 1:16 doc.any.@type: envoy.api.v2.Cluster is of the v2 API, which Envoy no longer has. Did you mean envoy.config.cluster.v3.Cluster? Write it in the v3 API.',
    ],
    [
      'an extension of the v2 API',
      'any: {"@type": type.googleapis.com/envoy.config.filter.http.router.v2.Router}',
      'unknown-extension 1:16 doc.any.@type: envoy.config.filter.http.router.v2.Router is of the v2 API, which Envoy no longer has. Did you mean envoy.extensions.filters.http.router.v3.Router? Write it in the v3 API.',
    ],
    [
      'a duration in an Any without value',
      'any: {"@type": type.googleapis.com/google.protobuf.Duration}',
      'wrong-type 1:6 doc.any: A google.protobuf.Duration has its content under "value". Add `value`.',
    ],
    [
      'a typed struct of no type',
      'any: {"@type": type.googleapis.com/xds.type.v3.TypedStruct, value: {}}',
      'wrong-type 1:6 doc.any: xds.type.v3.TypedStruct has no `type_url`. Add `type_url` with the type of the extension that the struct configures.',
    ],
    [
      'a problem inside an Any',
      'any:\n  "@type": type.googleapis.com/test.Every\n  int32: x',
      `wrong-type 3:10 doc.any.int32: Expected ${range32}, not the text \`x\`. Write a whole number in that range.`,
    ],
  ])('%s', (_, yaml, problem) => {
    expect(problemsOf(yaml)).toEqual([problem])
  })

  it('is all reported at once, in the order of the document', () => {
    const yaml = 'list_int32: [a, 1, b]\nself: {string: 1, self: {nope: 1}}\nany: {"@type": x/test.Every, bool: 1}'
    const lines = problemsOf(yaml).map((problem) => problem.split(' ')[2])
    expect(lines).toEqual([
      'doc.list_int32[0]:',
      'doc.list_int32[2]:',
      'doc.self.string:',
      'doc.self.self.nope:',
      'doc.any.bool:',
    ])
  })

  it('is read around: the rest of the message is there', () => {
    const { message } = readMessage(api, desc, treeOf('{int32: x, string: kept, list_int32: [1, x, 3]}'), '')
    expect(message).toMatchObject({ string: 'kept', listInt32: [1, 3] })
  })

  it('says of an imported API that it lacks the field, not to import it', () => {
    expect(problemsOf('qqqqqq: x', { ...api, label: 'envoy.binpb' })[0]).toMatch(/No such field is in envoy\.binpb\.$/)
  })
})

describe('what is nobody’s business', () => {
  it('is not quoted when it is long', () => {
    expect(problemsOf(`bytes: "${'k'.repeat(41)}"`)[0]).toContain('not the text.')
  })

  it.each([
    'secret: {int32: hunter2}',
    'secret: {self: {color: hunter2}}',
    'secret: {any: {"@type": x/test.Every, bool: hunter2}}',
  ])('is not quoted below a sensitive field: %s', (yaml) => {
    const problems = problemsOf(yaml)
    expect(problems).toHaveLength(1)
    expect(problems.join()).not.toContain('hunter2')
  })

  it('is not quoted as the name of a field when it is none', () => {
    expect(problemsOf(`"${'MIIEvQIBADANBg/+'.repeat(8)}": x`).join()).not.toContain('MIIE')
  })
})

describe('nesting', () => {
  const at = { line: 1, column: 1 }
  const map = (members: Readonly<Record<string, Tree>>): Tree => ({
    kind: 'map',
    ...at,
    entries: Object.entries(members).map(([key, value]) => ({ key, ...at, value })),
  })
  const nested = (levels: number, wrap: (inner: Tree) => Tree): Tree => {
    let tree = map({})
    for (let level = 0; level < levels; level++) tree = wrap(tree)
    return tree
  }
  const type: Tree = { kind: 'scalar', ...at, value: 'type.googleapis.com/test.Every' }
  const tooDeep = 100_000

  it.each<[string, Tree]>([
    ['messages', nested(tooDeep, (self) => map({ self }))],
    ['Anys', nested(tooDeep, (any) => map({ '@type': type, any }))],
    ['JSON', map({ struct: nested(tooDeep, (a) => map({ a })) })],
    ['lists', map({ list_value: nested(tooDeep, (item) => ({ kind: 'list', ...at, items: [item] })) })],
  ])('of %s is refused before the stack is full', (_, tree) => {
    const messages = readMessage(api, desc, tree, '').problems.map(({ message }) => message)
    expect(messages).toEqual(['Nested more than 100 levels deep.'])
  })

  it.each<[string, Tree]>([
    ['messages', nested(99, (self) => map({ self }))],
    ['JSON', map({ struct: nested(32, (a) => map({ a })) })],
  ])('of %s is taken as deep as a decoder takes it', (_, tree) => {
    const { message, problems } = readMessage(api, desc, tree, '')
    expect(problems).toEqual([])
    expect(() => fromBinary(desc, toBinary(desc, message))).not.toThrow()
  })
})
