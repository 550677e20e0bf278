import { describe, expect, test } from 'vitest'
import { formatOrigin } from '../errors.ts'
import {
  flagOf,
  optionsFilePath,
  optionTable,
  printOptions,
  type ResolvedOptions,
  resolveOptions,
  type ServeOptions,
  servesRest,
  variableOf,
} from './options.ts'

type Layers = {
  readonly flags?: Record<string, unknown>
  readonly env?: Record<string, string>
  readonly file?: string
}

function resolve({ flags = {}, env = {}, file }: Layers): ResolvedOptions {
  return resolveOptions({ flags, env, ...(file !== undefined && { file: { path: './fairlead.yaml', text: file } }) })
}

/** With a source, so that only what a test is about can be wrong. */
const resolveWith = (layers: Layers): ResolvedOptions =>
  resolve({ ...layers, flags: { config: ['c'], ...layers.flags } })

const said = ({ problems }: ResolvedOptions): string[] =>
  problems.map(({ severity, origin, message, fix }) => `${severity} ${formatOrigin(origin)} ${message} ${fix}`)

describe('the layers', () => {
  const file = 'listen: 1.1.1.1:1\nadmin: 1.1.1.1:2\ndebounce: 1s\nconfig: file\nlogLevel: warn\n'
  const env = { FAIRLEAD_LISTEN: '2.2.2.2:1', FAIRLEAD_ADMIN: '2.2.2.2:2', FAIRLEAD_CONFIG: 'a,b' }
  const flags = { listen: '3.3.3.3:1' }

  test('a flag beats a variable, that the file, and that the default', () => {
    const { options, origins, problems } = resolve({ flags, env, file })
    expect(problems.map(({ message }) => message)).toEqual(['--debounce is longer than --debounce-max.'])
    expect(options).toBeUndefined()
    const told = Object.entries(origins).map(([name, { layer, origin }]) => `${name} ${layer} ${formatOrigin(origin)}`)
    expect(told).toEqual(
      expect.arrayContaining([
        'listen flag --listen',
        'admin environment FAIRLEAD_ADMIN',
        'config environment FAIRLEAD_CONFIG',
        'debounce file ./fairlead.yaml:3:1',
        'debounceMax default default',
      ]),
    )
  })

  test('the values come from there too', () => {
    const { options } = resolve({ flags, env, file: file.replace('1s', '10ms') })
    expect(options).toMatchObject({
      listen: '3.3.3.3:1',
      admin: '2.2.2.2:2',
      config: ['a', 'b'],
      debounce: 10,
      debounceMax: 500,
      logLevel: 'warn',
    })
  })

  test('an empty variable is not set, an empty file is no file', () => {
    const { options, problems } = resolveWith({ env: { FAIRLEAD_TLS_CERT: '' }, file: '# nothing\n' })
    expect(problems).toEqual([])
    expect(options).not.toHaveProperty('tlsCert')
  })

  test('the defaults are those of the help', () => {
    const { options } = resolveWith({})
    expect(options).toEqual({
      config: ['c'],
      etcd: [],
      etcdPrefix: '/fairlead/',
      etcdReadOnly: false,
      listen: '127.0.0.1:18000',
      admin: '127.0.0.1:18001',
      rest: 'auto',
      snapshots: './snapshots',
      historyRevisions: 100,
      historyBytes: 268_435_456,
      etcdHistoryBytes: 33_554_432,
      staticNames: {},
      debounce: 50,
      debounceMax: 500,
      ackWait: 5000,
      ackWaitClusters: 1000,
      transitionTimeout: 10_000,
      drainTime: 600_000,
      drainTimeout: 10_000,
      keepaliveTime: 30_000,
      keepaliveTimeout: 10_000,
      maxConnectionAge: 0,
      maxReceiveBytes: 67_108_864,
      maxUnflushedBytes: 67_108_864,
      maxFirstAnswers: 100,
      sotwResume: false,
      allowPartial: false,
      allowEmpty: false,
      allowPlaintextSecrets: false,
      allowFile: [],
      logLevel: 'info',
      logFormat: 'auto',
    } satisfies ServeOptions)
  })
})

describe('values', () => {
  test.each<[string, unknown, unknown]>([
    ['debounce', '0', 0],
    ['debounce', 0, 0],
    ['debounce', '50ms', 50],
    ['debounceMax', '1m30s', 90_000],
    ['debounceMax', '1.5s', 1500],
    ['debounceMax', '24h', 86_400_000],
    ['historyBytes', '64MiB', 67_108_864],
    ['historyBytes', '256MB', 256_000_000],
    ['historyBytes', '1GiB', 1_073_741_824],
    ['historyBytes', '2000000', 2_000_000],
    ['historyBytes', 2_000_000, 2_000_000],
    ['historyRevisions', '7', 7],
    ['historyRevisions', 7, 7],
    ['listen', ':18000', '0.0.0.0:18000'],
    ['listen', '[::1]:18000', '[::1]:18000'],
    ['etcd', 'http://a:2379, https://b:2379/', ['http://a:2379', 'https://b:2379']],
    ['etcd', ['a:2379'], ['http://a:2379']],
    ['etcdPrefix', '/x', '/x/'],
    ['etcdPrefix', '/x//', '/x/'],
    ['config', 'one', ['one']],
    ['config', ['one', 'two'], ['one', 'two']],
    ['rest', true, 'on'],
    ['rest', 'off', 'off'],
    ['allowEmpty', true, true],
    ['allowEmpty', 'false', false],
    ['logFormat', 'json', 'json'],
    ['maxReceiveBytes', '2147483647', 2_147_483_647],
  ])('%s of %j', (name, given, expected) => {
    const { options, problems } = resolveWith({ flags: { [name]: given } })
    expect(problems).toEqual([])
    expect(options?.[name as keyof ServeOptions]).toEqual(expected)
  })

  test.each<[string, unknown, RegExp]>([
    ['debounce', '50', /500ms, 2s or 1m30s, with its unit/],
    ['debounce', 50, /with its unit/],
    ['debounce', '-1s', /duration/],
    ['debounce', '1s 5', /duration/],
    ['debounce', '25h', /at most 24h/],
    ['keepaliveTime', '10ms', /at least 1s/],
    ['historyBytes', '64 MiBs', /64MiB/],
    ['historyBytes', '1', /at least 1MiB/],
    ['maxReceiveBytes', '2GiB', /at most 2147483647/],
    ['historyRevisions', '0', /at least 1/],
    ['historyRevisions', '1.5', /whole number/],
    ['historyRevisions', 'ten', /whole number/],
    ['listen', 'localhost', /host:port/],
    ['listen', '::1:18000', /\[::1\]:18000/],
    ['listen', 'a:99999', /host:port/],
    ['listen', '', /empty/],
    ['etcd', 'ftp://a', /http:\/\/10/],
    ['etcd', 'http://a:2379/v3', /http:\/\/10/],
    ['etcd', 'a,,b', /none of them empty/],
    ['etcd', 'http://root:hunter2@a:2379', /--etcd-password-file/],
    ['rest', 'maybe', /one of auto, on, off/],
    ['logLevel', 'trace', /one of debug/],
    ['allowEmpty', 'yes', /true or false/],
    ['tlsCert', 5, /a text/],
  ])('%s of %j is refused, naming the flag', (name, given, words) => {
    const resolved = resolveWith({ flags: { [name]: given } })
    expect(resolved.options).toBeUndefined()
    const problem = resolved.problems.find(({ path }) => path === name)
    expect(problem).toMatchObject({ severity: 'error', code: 'usage', origin: { name: flagOf(name) } })
    expect(problem?.fix).toMatch(words)
    expect(JSON.stringify(resolved.problems)).not.toContain('hunter2')
  })
})

describe('the options file', () => {
  test('has every type', () => {
    const { options, problems } = resolve({
      file: [
        'config: [a, b]',
        'etcd: http://e:2379',
        'staticNames: {cluster: [xds, zipkin], secret: ca}',
        'sotwResume: true',
        'drainTimeout: 0',
        'historyBytes: 5000000',
        'rest: off',
        'envoyApi: api.binpb',
      ].join('\n'),
    })
    expect(problems).toEqual([])
    expect(options).toMatchObject({
      config: ['a', 'b'],
      etcd: ['http://e:2379'],
      staticNames: { cluster: ['xds', 'zipkin'], secret: ['ca'] },
      sotwResume: true,
      drainTimeout: 0,
      historyBytes: 5_000_000,
      rest: 'off',
      envoyApi: 'api.binpb',
    })
  })

  test.each<[string, string, string]>([
    ['etcdPrefx: /x', 'error ./fairlead.yaml:1:1 There is no option `etcdPrefx`.', 'Did you mean `etcdPrefix`?'],
    ['etcd-prefix: /x', 'error ./fairlead.yaml:1:1 There is no option `etcd-prefix`.', 'Did you mean `etcdPrefix`?'],
    ['\nxyzzy: 1', 'error ./fairlead.yaml:2:1 There is no option `xyzzy`.', '--print-options'],
    ['debounce: 5', 'error ./fairlead.yaml:1:1 `debounce` cannot be used as it is given.', 'Give it a duration'],
    ['tlsCert:', 'error ./fairlead.yaml:1:1 `tlsCert` cannot be used', 'a value; it is empty'],
    ['staticNames: {clusters: [a]}', 'error ./fairlead.yaml:1:1 There is no type', 'Did you mean `cluster`?'],
    ['staticNames: [a]', 'error ./fairlead.yaml:1:1 `staticNames`', '{cluster: [xds]}'],
    ['staticNames: {cluster: [1]}', 'error ./fairlead.yaml:1:1 `staticNames`', '{cluster: [xds]}'],
    ['allowEmpty: on', 'error ./fairlead.yaml:1:1 `allowEmpty`', 'true or false'],
    ['debounce: 1s\ndebounce: 2s', 'error ./fairlead.yaml:2:1 Map keys must be unique.', 'YAML'],
    ['debounce: [', 'error ./fairlead.yaml:1:12', 'YAML'],
    ['- a', 'error ./fairlead.yaml:1:1 The options file is a map', 'listen: :18000'],
    ['listen: *x', 'error ./fairlead.yaml:1:1 An alias names no anchor', 'the value itself'],
    ['? [a]\n: 1', 'error ./fairlead.yaml:1:3 A key is no text.', '--print-options'],
  ])('%j is refused, naming the line', (file, message, fix) => {
    const [first = ''] = said(resolveWith({ file }))
    expect(first).toContain(message)
    expect(first).toContain(fix)
  })
})

describe('what does not go together', () => {
  test.each<[string, Record<string, unknown>, RegExp]>([
    ['a key without its certificate', { tlsKey: 'k' }, /^error --tls-key --tls-key means nothing without --tls-cert/],
    ['a certificate without its key', { tlsCert: 'c' }, /^error --tls-cert .*without --tls-key/],
    ['a client CA without a certificate', { tlsClientCa: 'c' }, /^error --tls-client-ca .*without --tls-cert/],
    ['an etcd certificate without its key', { etcd: 'https://a', etcdCert: 'c' }, /without --etcd-key/],
    ['an etcd key without its certificate', { etcd: 'https://a', etcdKey: 'c' }, /without --etcd-cert/],
    ['the name of a replica without etcd', { config: 'c', replicaId: 'a' }, /--replica-id means nothing/],
    [
      'the name of a replica that is no part of a key',
      { etcd: 'https://a', replicaId: 'a/b' },
      /part of a key in etcd/,
    ],
    ['an etcd user without a password', { etcd: 'https://a', etcdUser: 'c' }, /without --etcd-password-file/],
    ['an etcd password without a user', { etcd: 'a', etcdPasswordFile: 'c' }, /without --etcd-user/],
    ['an etcd CA without etcd', { etcdCa: 'c' }, /--etcd-ca means nothing without --etcd\./],
    ['an etcd CA with plain http', { etcd: 'https://a,http://b', etcdCa: 'c' }, /^error --etcd .*https/],
    ['debounce over its maximum', { debounce: '1s' }, /^error --debounce --debounce is longer/],
    ['one address for two servers', { admin: '127.0.0.1:18000' }, /^error --admin .*same address/],
    ['an option that is none', { etcdPrefx: 'a' }, /^error --etcd-prefx There is no option.*mean --etcd-prefix\?/],
    ['a flag for what only the file has', { staticNames: 'a' }, /^error --static-names There is no option/],
  ])('%s', (_, flags, expected) => {
    const resolved = resolveWith({ flags })
    expect(said(resolved)).toEqual([expect.stringMatching(expected)])
    expect(resolved.options).toBeUndefined()
  })

  test('no source at all', () => {
    expect(said(resolve({}))).toEqual([expect.stringMatching(/no source.*--config.*--etcd/)])
    expect(said(resolve({ file: 'config: []' }))).toEqual([expect.stringMatching(/no source/)])
    expect(resolve({ env: { FAIRLEAD_ETCD: 'a:1' } }).problems).toEqual([])
  })

  test('two servers may each take a free port', () => {
    expect(resolveWith({ flags: { listen: '127.0.0.1:0', admin: '127.0.0.1:0' } }).problems).toEqual([])
  })

  test('a value that cannot be read is not taken for absent', () => {
    expect(said(resolve({ flags: { etcd: 'ftp://a', etcdUser: 'u', etcdPasswordFile: 'p' } }))).toHaveLength(1)
  })

  test('a misspelt variable is a warning, and the variables of others are none', () => {
    const { options, problems } = resolveWith({
      env: { FAIRLEAD_ETCD_PREFX: '/x', FAIRLEAD_PORT: 'tcp://1:2', FAIRLEAD_OPTIONS: 'x', HOME: '/' },
    })
    expect(said({ problems } as ResolvedOptions)).toEqual([
      expect.stringMatching(/^warning FAIRLEAD_ETCD_PREFX .*mean FAIRLEAD_ETCD_PREFIX\?$/),
    ])
    expect(options).toBeDefined()
  })

  test('everything that is wrong is said at once', () => {
    const resolved = resolve({ flags: { listen: 'x' }, env: { FAIRLEAD_DEBOUNCE: '1' }, file: 'admn: :1\ntlsKey: k' })
    expect(resolved.problems.map(({ origin }) => formatOrigin(origin))).toEqual([
      '--listen',
      'FAIRLEAD_DEBOUNCE',
      './fairlead.yaml:1:1',
      './fairlead.yaml:2:1',
      'fairlead serve',
    ])
  })
})

describe('serve --print-options', () => {
  const given: Layers = {
    flags: { config: ['a b', 'c: d'], listen: ':18000', debounceMax: '1m30s250ms', tlsCert: 'c', tlsKey: 'on' },
    env: { FAIRLEAD_ALLOW_EMPTY: '1', FAIRLEAD_REST: 'off', FAIRLEAD_HISTORY_BYTES: '5000001' },
    file: 'staticNames: {cluster: [xds, "1"]}\n',
  }

  test('prints every option and where it came from', () => {
    const { options, origins } = resolve(given)
    const printed = printOptions(options as ServeOptions, origins)
    for (const { name } of optionTable) expect(printed).toContain(`${name}: `)
    expect(printed).toContain('listen: 0.0.0.0:18000  # --listen\n')
    expect(printed).toContain('allowEmpty: true  # FAIRLEAD_ALLOW_EMPTY\n')
    expect(printed).toContain('staticNames: {cluster: [xds, "1"]}  # ./fairlead.yaml:1:1\n')
    expect(printed).toContain('historyRevisions: 100  # default\n')
    expect(printed).toContain('debounceMax: 1m30s250ms  # --debounce-max\n')
    expect(printed).toContain('# etcdCa: not set\n')
  })

  test('what it prints is an options file that means the same', () => {
    const { options, origins } = resolve(given)
    const again = resolve({ file: printOptions(options as ServeOptions, origins) })
    expect(again.problems).toEqual([])
    expect(again.options).toEqual(options)
  })
})

describe('the table', () => {
  test('has every option once, with words for help', () => {
    const names = optionTable.map(({ name }) => name)
    expect(new Set(names).size).toBe(names.length)
    for (const { description, type, placeholder, isFileOnly } of optionTable) {
      expect(description).not.toMatch(/\.$|^$/)
      expect(placeholder === '').toBe(type === 'switch' || isFileOnly === true)
    }
  })

  test('every default passes its own check, and is what it is read as', () => {
    const defaults = resolveWith({})
    const printed = printOptions(defaults.options as ServeOptions, defaults.origins)
    expect(resolve({ file: printed }).options).toEqual(defaults.options)
  })

  test('names flags and variables', () => {
    expect(flagOf('etcdPasswordFile')).toBe('--etcd-password-file')
    expect(variableOf('etcdPasswordFile')).toBe('FAIRLEAD_ETCD_PASSWORD_FILE')
  })
})

test.each<['auto' | 'on' | 'off', string, boolean]>([
  ['auto', '127.0.0.1:1', true],
  ['auto', '0.0.0.0:1', false],
  ['on', '0.0.0.0:1', true],
  ['off', '127.0.0.1:1', false],
])('REST %s on %s: %s', (rest, admin, expected) => {
  expect(servesRest({ rest, admin })).toBe(expected)
})

test.each<[Record<string, unknown>, Record<string, string>, string, boolean]>([
  [{}, {}, './fairlead.yaml', false],
  [{ options: 'a.yaml' }, { FAIRLEAD_OPTIONS: 'b.yaml' }, 'a.yaml', true],
  [{}, { FAIRLEAD_OPTIONS: 'b.yaml' }, 'b.yaml', true],
  [{}, { FAIRLEAD_OPTIONS: '' }, './fairlead.yaml', false],
])('the options file for %j and %j is %s', (flags, env, path, isNamed) => {
  expect(optionsFilePath({ flags, env })).toEqual({ path, isNamed })
})
