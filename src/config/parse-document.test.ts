import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { formatOrigin } from '../errors.ts'
import { loadEnvoyApi } from '../resource/envoy-api.ts'
import type { ParsedDocument } from './config-document.ts'
import { type ParseSettings, parseDocument } from './parse-document.ts'

const api = loadEnvoyApi()

function parse(text: string, settings?: ParseSettings): ParsedDocument {
  return parseDocument(api, { id: 'file:a.yaml', text, origin: { name: 'config/a.yaml' } }, settings)
}

const cluster = (name: string): string =>
  `'@type': type.googleapis.com/envoy.config.cluster.v3.Cluster\n  name: ${name}\n  connect_timeout: 1s\n  type: STATIC`
const item = (name: string): string => `- ${cluster(name)}\n`
const single = (name: string): string => `${cluster(name).replaceAll('\n  ', '\n')}\n`
const list = (...names: string[]): string => `resources:\n${names.map(item).join('')}`

/** Everything that a person would read of it. */
const said = ({ problems }: ParsedDocument): string[] =>
  problems.map(({ severity, code, origin, path }) => `${severity} ${code} ${formatOrigin(origin)} ${path}`.trim())

describe('the accepted forms', () => {
  test('a list of resources, with where each was written', () => {
    const parsed = parse(`nodes: {cluster: edge}\n${list('a', 'b')}`)
    expect(parsed).toMatchObject({ invalid: [], isUnreadable: false, problems: [] })
    expect(parsed.documents).toHaveLength(1)
    expect(parsed.documents[0]).toMatchObject({
      key: 'file:a.yaml',
      origin: { name: 'config/a.yaml', line: 1, column: 1 },
      selectors: [{ cluster: 'edge' }],
      resources: [
        { name: 'a', origin: { name: 'config/a.yaml', line: 3, column: 3 } },
        { name: 'b', origin: { line: 7 } },
      ],
    })
  })

  test('one resource, with nodes beside its fields', () => {
    const parsed = parse(`nodes: {id: x}\n${single('a')}`)
    expect(parsed.problems).toEqual([])
    expect(parsed.documents[0]).toMatchObject({ selectors: [{ id: 'x' }], resources: [{ name: 'a' }] })
  })

  test('one wrapped resource with a TTL', () => {
    const parsed = parse(
      `'@type': type.googleapis.com/envoy.service.discovery.v3.Resource\nttl: 5s\nresource:\n  ${cluster('a')}\n`,
    )
    expect(said(parsed)).toEqual([])
    expect(parsed.documents[0]?.resources[0]).toMatchObject({ name: 'a', ttlMs: 5000 })
  })

  test('JSON', () => {
    const resource = { '@type': 'type.googleapis.com/envoy.config.cluster.v3.Cluster', name: 'a', connectTimeout: '1s' }
    const parsed = parse(JSON.stringify({ resources: [resource] }, undefined, '\t'))
    expect(said(parsed)).toEqual([])
    expect(parsed.documents[0]?.resources).toMatchObject([{ name: 'a' }])
  })

  test('an empty list is a document without resources, and no document is none', () => {
    expect(parse('resources: []')).toMatchObject({ documents: [{ resources: [] }], invalid: [], problems: [] })
    expect(parse('# nothing\n---\n')).toMatchObject({ documents: [], invalid: [], isUnreadable: false, problems: [] })
  })

  test("a DiscoveryResponse's other fields are said once to have no effect", () => {
    const parsed = parse(`version_info: "1"\ntypeUrl: x\nnonce: y\ncontrol_plane: {identifier: z}\n${list('a')}`)
    expect(said(parsed)).toEqual(['warning no-effect config/a.yaml:1:1 version_info'])
    expect(parsed.problems[0]?.message).toMatch(/`version_info`, `typeUrl`, `nonce`, `control_plane` have no effect/)
    expect(parsed.documents).toHaveLength(1)
  })

  test('anchors and merge keys work across resources', () => {
    const parsed = parse(
      `resources:\n- &base\n  ${cluster('a')}\n- {<<: *base, name: b}\n`.replace('- &base\n  ', '- &base\n  '),
    )
    expect(said(parsed)).toEqual([])
    expect(parsed.documents[0]?.resources).toMatchObject([{ name: 'a' }, { name: 'b' }])
  })
})

describe('what is refused', () => {
  test.each<[string, string, string, RegExp]>([
    ['a later kind', 'kind: Policy\nname: a', 'unsupported-kind config/a.yaml:1:7 kind', /kind Policy is not in this/],
    ['a misspelt kind', 'kind: Sevice', 'unsupported-kind config/a.yaml:1:7 kind', /mean `Service`/],
    ['a kind that is none', 'kind: Xyzzy', 'unsupported-kind config/a.yaml:1:7 kind', /no kind Xyzzy\. The kinds are/],
    ['an instance', 'kind: Instance', 'unsupported-kind config/a.yaml:1:7 kind', /registers itself/],
    [
      'a kind that ran into resources',
      'kind: Service\nname: a\nresources: []',
      'wrong-type config/a.yaml:3:1 resources',
      /put `---` between/,
    ],
    ['a kind that is no word', 'kind: [a]', 'wrong-type config/a.yaml:1:7 kind', /a word/],
    ['a Kubernetes object', 'kind: Service\napiVersion: v1', 'foreign-kind config/a.yaml:2:1 apiVersion', /Kubernetes/],
    ['a misspelt list', 'resource: []', 'unknown-field config/a.yaml:1:1 resource', /mean `resources`/],
    ["a '@type' without its @", 'type_url: x', 'unknown-field config/a.yaml:1:1', /'@type'/],
    ['a bootstrap', 'static_resources: {}', 'unknown-field config/a.yaml:1:1 static_resources', /bootstrap/],
    ['something else', 'foo: 1', 'unknown-field config/a.yaml:1:1', /`resources:`.*'@type'/],
    ['only a selector', 'nodes: {id: a}', 'unknown-field config/a.yaml:1:1', /neither/],
    ['a list', '- a', 'wrong-type config/a.yaml:1:1', /Put `resources:` above/],
    ['a text', 'hello', 'wrong-type config/a.yaml:1:1', /a map/],
    ['both forms', `resources: []\n${single('a')}`, 'wrong-type config/a.yaml:2:1 @type', /not both/],
    ['a list that was forgotten', 'resources:', 'wrong-type config/a.yaml:1:11 resources', /resources: \[\]/],
    ['a list that is a map', 'resources: {a: 1}', 'wrong-type config/a.yaml:1:12 resources', /is a list/],
    ['an unknown field', 'resources: []\nnode: {}', 'unknown-field config/a.yaml:2:1 node', /mean `nodes`/],
    [
      'a selector that cannot be read',
      'resources: []\nnodes: {x: y}',
      'invalid-selector config/a.yaml:2:9 nodes.x',
      /./,
    ],
    ['a syntax error', 'resources: []\n\tx: 1', 'syntax config/a.yaml:2:1', /tab/],
    ['a resource without a type', 'resources:\n- name: a', 'wrong-type config/a.yaml:2:3 resources[0]', /@type/],
    [
      'an unknown field in a resource',
      `${list('a')}  nmae: b\n`,
      'unknown-field config/a.yaml:6:3 resources[0].nmae',
      /name/,
    ],
    ['the same name twice', list('a', 'b', 'a'), 'duplicate config/a.yaml:10:3 resources[2]', /line 2 and in line 10/],
  ])('%s', (_, text, expected, words) => {
    const parsed = parse(text)
    expect(said(parsed)).toEqual([`error ${expected}`])
    expect(`${parsed.problems[0]?.message} ${parsed.problems[0]?.fix}`).toMatch(words)
    expect(parsed.documents).toEqual([])
    expect(parsed.invalid).toMatchObject([{ key: 'file:a.yaml', origin: { name: 'config/a.yaml', line: 1 } }])
  })

  test('everything that is wrong is said at once, in order of line', () => {
    const parsed = parse(`kind: Policy\n---\n${list('a', 'a')}nods: {}\n---\nnodes: 1\nresources: [1]`)
    expect(parsed.problems.map(({ code }) => code)).toEqual([
      'unsupported-kind',
      'duplicate',
      'unknown-field',
      'invalid-selector',
      'wrong-type',
    ])
    const lines = parsed.problems.map(({ origin }) => origin.line ?? 0)
    expect(lines).toEqual(lines.toSorted((a, b) => a - b))
  })

  test('a revision goes into every place', () => {
    const origin = { name: 'etcd:/fairlead/config/a', revision: '812' }
    const { problems } = parseDocument(api, { id: 'etcd:/fairlead/config/a', text: '\nfoo: 1', origin })
    expect(problems.map((problem) => formatOrigin(problem.origin))).toEqual(['etcd:/fairlead/config/a@rev 812:2:1'])
  })

  test('of very many problems the first are told, and how many more there are', () => {
    const text = `resources: [${Array(1500).fill('1').join(', ')}]`
    expect(parse(text).problems).toHaveLength(1001)
    expect(parse(text).problems.at(-1)).toMatchObject({
      severity: 'error',
      message: 'And 500 more problems from here on.',
    })
  })

  test('aliases that expand to more values than allowed are refused', () => {
    const text = `resources: []\nx: &x [1, 2, 3]\ny: [*x, *x, *x]`
    expect(parse(text, { maxValues: 10 }).problems[0]?.message).toMatch(/more than 10 values/)
  })

  test('the selectors of an invalid document are kept where they can be read', () => {
    expect(parse('nodes: {id: a}\nkind: Policy').invalid[0]?.selectors).toEqual([{ id: 'a' }])
    expect(parse(`nodes: {id: a}\n${list('a', 'a')}`).invalid[0]?.selectors).toEqual([{ id: 'a' }])
    expect(parse(`nodes: {id: a}\nresources:\n- a: "\\q"\n`).invalid[0]?.selectors).toEqual([{ id: 'a' }])
    expect(parse(list('a', 'a')).invalid[0]?.selectors).toEqual([])
  })

  test('selectors that cannot be read, or may be broken, are said to be unknown', () => {
    expect(parse('nodes: {idd: a}\nresources: []').invalid[0]?.selectors).toBeUndefined()
    expect(parse('nodes: {id: "a\nresources: []').invalid[0]?.selectors).toBeUndefined()
    expect(parse('resources:\n- a: "\\q"\n').invalid[0]?.selectors).toBeUndefined()
    expect(parse('- a').invalid[0]?.selectors).toBeUndefined()
  })
})

describe('who a document is', () => {
  const keys = ({ documents, invalid }: ParsedDocument): string[] =>
    [...documents, ...invalid].map(({ key }) => key.replace('file:a.yaml', '~'))

  test.each<[string, string, string[]]>([
    ['one document is its text', list('a'), ['~']],
    ['whatever its first resource is called', list('other'), ['~']],
    ['the first of several is the text too', `${list('a')}---\n${list('b')}`, ['~', '~#cluster/b']],
    ['an empty one before it does not count', `# x\n---\n${list('a')}---\n${list('b')}`, ['~', '~#cluster/b']],
    [
      'the others are called after their first resource',
      `${list('a')}---\n${single('b')}---\n${list('c', 'd')}`,
      ['~', '~#cluster/b', '~#cluster/c'],
    ],
    [
      'of the same name they are counted',
      `${list('a')}---\n${list('b')}---\n${list('b')}`,
      ['~', '~#cluster/b', '~#cluster/b~2'],
    ],
    [
      'an assignment has its name elsewhere',
      `a: 1\n---\n'@type': t/envoy.config.endpoint.v3.ClusterLoadAssignment\ncluster_name: e`,
      ['~#endpoint/e', '~'],
    ],
    [
      'a wrapper is called after what it holds',
      `a: 1\n---\n'@type': t/envoy.service.discovery.v3.Resource\nresource:\n  ${cluster('w')}`,
      ['~#cluster/w', '~'],
    ],
    ['a kind has its own name', `${list('a')}---\nkind: Route\nname: r`, ['~', '~#Route/r']],
    ['the Mesh is the same whatever it is called', `${list('a')}---\nkind: Mesh\nname: shop`, ['~', '~#Mesh/mesh']],
    ['what has no name is counted', `${list('a')}---\nresources: []\n---\nfoo: 1`, ['~', '~#2', '~#3']],
  ])('%s', (_, text, expected) => {
    expect(keys(parse(text))).toEqual(expected)
  })

  const held = [
    { key: 'file:a.yaml', hint: 'cluster/a' },
    { key: 'file:a.yaml#cluster/b', hint: 'cluster/b' },
  ]

  test.each<[string, string, string[]]>([
    ['wherever it stands now', `${list('b')}---\n${list('a')}`, ['~#cluster/b', '~']],
    ['when the one above it is gone', list('b'), ['~#cluster/b']],
    ['when another is above it', `${list('x')}---\n${list('a')}`, ['~#cluster/x', '~']],
    ['and the first keeps its key under another name', `${list('x')}---\n${list('b')}`, ['~', '~#cluster/b']],
    ['and one more of its name is another', `${list('b')}---\n${list('b')}`, ['~#cluster/b', '~#cluster/b~2']],
  ])('a document that is in force is known again %s', (_, text, expected) => {
    const parsed = parse(text, { held })
    expect(keys(parsed)).toEqual(expected)
    expect(parsed.isUnreadable).toBe(false)
  })

  test('nothing is let go while one that is wrong may be one that is gone, under another name', () => {
    const wrong = `${list('x')}  nmae: x\n`
    expect(parse(wrong, { held }).isUnreadable).toBe(true)
    expect(parse(`${list('b')}---\n${wrong}`, { held }).isUnreadable).toBe(true)
    expect(parse(`${list('a', 'c')}---\n${list('b')}---\n${wrong}`, { held }).isUnreadable).toBe(false)
    expect(parse(`${list('b')}  nmae: x\n`, { held }).isUnreadable).toBe(false)
  })

  test('adding a document below, or one that is wrong, leaves the first as it was', () => {
    const [alone] = parse(list('a')).documents
    expect(parse(`${list('a')}---\n${list('b')}`).documents[0]).toEqual(alone)
    expect(parse(`${list('a')}---\nfoo: 1`).documents[0]).toEqual(alone)
    expect(parse(`${list('a')}---\nfoo: [`).documents[0]).toEqual(alone)
  })

  test('an invalid document is known by its name, and then nothing else is in doubt', () => {
    const parsed = parse(`${list('a')}---\n${list('b')}  nmae: x\n---\n${list('c')}`)
    expect(parsed.documents.map(({ key }) => key)).toEqual(['file:a.yaml', 'file:a.yaml#cluster/c'])
    expect(parsed.invalid.map(({ key }) => key)).toEqual(['file:a.yaml#cluster/b'])
    expect(parsed.isUnreadable).toBe(false)
  })

  test('a syntax error in one document leaves the others in use', () => {
    const parsed = parse(`${list('a')}---\n${list('b')}  connect_timeout: "\\q"\n---\n${list('c')}`)
    expect(parsed.documents.map(({ key }) => key)).toEqual(['file:a.yaml', 'file:a.yaml#cluster/c'])
    expect(parsed.invalid.map(({ key }) => key)).toEqual(['file:a.yaml#cluster/b'])
    expect(parsed.isUnreadable).toBe(false)
  })

  test.each<[string, string]>([
    ['the YAML is broken before a name', `${list('a')}---\nresources: [\n`],
    ['its first resource has lost its name', `${list('a')}---\n${list('b', 'c').replace('name: b', 'nmae: b')}`],
    ['the text breaks off', 'resources: [{'],
    ['a separator lost a dash', `${list('a')}--\n${list('b')}`],
    ['a separator is gone', `${list('a')}${list('b')}`],
    ['a separator is gone between two forms', `${list('a')}${single('b')}`],
    ['a quote swallowed a separator', `${list('a')}  alt_stat_name: "x\n---\n${list('b')}`],
  ])('nothing of the text is let go when %s', (_, text) => {
    const parsed = parse(text)
    expect(parsed.isUnreadable).toBe(true)
    expect(parsed.invalid).not.toEqual([])
  })
})

const isLong = process.env['FAIRLEAD_TEST_LONG'] === '1'

/** Deterministic: a failure can be run again. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

const noise = [
  '\n',
  ' ',
  '  ',
  '\t',
  ':',
  ': ',
  '- ',
  '"',
  "'",
  '{',
  '}',
  '[',
  ']',
  '&a ',
  '*a',
  '<<: ',
  '---\n',
  '!',
  '|',
  '>',
  '%',
  '@',
  '#',
  ',',
  '?',
  '\\',
  '\u0000',
  '\ud83d',
  'x',
  '0',
  '~',
]

function mutate(text: string, random: (below: number) => number): string {
  const at = random(text.length)
  const length = 1 + random(4)
  switch (random(4)) {
    case 0:
      return text.slice(0, at) + text.slice(at + length)
    case 1:
      return text.slice(0, at) + (noise[random(noise.length)] ?? '') + text.slice(at)
    case 2: {
      const lines = text.split('\n')
      const line = random(lines.length)
      lines[line] = random(2) === 0 ? (lines[line] ?? '').trimStart() : ` ${lines[line]}`
      return lines.join('\n')
    }
    default: {
      const from = random(text.length)
      return text.slice(0, at) + text.slice(from, from + length * 8) + text.slice(at)
    }
  }
}

describe('whatever the text is', () => {
  test('a document mutated at random is parsed without an exception', () => {
    const valid = `nodes: {cluster: edge}\nresources:\n- &a\n  ${cluster('a')}\n- {<<: *a, name: b}\n---\n${single('c')}`
    expect(parse(valid)).toMatchObject({ invalid: [], problems: [] })
    const random = randomFrom(20)
    let withErrors = 0
    for (let round = 0; round < (isLong ? 10_000 : 400); round++) {
      let text = valid
      for (let count = 1 + random(4); count > 0; count--) text = mutate(text, random)
      const parsed = parse(text)
      if (parsed.invalid.length > 0) withErrors++
      expect(parsed.problems.some(({ severity }) => severity === 'error')).toBe(parsed.invalid.length > 0)
      for (const { origin, message, fix } of parsed.problems) {
        expect(origin.line).toBeGreaterThan(0)
        expect(origin.column).toBeGreaterThan(0)
        expect(message).toMatch(/\.$/)
        expect(fix).not.toBe('')
      }
    }
    expect(withErrors).toBeGreaterThan(300)
  })

  test('no Problem holds a piece of a private key, however the document is broken around it', () => {
    const { privateKey: pem } = generateKeyPairSync('ed25519', {
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
      publicKeyEncoding: { type: 'spki', format: 'pem' },
    })
    const { privateKey: rsa } = generateKeyPairSync('rsa', {
      modulusLength: 2048,
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
      publicKeyEncoding: { type: 'spki', format: 'pem' },
    })
    const secret = (key: string, form: string): string =>
      `resources:\n- '@type': type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret\n  name: s\n  tls_certificate:\n    private_key:\n      ${form}: ${key}\n- ${cluster('a')}\n`
    const block = (key: string): string => `|\n${key.replaceAll(/^(?=.)/gm, ' '.repeat(8))}`
    const texts = [
      secret(block(rsa), 'inline_string'),
      secret(block(pem), 'inline_string'),
      secret(JSON.stringify(rsa), 'inline_string'),
      secret(Buffer.from(rsa).toString('base64'), 'inline_bytes'),
    ]
    for (const text of texts) expect(said(parse(text))).toEqual([])
    const pieceLength = 10
    const keys = [rsa, pem].map((key) => key.replaceAll(/-----.*\n/g, '')).concat(Buffer.from(rsa).toString('base64'))
    for (const [index, text] of texts.entries()) {
      const random = randomFrom(index)
      for (let round = 0; round < (isLong ? 3000 : 200); round++) {
        const broken = mutate(text, random)
        const { problems } = parse(broken)
        const told = problems.map(({ message, fix, path }) => `${message} ${fix} ${path}`).join('\n')
        for (let start = 0; start + pieceLength <= told.length; start++) {
          const piece = told.slice(start, start + pieceLength)
          expect(
            keys.some((key) => key.includes(piece)),
            `${piece} in ${told}`,
          ).toBe(false)
        }
      }
    }
  })

  test('a line of a key that became a field is masked in its Problem', () => {
    const line = 'MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7'
    const text = `resources: []\n${line}: x\nb: |\n  -----BEGIN PRIVATE KEY-----\n  ${line}\n  -----END PRIVATE KEY-----\n`
    const told = JSON.stringify(parse(text).problems)
    expect(told).toContain('***')
    expect(told).not.toContain('MIIEvQ')
  })
})
