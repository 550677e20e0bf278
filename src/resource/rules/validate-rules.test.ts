import {
  create,
  type DescExtension,
  fromBinary,
  fromJson,
  type JsonObject,
  type JsonValue,
  setExtension,
  toBinary,
} from '@bufbuild/protobuf'
import {
  DescriptorProtoSchema,
  EnumDescriptorProtoSchema,
  type FieldDescriptorProto,
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FieldDescriptorProtoSchema,
  FieldOptionsSchema,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
  MessageOptionsSchema,
  OneofOptionsSchema,
} from '@bufbuild/protobuf/wkt'
import { describe, expect, test } from 'vitest'
import { buildEnvoyApi, type EnvoyApi, loadEnvoyApi, readBuiltInFiles } from '../envoy-api.ts'
import { formatPath } from '../tree-path.ts'
import { skippedPatternCount } from './text-rules.ts'
import { validateMessage } from './validate-rules.ts'

const builtIn = loadEnvoyApi()

/** One line a violation: `path: message (fix)`. */
function violations(api: EnvoyApi, type: string, json: JsonValue, withFixes = false): string[] {
  const desc = api.registry.getMessage(type)
  if (!desc) throw new Error(`no ${type}`)
  const message = fromJson(desc, json, { registry: api.registry })
  return validateMessage(api, desc, message).map(
    ({ path, message, fix }) => `${formatPath('', path)}: ${message}${withFixes ? ` (${fix})` : ''}`,
  )
}

interface Row {
  /** `string`, `repeated string`, `map<string, int32>`, `oneof string`, or a message's full name. */
  readonly type: string
  readonly rules: JsonObject
  readonly good: readonly (JsonValue | undefined)[]
  /** Values of the field `f`, each with what is said of it; undefined is the absent field. */
  readonly bad: readonly (readonly [JsonValue | undefined, string])[]
}

const seconds = (count: number): string => `${count}s`
const fromNow = (ms: number): string => new Date(Date.now() + ms).toISOString()

const longTypes = ['int64', 'uint64', 'sint64', 'fixed64', 'sfixed64']
const numberTypes = ['float', 'double', 'int32', 'uint32', 'sint32', 'fixed32', 'sfixed32', ...longTypes]

const rows: readonly Row[] = [
  ...numberTypes.flatMap((type): Row[] => [
    {
      type,
      rules: { [type]: { gt: 3, lte: 7 } },
      good: [4, 7],
      bad: [
        [3, 'f: must be greater than 3 and at most 7'],
        [undefined, 'f: must be greater than 3 and at most 7'],
      ],
    },
    { type, rules: { [type]: { gte: 3, lt: 7 } }, good: [3, 6], bad: [[7, 'f: must be at least 3 and less than 7']] },
    { type, rules: { [type]: { const: 5 } }, good: [5], bad: [[4, 'f: must be 5']] },
    { type, rules: { [type]: { in: [1, 2] } }, good: [1, 2], bad: [[3, 'f: must be 1 or 2']] },
    { type, rules: { [type]: { not_in: [1, 2] } }, good: [3, undefined], bad: [[2, 'f: must not be 1 or 2']] },
    {
      type,
      rules: { [type]: { gt: 3, ignore_empty: true } },
      good: [4, 0, undefined],
      bad: [[2, 'f: must be greater than 3']],
    },
    {
      type,
      rules: { [type]: { gt: 7, lt: 3 } },
      good: [2, 8],
      bad: [
        [3, 'f: must be less than 3 or greater than 7'],
        [5, 'f: must be less than 3 or greater than 7'],
      ],
    },
    { type, rules: { [type]: { gte: 7, lte: 3 } }, good: [3, 7], bad: [[5, 'f: must be at most 3 or at least 7']] },
  ]),
  {
    type: 'float',
    rules: { float: { lte: 0.1 } },
    good: [0.1],
    bad: [[0.2, `f: must be at most ${Math.fround(0.1)}`]],
  },
  {
    type: 'uint64',
    rules: { uint64: { lte: '9007199254740993' } },
    good: ['9007199254740993'],
    bad: [['9007199254740994', 'f: must be at most 9007199254740993']],
  },
  {
    type: 'google.protobuf.UInt32Value',
    rules: { uint32: { gte: 2 } },
    good: [2, undefined],
    bad: [
      [1, 'f: must be at least 2'],
      [0, 'f: must be at least 2'],
    ],
  },
  {
    type: 'google.protobuf.StringValue',
    rules: { string: { min_len: 1 } },
    good: ['a', undefined],
    bad: [['', 'f: must be at least 1 character long']],
  },
  { type: 'oneof uint32', rules: { uint32: { gte: 2 } }, good: [2, undefined], bad: [[0, 'f: must be at least 2']] },
  { type: 'bool', rules: { bool: { const: true } }, good: [true], bad: [[false, 'f: must be true']] },
  { type: 'oneof bool', rules: { bool: { const: true } }, good: [true, undefined], bad: [[false, 'f: must be true']] },

  { type: 'string', rules: { string: { const: 'a' } }, good: ['a'], bad: [['b', 'f: must be "a"']] },
  { type: 'string', rules: { string: { len: 2 } }, good: ['ab', '😀😀'], bad: [['a', 'f: must be 2 characters long']] },
  {
    type: 'string',
    rules: { string: { min_len: 2, max_len: 3 } },
    good: ['ab', '😀😀😀'],
    bad: [
      ['😀', 'f: must be at least 2 characters long'],
      ['abcd', 'f: must be at most 3 characters long'],
    ],
  },
  {
    type: 'string',
    rules: { string: { len_bytes: 4 } },
    good: ['abcd', '😀'],
    bad: [['é', 'f: must be 4 bytes long']],
  },
  {
    type: 'string',
    rules: { string: { min_bytes: 2, max_bytes: 3 } },
    good: ['é', 'abc'],
    bad: [
      ['a', 'f: must be at least 2 bytes long'],
      ['éé', 'f: must be at most 3 bytes long'],
    ],
  },
  {
    type: 'string',
    rules: { string: { pattern: '[a-z]+' } },
    good: ['abc'],
    bad: [
      ['abc1', 'f: must match "[a-z]+"'],
      [undefined, 'f: must match "[a-z]+"'],
    ],
  },
  {
    type: 'string',
    rules: { string: { pattern: '(?s)\\Aa\\pL.\\z' } },
    good: ['aé\n'],
    bad: [['a11', 'f: must match "(?s)\\\\Aa\\\\pL.\\\\z"']],
  },
  { type: 'string', rules: { string: { prefix: 'a' } }, good: ['ab'], bad: [['ba', 'f: must begin with "a"']] },
  { type: 'string', rules: { string: { suffix: 'a' } }, good: ['ba'], bad: [['ab', 'f: must end in "a"']] },
  { type: 'string', rules: { string: { contains: 'a' } }, good: ['bab'], bad: [['b', 'f: must contain "a"']] },
  { type: 'string', rules: { string: { not_contains: 'a' } }, good: ['b'], bad: [['bab', 'f: must not contain "a"']] },
  {
    type: 'string',
    rules: { string: { in: ['a', 'b', 'c'] } },
    good: ['b'],
    bad: [['d', 'f: must be "a", "b" or "c"']],
  },
  { type: 'string', rules: { string: { not_in: ['a'] } }, good: ['b'], bad: [['a', 'f: must not be "a"']] },
  {
    type: 'string',
    rules: { string: { min_len: 3, ignore_empty: true } },
    good: ['', undefined, 'abc'],
    bad: [['ab', 'f: must be at least 3 characters long']],
  },
  {
    type: 'string',
    rules: { string: { email: true } },
    good: ['a.b+c@x.example'],
    bad: [
      ['a@', 'f: must be an email address'],
      ['@x', 'f: must be an email address'],
      ['a b@x', 'f: must be an email address'],
    ],
  },
  {
    type: 'string',
    rules: { string: { hostname: true } },
    good: ['a', 'a-b.Example.com.', '1.2'],
    bad: [
      ['-a', 'f: must be a host name'],
      ['a..b', 'f: must be a host name'],
      ['a_b', 'f: must be a host name'],
      [`${'a'.repeat(64)}.b`, 'f: must be a host name'],
    ],
  },
  {
    type: 'string',
    rules: { string: { ip: true } },
    good: ['10.0.0.1', '::1'],
    bad: [
      ['10.0.0', 'f: must be an IP address'],
      ['fe80::1%eth0', 'f: must be an IP address'],
    ],
  },
  {
    type: 'string',
    rules: { string: { ipv4: true } },
    good: ['10.0.0.1'],
    bad: [['::1', 'f: must be an IPv4 address']],
  },
  {
    type: 'string',
    rules: { string: { ipv6: true } },
    good: ['::1'],
    bad: [['10.0.0.1', 'f: must be an IPv6 address']],
  },
  {
    type: 'string',
    rules: { string: { uri: true } },
    good: ['http://a/b?c#d', 'urn:x'],
    bad: [
      ['/a', 'f: must be an absolute URI'],
      ['http://a b', 'f: must be an absolute URI'],
      ['http:%zz', 'f: must be an absolute URI'],
    ],
  },
  {
    type: 'string',
    rules: { string: { uri_ref: true } },
    good: ['/a', '', 'http://a:80/b', 'a/b:c', '?a=:'],
    bad: [
      ['a b', 'f: must be a URI or a relative reference'],
      [':a', 'f: must be a URI or a relative reference'],
    ],
  },
  {
    type: 'string',
    rules: { string: { address: true } },
    good: ['a.b', '::1'],
    bad: [['a_b', 'f: must be a host name or an IP address']],
  },
  {
    type: 'string',
    rules: { string: { uuid: true } },
    good: ['6ba7b810-9dad-11d1-80b4-00c04fd430c8'],
    bad: [['6ba7b8109dad11d180b400c04fd430c8', 'f: must be a UUID']],
  },
  {
    type: 'string',
    rules: { string: { well_known_regex: 'HTTP_HEADER_NAME' } },
    good: ['x-a', ':path'],
    bad: [
      ['x a', 'f: must be an HTTP header name'],
      ['', 'f: must be an HTTP header name'],
      ['x(', 'f: must be an HTTP header name'],
    ],
  },
  {
    type: 'string',
    rules: { string: { well_known_regex: 'HTTP_HEADER_NAME', strict: false } },
    good: ['x a', ''],
    bad: [['x\n', 'f: must be an HTTP header name']],
  },
  {
    type: 'string',
    rules: { string: { well_known_regex: 'HTTP_HEADER_VALUE' } },
    good: ['a\tb', '', 'é'],
    bad: [
      ['a\u007f', 'f: must be an HTTP header value'],
      ['a\r', 'f: must be an HTTP header value'],
    ],
  },
  {
    type: 'string',
    rules: { string: { well_known_regex: 'HTTP_HEADER_VALUE', strict: false } },
    good: ['a\u007f'],
    bad: [['a\r', 'f: must be an HTTP header value']],
  },

  { type: 'bytes', rules: { bytes: { const: 'AQI=' } }, good: ['AQI='], bad: [['AQ==', 'f: must be 0x0102']] },
  { type: 'bytes', rules: { bytes: { len: 2 } }, good: ['AQI='], bad: [['AQ==', 'f: must be 2 bytes long']] },
  {
    type: 'bytes',
    rules: { bytes: { min_len: 1, max_len: 2 } },
    good: ['AQ=='],
    bad: [
      [undefined, 'f: must be at least 1 byte long'],
      ['AQID', 'f: must be at most 2 bytes long'],
    ],
  },
  { type: 'bytes', rules: { bytes: { pattern: '[a-z]+' } }, good: ['YWI='], bad: [['MTI=', 'f: must match "[a-z]+"']] },
  { type: 'bytes', rules: { bytes: { prefix: 'AQ==' } }, good: ['AQI='], bad: [['AgE=', 'f: must begin with 0x01']] },
  {
    type: 'bytes',
    rules: { bytes: { suffix: 'AQ==' } },
    good: ['AgE='],
    bad: [
      ['AQI=', 'f: must end in 0x01'],
      [undefined, 'f: must end in 0x01'],
    ],
  },
  { type: 'bytes', rules: { bytes: { contains: 'Ag==' } }, good: ['AQID'], bad: [['AQ==', 'f: must contain 0x02']] },
  {
    type: 'bytes',
    rules: { bytes: { in: ['AQ==', 'Ag=='] } },
    good: ['Ag=='],
    bad: [['Aw==', 'f: must be 0x01 or 0x02']],
  },
  { type: 'bytes', rules: { bytes: { not_in: ['AQ=='] } }, good: ['Ag=='], bad: [['AQ==', 'f: must not be 0x01']] },
  {
    type: 'bytes',
    rules: { bytes: { ip: true } },
    good: ['AQIDBA=='],
    bad: [['AQ==', 'f: must be an IP address in 4 or 16 bytes']],
  },
  {
    type: 'bytes',
    rules: { bytes: { ipv4: true } },
    good: ['AQIDBA=='],
    bad: [['AQ==', 'f: must be an IPv4 address in 4 bytes']],
  },
  {
    type: 'bytes',
    rules: { bytes: { ipv6: true } },
    good: ['AAAAAAAAAAAAAAAAAAAAAQ=='],
    bad: [['AQIDBA==', 'f: must be an IPv6 address in 16 bytes']],
  },
  {
    type: 'bytes',
    rules: { bytes: { min_len: 2, ignore_empty: true } },
    good: ['', undefined],
    bad: [['AQ==', 'f: must be at least 2 bytes long']],
  },

  {
    type: 'enum',
    rules: { enum: { defined_only: true } },
    good: ['RED', 1, undefined],
    bad: [[7, 'f: must be a value of Colour']],
  },
  { type: 'enum', rules: { enum: { const: 1 } }, good: ['GREEN'], bad: [['RED', 'f: must be GREEN']] },
  { type: 'enum', rules: { enum: { in: [1, 2] } }, good: ['BLUE'], bad: [['RED', 'f: must be GREEN or BLUE']] },
  { type: 'enum', rules: { enum: { not_in: [0] } }, good: ['BLUE'], bad: [[undefined, 'f: must not be RED']] },
  {
    type: 'repeated enum',
    rules: { repeated: { items: { enum: { defined_only: true } } } },
    good: [['RED']],
    bad: [[['RED', 9], 'f[1]: must be a value of Colour']],
  },

  {
    type: 'test.Inner',
    rules: { message: { required: true } },
    good: [{ name: 'a' }],
    bad: [
      [undefined, 'f: must be set'],
      [{}, 'f.name: must be at least 1 character long'],
    ],
  },
  {
    type: 'test.Inner',
    rules: {},
    good: [undefined, { name: 'a' }],
    bad: [[{}, 'f.name: must be at least 1 character long']],
  },
  { type: 'test.Inner', rules: { message: { skip: true } }, good: [{}, undefined], bad: [] },
  { type: 'test.Off', rules: {}, good: [{}], bad: [] },
  {
    type: 'google.protobuf.UInt32Value',
    rules: { uint32: { lte: 5 }, message: { required: true } },
    good: [0],
    bad: [
      [undefined, 'f: must be set'],
      [6, 'f: must be at most 5'],
    ],
  },

  {
    type: 'repeated string',
    rules: { repeated: { min_items: 1, max_items: 2 } },
    good: [['a']],
    bad: [
      [undefined, 'f: must have at least 1 item'],
      [['a', 'b', 'c'], 'f: must have at most 2 items'],
    ],
  },
  {
    type: 'repeated string',
    rules: { repeated: { min_items: 2, ignore_empty: true } },
    good: [[], ['a', 'b']],
    bad: [[['a'], 'f: must have at least 2 items']],
  },
  {
    type: 'repeated string',
    rules: { repeated: { unique: true } },
    good: [['a', 'b']],
    bad: [[['a', 'b', 'a'], 'f[2]: must not be there twice']],
  },
  {
    type: 'repeated bytes',
    rules: { repeated: { unique: true } },
    good: [['AQ==', 'Ag==']],
    bad: [[['AQ==', 'AQ=='], 'f[1]: must not be there twice']],
  },
  {
    type: 'repeated test.Inner',
    rules: { repeated: { unique: true } },
    good: [[{ name: 'a' }, { name: 'b' }]],
    bad: [[[{ name: 'a' }, { name: 'a' }], 'f[1]: must not be there twice']],
  },
  {
    type: 'repeated string',
    rules: { repeated: { items: { string: { min_len: 1 } } } },
    good: [['a'], []],
    bad: [[['a', ''], 'f[1]: must be at least 1 character long']],
  },
  {
    type: 'repeated test.Inner',
    rules: {},
    good: [[{ name: 'a' }]],
    bad: [[[{ name: 'a' }, {}], 'f[1].name: must be at least 1 character long']],
  },
  { type: 'repeated test.Inner', rules: { repeated: { items: { message: { skip: true } } } }, good: [[{}]], bad: [] },

  {
    type: 'map<string, int32>',
    rules: { map: { min_pairs: 1, max_pairs: 1 } },
    good: [{ a: 1 }],
    bad: [
      [undefined, 'f: must have at least 1 entry'],
      [{ a: 1, b: 2 }, 'f: must have at most 1 entry'],
    ],
  },
  {
    type: 'map<string, int32>',
    rules: { map: { min_pairs: 2, ignore_empty: true } },
    good: [{}],
    bad: [[{ a: 1 }, 'f: must have at least 2 entries']],
  },
  {
    type: 'map<string, int32>',
    rules: { map: { keys: { string: { min_len: 2 } } } },
    good: [{ ab: 0 }],
    bad: [[{ a: 1 }, 'f.a: key must be at least 2 characters long']],
  },
  {
    type: 'map<string, int32>',
    rules: { map: { values: { int32: { gt: 0 } } } },
    good: [{ a: 1 }],
    bad: [[{ a: 0 }, 'f.a: must be greater than 0']],
  },
  {
    type: 'map<string, test.Inner>',
    rules: {},
    good: [{ a: { name: 'x' } }],
    bad: [[{ 'a/b': {} }, 'f["a/b"].name: must be at least 1 character long']],
  },
  {
    type: 'map<string, test.Inner>',
    rules: { map: { no_sparse: true, values: { message: { skip: true } } } },
    good: [{ a: {} }],
    bad: [],
  },

  {
    type: 'google.protobuf.Any',
    rules: { any: { required: true } },
    good: [{ '@type': 'type.googleapis.com/test.Inner', name: 'a' }],
    bad: [
      [undefined, 'f: must be set'],
      [{ '@type': 'type.googleapis.com/test.Inner' }, 'f.name: must be at least 1 character long'],
    ],
  },
  {
    type: 'google.protobuf.Any',
    rules: { any: { in: ['type.googleapis.com/test.Inner'] } },
    good: [undefined, { '@type': 'type.googleapis.com/test.Inner', name: 'a' }],
    bad: [[{ '@type': 'type.googleapis.com/test.Off' }, 'f: must be a type.googleapis.com/test.Inner']],
  },
  {
    type: 'google.protobuf.Any',
    rules: { any: { not_in: ['type.googleapis.com/test.Off'] } },
    good: [undefined],
    bad: [[{ '@type': 'type.googleapis.com/test.Off' }, 'f: must not be a type.googleapis.com/test.Off']],
  },

  {
    type: 'google.protobuf.Duration',
    rules: { duration: { required: true, gt: seconds(0) } },
    good: ['0.000000001s'],
    bad: [
      [undefined, 'f: must be set'],
      ['0s', 'f: must be greater than 0s'],
      ['-1s', 'f: must be greater than 0s'],
    ],
  },
  {
    type: 'google.protobuf.Duration',
    rules: { duration: { gte: '0.001s', lte: '1.5s' } },
    good: ['0.001s', '1.5s', undefined],
    bad: [['1.500000001s', 'f: must be at least 0.001s and at most 1.5s']],
  },
  {
    type: 'google.protobuf.Duration',
    rules: { duration: { lt: seconds(1), gt: seconds(2) } },
    good: ['3s', '0s'],
    bad: [['1s', 'f: must be less than 1s or greater than 2s']],
  },
  {
    type: 'google.protobuf.Duration',
    rules: { duration: { const: seconds(1) } },
    good: ['1s'],
    bad: [['2s', 'f: must be 1s']],
  },
  {
    type: 'google.protobuf.Duration',
    rules: { duration: { in: ['1s', '2s'] } },
    good: ['2s'],
    bad: [['3s', 'f: must be 1s or 2s']],
  },
  {
    type: 'google.protobuf.Duration',
    rules: { duration: { not_in: ['1s'] } },
    good: ['2s'],
    bad: [['1s', 'f: must not be 1s']],
  },

  {
    type: 'google.protobuf.Timestamp',
    rules: { timestamp: { required: true } },
    good: ['2020-01-01T00:00:00Z'],
    bad: [[undefined, 'f: must be set']],
  },
  {
    type: 'google.protobuf.Timestamp',
    rules: { timestamp: { gte: '2020-01-01T00:00:00Z', lt: '2021-01-01T00:00:00Z' } },
    good: ['2020-06-01T00:00:00Z'],
    bad: [
      ['2021-01-01T00:00:00Z', 'f: must be at least 2020-01-01T00:00:00.000Z and less than 2021-01-01T00:00:00.000Z'],
    ],
  },
  {
    type: 'google.protobuf.Timestamp',
    rules: { timestamp: { const: '2020-01-01T00:00:00Z' } },
    good: ['2020-01-01T00:00:00Z'],
    bad: [['2020-01-01T00:00:01Z', 'f: must be 2020-01-01T00:00:00.000Z']],
  },
  {
    type: 'google.protobuf.Timestamp',
    rules: { timestamp: { lt_now: true } },
    good: [fromNow(-60_000)],
    bad: [[fromNow(3_600_000), 'f: must lie in the past']],
  },
  {
    type: 'google.protobuf.Timestamp',
    rules: { timestamp: { gt_now: true } },
    good: [fromNow(3_600_000)],
    bad: [[fromNow(-60_000), 'f: must lie in the future']],
  },
  {
    type: 'google.protobuf.Timestamp',
    rules: { timestamp: { within: '3600s' } },
    good: [fromNow(-60_000), fromNow(60_000)],
    bad: [
      [fromNow(-7_200_000), 'f: must lie within 3600s of now'],
      [fromNow(7_200_000), 'f: must lie within 3600s of now'],
    ],
  },
]

describe('the rules of each kind', () => {
  const api = apiOf(rows)

  test.each(rows.map((row, index) => ({ ...row, index, name: `${row.type} ${JSON.stringify(row.rules)}` })))(
    '$name',
    (row) => {
      const said = (value: JsonValue | undefined): string[] =>
        violations(api, `test.Row${row.index}`, value === undefined ? {} : { f: value })
      for (const value of row.good) expect(said(value), `of ${JSON.stringify(value)}`).toEqual([])
      for (const [value, text] of row.bad) expect(said(value), `of ${JSON.stringify(value)}`).toEqual([text])
    },
  )

  test('a pattern that RE2 cannot compile is skipped and counted', () => {
    const before = skippedPatternCount()
    const row: Row = { type: 'string', rules: { string: { pattern: 'a(?=b)', prefix: 'a' } }, good: [], bad: [] }
    const api = apiOf([row])
    expect(violations(api, 'test.Row0', { f: 'ax' })).toEqual([])
    expect(violations(api, 'test.Row0', { f: 'x' })).toEqual(['f: must begin with "a"'])
    expect(skippedPatternCount()).toBe(before + 1)
  })

  test('a oneof that is required wants one of its members', () => {
    expect(violations(api, 'test.Choice', {}, true)).toEqual([': must have one of a, b (set one of a, b)'])
    expect(violations(api, 'test.Choice', { b: '' })).toEqual([])
  })
})

describe('real resources', () => {
  test('every violation of a cluster is reported at once, with its place and what to do', () => {
    const cluster = {
      name: '',
      connect_timeout: '0s',
      load_assignment: {
        cluster_name: 'a',
        endpoints: [
          { lb_endpoints: [{ endpoint: { address: { socket_address: { address: 'a', port_value: 70_000 } } } }] },
        ],
      },
      circuit_breakers: { thresholds: [{ priority: 9 }] },
    }
    expect(violations(builtIn, 'envoy.config.cluster.v3.Cluster', cluster, true)).toEqual([
      'name: must be at least 1 character long (give name a value)',
      'connect_timeout: must be greater than 0s (set connect_timeout to a value greater than 0s)',
      'load_assignment.endpoints[0].lb_endpoints[0].endpoint.address.socket_address.port_value: must be at most 65535 (set port_value to a value at most 65535)',
      'circuit_breakers.thresholds[0].priority: must be a value of RoutingPriority (set priority to DEFAULT or HIGH)',
    ])
  })

  test('a filter configuration packed in an Any is checked, and the Any adds nothing to the path', () => {
    const listener = {
      name: 'a',
      address: { socket_address: { address: '::', port_value: 80 } },
      filter_chains: [
        {
          filters: [
            {
              name: 'tcp',
              typed_config: {
                '@type': 'type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy',
                stat_prefix: '',
              },
            },
          ],
        },
      ],
    }
    expect(violations(builtIn, 'envoy.config.listener.v3.Listener', listener)).toEqual([
      'filter_chains[0].filters[0].typed_config.stat_prefix: must be at least 1 character long',
      'filter_chains[0].filters[0].typed_config: must have one of cluster, weighted_clusters',
    ])
  })

  test('what is packed in an unknown type, or does not decode, is left alone', () => {
    const desc = builtIn.registry.getMessage('envoy.config.core.v3.TypedExtensionConfig')
    const any = builtIn.registry.getMessage('google.protobuf.Any')
    if (!desc || !any) throw new Error('no descriptors')
    for (const typeUrl of ['type.googleapis.com/no.such.Type', 'type.googleapis.com/envoy.config.cluster.v3.Cluster']) {
      const typedConfig = create(any, { typeUrl, value: new Uint8Array([0xff]) } as never)
      const bytes = toBinary(desc, create(desc, { name: 'a', typedConfig } as never))
      expect(validateMessage(builtIn, desc, fromBinary(desc, bytes))).toEqual([])
    }
  })

  test('a value is never repeated: it may be a secret, and it may be long', () => {
    const type = 'envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext'
    expect(violations(builtIn, type, { sni: 'hunter2'.repeat(100) }, true)).toEqual([
      'sni: must be at most 255 bytes long (make sni at most 255 bytes long)',
    ])
  })
})

/** An API with a message `test.Row<n>` for each row, whose field `f` has the row's type and rules. */
function apiOf(rows: readonly Row[]): EnvoyApi {
  const inner = create(DescriptorProtoSchema, {
    name: 'Inner',
    field: [fieldOf('string', { string: { min_len: 1 } }, 'name')],
  })
  const off = create(DescriptorProtoSchema, {
    name: 'Off',
    field: [fieldOf('string', { string: { min_len: 1 } }, 'name')],
    options: withOption(create(MessageOptionsSchema), 'validate.disabled', true),
  })
  const choice = create(DescriptorProtoSchema, {
    name: 'Choice',
    field: ['a', 'b'].map((name, index) => ({ ...fieldOf('string', {}, name), number: index + 1, oneofIndex: 0 })),
    oneofDecl: [{ name: 'pick', options: withOption(create(OneofOptionsSchema), 'validate.required', true) }],
  })
  const messages = rows.map((row, index) => {
    const field = fieldOf(row.type.replace(/^oneof /, ''), row.rules, 'f')
    const message = create(DescriptorProtoSchema, { name: `Row${index}`, field: [field] })
    if (row.type.startsWith('oneof ')) {
      field.oneofIndex = 0
      message.oneofDecl = [create(DescriptorProtoSchema, { oneofDecl: [{ name: 'pick' }] }).oneofDecl[0]!]
    }
    const map = /^map<(\w+), ([\w.]+)>$/.exec(row.type)
    if (map) {
      const entry = [fieldOf(map[1]!, {}, 'key'), { ...fieldOf(map[2]!, {}, 'value'), number: 2 }]
      message.nestedType = [
        create(DescriptorProtoSchema, { name: 'FEntry', field: entry, options: { mapEntry: true } }),
      ]
      field.typeName = `.test.Row${index}.FEntry`
    }
    return message
  })
  const file = create(FileDescriptorProtoSchema, {
    name: 'test.proto',
    package: 'test',
    syntax: 'proto3',
    dependency: ['any', 'duration', 'timestamp', 'wrappers'].map((name) => `google/protobuf/${name}.proto`),
    messageType: [inner, off, choice, ...messages],
    enumType: [
      create(EnumDescriptorProtoSchema, {
        name: 'Colour',
        value: ['RED', 'GREEN', 'BLUE'].map((name, number) => ({ name, number })),
      }),
    ],
  })
  return buildEnvoyApi('test', create(FileDescriptorSetSchema, { file: [...readBuiltInFiles().file, file] }))
}

function fieldOf(type: string, rules: JsonObject, name: string): FieldDescriptorProto {
  const isRepeated = type.startsWith('repeated ') || type.startsWith('map<')
  const bare = type.replace(/^repeated /, '')
  const scalar = FieldDescriptorProto_Type[bare.toUpperCase() as keyof typeof FieldDescriptorProto_Type]
  const isMessage = bare.includes('.') || bare.startsWith('map<')
  const rulesType = builtIn.registry.getMessage('validate.FieldRules')
  if (!rulesType) throw new Error('no validate.FieldRules')
  const options = create(FieldOptionsSchema)
  if (Object.keys(rules).length > 0) {
    withOption(options, 'validate.rules', fromJson(rulesType, rules, { registry: builtIn.registry }))
  }
  return create(FieldDescriptorProtoSchema, {
    name,
    jsonName: name,
    number: 1,
    label: isRepeated ? FieldDescriptorProto_Label.REPEATED : FieldDescriptorProto_Label.OPTIONAL,
    type: isMessage ? FieldDescriptorProto_Type.MESSAGE : scalar,
    ...(bare === 'enum' && { typeName: '.test.Colour' }),
    ...(bare.includes('.') && !bare.startsWith('map<') && { typeName: `.${bare}` }),
    options,
  })
}

function withOption<T>(options: T, name: string, value: unknown): T {
  setExtension(options as never, builtIn.registry.getExtension(name) as DescExtension as never, value as never)
  return options
}
