import type { Random } from './random.ts'
import { type Bytes, concat, delimited, numeric, tag, varint } from './wire-bytes.ts'
import { type Protocol, typeUrlOf } from './wire-client.ts'

/** What a client of a stream knows when it writes the next request. */
export interface Known {
  /** `node.id` */
  readonly id: string
  readonly protocol: Protocol
  readonly isFirst: boolean
  /** The type that its service is for; undefined: any. */
  readonly typeUrl: string | undefined
  /** Nonces and types of the responses so far. */
  readonly responses: readonly { readonly nonce: string; readonly typeUrl: string }[]
}

const types = [
  'cluster',
  'endpoint',
  'secret',
  'extension',
  'runtime',
  'listener',
  'scopedRoute',
  'route',
  'virtualHost',
]
const typeUrls = [...types.map(typeUrlOf), 'type.googleapis.com/foo.Bar', 'x']
const resourceNames = [
  'a',
  'b',
  'c',
  '*',
  '',
  'absent',
  'routes/host',
  'xdstp://here/envoy.config.cluster.v3.Cluster/*',
  'xdstp:///%',
]

/** Field numbers of the two requests. */
const fields = {
  sotw: { version: 1, node: 2, names: 3, typeUrl: 4, nonce: 5, error: 6 },
  delta: { node: 1, typeUrl: 2, subscribe: 3, unsubscribe: 4, versions: 5, nonce: 6, error: 7 },
} as const

/** Bytes to send as one message: honest, strange or broken. */
export function randomRequest(random: Random, known: Known): Bytes {
  const honest = honestRequest(random, known)
  if (random.chance(0.6)) return honest
  return random.pick(everyStrangeness)(random, honest, known)
}

/** What a client might well say, with whatever nonce. */
export function honestRequest(random: Random, { id, protocol, isFirst, typeUrl: only, responses }: Known): Bytes {
  const last = responses.at(-1)
  const answered = last !== undefined && random.chance(0.6) ? last : undefined
  const typeUrl =
    answered?.typeUrl ?? (only !== undefined && random.chance(0.9) ? random.pick([only, '']) : random.pick(typeUrls))
  const nonce =
    answered?.nonce ??
    random.pick(['', '', '0', '17', '99999999999', random.pick([...responses, { nonce: 'x' }]).nonce])
  const names = (): string[] => random.some(resourceNames, random.below(4))
  const error = random.chance(0.3) ? statusOf(random) : undefined
  const node = isFirst || random.chance(0.05) ? randomNode(random, id) : undefined
  if (protocol === 'sotw') {
    const at = fields.sotw
    return concat(
      ...(random.chance(0.5) ? [delimited(at.version, random.pick(['1', 'abc', '']))] : []),
      ...(node ? [delimited(at.node, node)] : []),
      ...names().map((name) => delimited(at.names, name)),
      delimited(at.typeUrl, typeUrl),
      delimited(at.nonce, nonce),
      ...(error ? [delimited(at.error, error)] : []),
    )
  }
  const at = fields.delta
  return concat(
    ...(node ? [delimited(at.node, node)] : []),
    delimited(at.typeUrl, typeUrl),
    ...names().map((name) => delimited(at.subscribe, name)),
    ...names().map((name) => delimited(at.unsubscribe, name)),
    ...names().map((name) =>
      delimited(at.versions, concat(delimited(1, name), delimited(2, random.pick(['', '1', 'v'])))),
    ),
    delimited(at.nonce, nonce),
    ...(error ? [delimited(at.error, error)] : []),
  )
}

function randomNode(random: Random, id: string): Bytes {
  const metadata = delimited(1, concat(delimited(1, 'key'), delimited(2, delimited(3, 'value'))))
  return concat(
    delimited(1, random.chance(0.95) ? id : ''),
    delimited(2, random.pick(['edge', ''])),
    ...(random.chance(0.3) ? [delimited(3, metadata)] : []),
    ...(random.chance(0.3) ? [delimited(6, random.pick(['envoy', 'gRPC', '']))] : []),
    ...(random.chance(0.3) ? [delimited(10, random.pick(['xds.config.resource-in-sotw', 'x']))] : []),
  )
}

function statusOf(random: Random): Bytes {
  const message = random.pick([
    '',
    'no',
    'Error adding/updating cluster(s) a: bad, b: worse',
    'Error adding/updating listener(s) : , ',
    'Proto constraint validation failed (field: "x"): name: "a"\n',
    'Duplicate entry of domain a in route b',
    '\u0000'.repeat(100),
    'x'.repeat(10_000),
    '('.repeat(5_000),
  ])
  return concat(numeric(1, random.pick([0, 3, 13, -1, 2 ** 40])), delimited(2, message))
}

type Strangeness = (random: Random, honest: Bytes, known: Known) => Bytes

const randomBytes = (random: Random, length: number): Bytes =>
  Buffer.from(Array.from({ length }, () => random.below(256)))

/** Somewhere in the bytes, `taken` of them are replaced by `put`. */
function splice(random: Random, bytes: Bytes, taken: number, put: Bytes): Bytes {
  const at = random.below(bytes.length + 1)
  return concat(bytes.subarray(0, at), put, bytes.subarray(Math.min(bytes.length, at + taken)))
}

const flipBits: Strangeness = (random, honest) => {
  const bytes = Buffer.from(honest)
  for (let flips = 1 + random.below(8); flips > 0 && bytes.length > 0; flips--) {
    const at = random.below(bytes.length)
    bytes[at] = (bytes[at] as number) ^ (1 << random.below(8))
  }
  return bytes
}

const cut: Strangeness = (random, honest) => Buffer.from(honest.subarray(0, random.below(honest.length + 1)))
const takeOut: Strangeness = (random, honest) => splice(random, honest, 1 + random.below(10), Buffer.alloc(0))
const putIn: Strangeness = (random, honest) => splice(random, honest, 0, randomBytes(random, 1 + random.below(20)))
const twice: Strangeness = (random, honest, known) =>
  concat(honest, random.chance(0.5) ? honest : honestRequest(random, known))
const noise: Strangeness = (random) => randomBytes(random, random.below(200))

const unknownField: Strangeness = (random, honest) => {
  const field = random.pick([8, 15, 16, 100, 19_000, 2 ** 29 - 1, 0, 2 ** 29])
  const content = [
    Buffer.concat([tag(field, 0), varint(2n ** 64n - 1n)]),
    Buffer.concat([tag(field, 1), randomBytes(random, 8)]),
    delimited(field, randomBytes(random, 30)),
    Buffer.concat([tag(field, 3), numeric(1, 1), tag(field, 4)]),
    Buffer.concat([tag(field, 5), randomBytes(random, 4)]),
    // A group that never ends, an end that never began, wire types that there are not.
    tag(field, 3),
    tag(field, 4),
    Buffer.concat([tag(field, 6), randomBytes(random, 4)]),
    tag(field, 7),
  ]
  return random.chance(0.5) ? concat(random.pick(content), honest) : concat(honest, random.pick(content))
}

const wrongWireType: Strangeness = (random, honest) => {
  const field = 1 + random.below(7)
  const content = random.pick([
    numeric(field, random.below(1000)),
    Buffer.concat([tag(field, 1), randomBytes(random, 8)]),
    Buffer.concat([tag(field, 5), randomBytes(random, 4)]),
    Buffer.concat([tag(field, 3), tag(field, 4)]),
  ])
  return concat(honest, content)
}

const lyingLength: Strangeness = (random, honest) =>
  concat(honest, delimited(1 + random.below(7), 'abc', random.pick([0, 2, 4, 1000, 2 ** 31 - 1, 2 ** 31, 2 ** 32, -1])))

const hugeVarint: Strangeness = (random, honest) =>
  concat(honest, tag(1 + random.below(9), random.pick([0, 2])), Buffer.alloc(9 + random.below(5), 0xff))

const hugeName: Strangeness = (random, honest, { protocol }) =>
  concat(
    honest,
    delimited(
      fields[protocol].typeUrl === 4 ? 3 : random.pick([3, 4]),
      'n'.repeat(random.pick([1_000, 65_536, 300_000])),
    ),
  )

const manyNames: Strangeness = (random, honest) => {
  const field = 3 + random.below(2)
  return concat(
    honest,
    ...Array.from({ length: random.pick([100, 3_000]) }, (_, index) => delimited(field, `n${index % 2_000}`)),
  )
}

const manyVersions: Strangeness = (random, honest) =>
  concat(
    honest,
    ...Array.from({ length: random.pick([100, 3_000]) }, (_, index) =>
      delimited(5, concat(delimited(1, `n${index}`), delimited(2, 'v'))),
    ),
  )

const badText: Strangeness = (random, honest) =>
  concat(
    honest,
    delimited(
      1 + random.below(7),
      random.pick([
        Buffer.from([0xff, 0xfe]),
        Buffer.from([0xc0, 0x80]),
        Buffer.from([0xed, 0xa0, 0x80]),
        Buffer.from([0xf4, 0x90, 0x80, 0x80]),
        Buffer.from([0xe2, 0x82]),
        Buffer.from('a\u0000b\u202e'),
      ]),
    ),
  )

/** Metadata is a Struct, whose values may be Structs. */
const deepNode: Strangeness = (random, honest, { protocol }) => {
  const depth = random.pick([20, 99, 101, 5_000])
  let value = delimited(3, 'end')
  for (let level = 0; level < depth; level++) {
    value = random.chance(0.5)
      ? delimited(5, delimited(1, concat(delimited(1, 'k'), delimited(2, value))))
      : delimited(6, delimited(1, value))
  }
  const metadata = delimited(1, concat(delimited(1, 'deep'), delimited(2, value)))
  const node = concat(delimited(1, 'deep'), delimited(3, metadata))
  return concat(delimited(fields[protocol].node, node), honest)
}

const deepGroups: Strangeness = (random, honest) => {
  const depth = random.pick([10, 1_000, 100_000])
  const many = (bytes: Bytes): Bytes => Buffer.alloc(depth * bytes.length, bytes)
  return concat(honest, many(tag(20, 3)), many(tag(20, 4)))
}

const badNode: Strangeness = (random, honest, { protocol }) =>
  concat(delimited(fields[protocol].node, random.pick([randomBytes(random, 40), Buffer.from([0x0a, 0xff])])), honest)

/** `toString` and its like are names, too. */
const objectNames: Strangeness = (random, honest, { protocol }) => {
  const name = random.pick(['__proto__', 'constructor', 'toString', 'hasOwnProperty'])
  return protocol === 'sotw'
    ? concat(honest, delimited(3, name), delimited(4, random.pick([name, typeUrlOf('cluster')])))
    : concat(honest, delimited(3, name), delimited(5, concat(delimited(1, name), delimited(2, name))))
}

const everyStrangeness: readonly Strangeness[] = [
  flipBits,
  flipBits,
  flipBits,
  cut,
  takeOut,
  putIn,
  twice,
  noise,
  unknownField,
  wrongWireType,
  lyingLength,
  hugeVarint,
  hugeName,
  manyNames,
  manyVersions,
  badText,
  deepNode,
  deepGroups,
  badNode,
  objectNames,
]

/** Asks for all of a type that nobody has heard of: whoever takes it answers, after all that was said before. */
export function probeOf(protocol: Protocol, typeUrl: string): Bytes {
  const at = fields[protocol]
  return concat(delimited(at.typeUrl, typeUrl), delimited(3, '*'))
}
