import { type IncomingHttpHeaders, request } from 'node:http'
import { beforeEach, describe, expect, test } from 'vitest'
import { atTestEnd } from '../../test/support/at-test-end.ts'
import { envoyApi, resource, routeTo } from '../../test/support/resource.ts'
import { tempDir } from '../../test/support/temp.ts'
import { createSnapshotCache } from '../cache/snapshot-cache.ts'
import type { Problem } from '../errors.ts'
import { silentLog } from '../log.ts'
import { createMetrics } from '../metrics.ts'
import { fairleadVersion } from '../own-version.ts'
import { nodeOfJson } from '../resource/node.ts'
import type { Resource } from '../resource/resource.ts'
import { resourceTypes } from '../resource/type-url.ts'
import { HistoryDirectory } from '../snapshot/history/directory.ts'
import { createHistory, type History } from '../snapshot/store.ts'
import type { Unit } from '../snapshot/world.ts'
import { versionReport } from '../version-report.ts'
import { StatusRecorder } from '../xds/status.ts'
import { type AdminDeps, type AdminServer, createAdminServer, type Readiness } from './server.ts'

interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  /** Undefined where the body is no JSON. */
  readonly json: unknown
}

interface Asking {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: unknown
}

/** With node's own client: `fetch` would not send another Host. */
function ask(port: number, path: string, { method = 'GET', headers = {}, body }: Asking = {}): Promise<Answer> {
  const sent = body === undefined || typeof body === 'string' ? body : JSON.stringify(body)
  const type = body === undefined ? {} : { 'content-type': 'application/json' }
  return new Promise((resolve, reject) => {
    const call = request({ port, host: '127.0.0.1', path, method, headers: { ...type, ...headers } }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk
      })
      response.on('end', () => {
        let json: unknown
        try {
          json = JSON.parse(text)
        } catch {
          json = undefined
        }
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text, json })
      })
    })
    call.on('error', reject)
    call.end(sent)
  })
}

function unit(key: string, ...resources: readonly Resource[]): Unit {
  const origin = { name: `${key}.yaml`, line: 1, column: 1 }
  return { key, origin, selectors: [{ cluster: 'edge' }], resources }
}

const broken: Problem = {
  severity: 'error',
  code: 'syntax',
  origin: { name: 'a.yaml', line: 4, column: 3 },
  path: 'resources[0]',
  message: 'It is none.',
  fix: 'Mend it.',
}

interface Bed {
  readonly port: number
  readonly admin: AdminServer
  readonly readiness: { -readonly [K in keyof Readiness]: Readiness[K] }
  readonly cache: ReturnType<typeof createSnapshotCache>
  readonly status: StatusRecorder
  readonly history: History
  /** As `http://127.0.0.1` sees it. */
  readonly get: (path: string) => Promise<Answer>
}

async function bed(more: Partial<AdminDeps> = {}): Promise<Bed> {
  const readiness = { isReady: false, isServingRestored: false, sources: [], problems: [], revision: 0 }
  const cache = createSnapshotCache()
  const metrics = createMetrics()
  const status = new StatusRecorder(metrics)
  const history = await createHistory({ place: new HistoryDirectory(tempDir()), api: envoyApi, log: silentLog })
  atTestEnd(() => history.close())
  const rest = { cache, api: envoyApi, isSecure: true }
  const deps = { readiness, cache, status, history, metrics, rest, version: {}, log: silentLog, ...more }
  const admin = await createAdminServer(deps, { host: '127.0.0.1', port: 0 })
  atTestEnd(() => admin.close())
  return { port: admin.port, admin, readiness, cache, status, history, get: (path) => ask(admin.port, path) }
}

const edge = nodeOfJson({ id: 'edge-1', cluster: 'edge', user_agent_name: 'envoy', user_agent_version: '1.40.0' })

describe('/ready', () => {
  test('is 503 until every source was read, and then 200', async () => {
    const { get, readiness } = await bed()
    readiness.sources = [{ name: './config', state: 'waiting', documents: 0 }]
    expect(await get('/ready')).toMatchObject({
      status: 503,
      json: { ready: false, serving: 'nothing yet', sources: [{ name: './config', state: 'waiting', documents: 0 }] },
    })
    readiness.isReady = true
    readiness.revision = 7
    expect(await get('/ready')).toMatchObject({ status: 200, json: { ready: true, serving: 'current', revision: 7 } })
  })

  test('is 200 while the last good serves, and says so', async () => {
    const { get, readiness } = await bed()
    Object.assign(readiness, { isReady: true, isServingRestored: true })
    expect(await get('/ready')).toMatchObject({ status: 200, json: { ready: true, serving: 'last good' } })
  })

  test('names the groups that are withheld and what is left out, and counts the errors', async () => {
    const { get, readiness, cache } = await bed()
    Object.assign(readiness, { isReady: true, problems: [broken, { ...broken, severity: 'warning' }] })
    const withheld = { ...broken, code: 'withheld', message: 'no answer to nodes cluster=edge' } as const
    cache.apply({ upserted: [], removed: [], withheld: [{ selectors: [{ cluster: 'edge' }], problem: withheld }] })
    const part = { ...broken, severity: 'warning', code: 'withheld', message: 'No client gets it.' } as const
    Object.assign(readiness, { problems: [...readiness.problems, part] })
    expect(await get('/ready')).toMatchObject({
      status: 200,
      json: {
        errors: 1,
        leftOut: [expect.stringMatching(/^\S+: No client gets it\.$/)],
        withheld: [{ group: 'cluster=edge', reasons: [expect.stringContaining('no answer to nodes cluster=edge')] }],
      },
    })
  })

  test('is 503 again while the server drains', async () => {
    const { get, readiness, admin } = await bed()
    readiness.isReady = true
    admin.drain()
    expect(await get('/ready')).toMatchObject({
      status: 503,
      json: { ready: false, draining: true, serving: 'current' },
    })
    expect((await get('/healthz')).status).toBe(200)
  })
})

test('/healthz is 200 from the first moment', async () => {
  const { get } = await bed()
  expect(await get('/healthz')).toMatchObject({ status: 200, json: { ok: true } })
})

describe('/metrics', () => {
  test('is text that Prometheus takes, every family with help and type', async () => {
    const metrics = createMetrics()
    metrics.nacks.cell({ type: 'cluster' }).value++
    metrics.sourceUp.set({ source: 'a "quoted" \\ name' }, 1)
    const { get } = await bed({ metrics })
    const { status, headers, text } = await get('/metrics')
    expect([status, headers['content-type']]).toEqual([200, expect.stringMatching(/^text\/plain; version=0\.0\.4/)])
    const families = parseMetrics(text)
    expect(families.get('fairlead_nacks_total')).toEqual({ type: 'counter', samples: 1 })
    expect(families.get('fairlead_ack_seconds')?.type).toBe('histogram')
    expect(families.get('process_cpu_user_seconds_total')).toBeDefined()
  })

  test('say what the server is', async () => {
    const { get } = await bed()
    const { text } = await get('/metrics')
    const line = /^fairlead_build_info\{(.*)\} 1$/m.exec(text)?.[1]
    // The sources that a test runs from may differ from what was built last.
    expect(line).toBe(`version="${fairleadVersion}",commit="unknown",node="${process.version}"`)
  })
})

describe('/api/version', () => {
  test('says what the server is', async () => {
    const version = { ...versionReport(envoyApi) }
    const { get } = await bed({ version })
    const { status, json } = await get('/api/version')
    expect([status, json]).toEqual([200, version])
  })
})

describe('/api/replicas', () => {
  test('tells who serves from the same etcd, as it is at that moment', async () => {
    const replicas = { self: 'a', leader: null as string | null, replicas: [] }
    const { get } = await bed({ replicas: () => ({ ...replicas }) })
    expect((await get('/api/replicas')).json).toEqual({ self: 'a', leader: null, replicas: [] })
    replicas.leader = 'a'
    expect(await get('/api/replicas')).toMatchObject({ status: 200, json: { leader: 'a' } })
  })

  test('tells of a server without etcd that it has none', async () => {
    const { get } = await bed()
    expect((await get('/api/replicas')).json).toEqual({ self: null, leader: null, replicas: [] })
  })
})

describe('/api/nodes', () => {
  test('lists who is connected, with what each was sent, accepted and rejected, in the words of the Envoy', async () => {
    const { get, status } = await bed()
    expect((await get('/api/nodes')).json).toEqual({ nodes: [] })
    const stream = status.open({ streamId: 1, protocol: 'delta', peer: '127.0.0.1:5' })
    stream.joined(edge, 'cluster=edge')
    const type = stream.typeOf(resourceTypes.cluster.typeUrl)
    type.asked(0, true)
    type.sent('v1', 2, 9)
    type.nacked('v1', 'ring hash: too small')
    expect((await get('/api/nodes')).json).toMatchObject({
      nodes: [
        {
          id: 'edge-1',
          cluster: 'edge',
          group: 'cluster=edge',
          protocol: 'delta',
          userAgent: 'envoy 1.40.0',
          types: {
            cluster: { sent: 'v1', isWildcard: true, nacked: { version: 'v1', message: 'ring hash: too small' } },
          },
        },
      ],
    })
  })
})

describe('/api/snapshots', () => {
  let server: Bed
  beforeEach(async () => {
    server = await bed()
  })

  /** Revision 1: cluster a. Revision 2: cluster a of another form, and a route to it. */
  const twoRevisions = (): void => {
    const { history } = server
    history.append({
      upserted: [unit('a', resource('cluster', 'a', 1))],
      removed: [],
      cause: { documents: ['a.yaml'] },
    })
    const [next, route] = [unit('a', resource('cluster', 'a', 2)), unit('r', routeTo('r', 'a'))]
    history.append({ upserted: [next, route], removed: [], cause: { documents: ['a.yaml', 'r.yaml'] } })
  }

  test('lists the revisions, newest first', async () => {
    expect((await server.get('/api/snapshots')).json).toEqual({ revisions: [] })
    twoRevisions()
    expect((await server.get('/api/snapshots')).json).toMatchObject({
      revisions: [
        { revision: 2, documents: { count: 2, names: ['a.yaml', 'r.yaml'] } },
        { revision: 1, documents: { count: 1 }, counts: [{ word: 'cluster', added: 1, changed: 0, removed: 0 }] },
      ],
    })
  })

  test('shows one, by its number or as the latest', async () => {
    twoRevisions()
    expect((await server.get('/api/snapshots/1')).json).toMatchObject({
      revision: 1,
      inForce: [
        {
          place: 'a.yaml:1:1',
          nodes: [{ cluster: 'edge' }],
          resources: [{ type: 'cluster', name: 'a', resource: { name: 'a', connect_timeout: '1s' } }],
        },
      ],
    })
    expect((await server.get('/api/snapshots/latest')).json).toMatchObject({ revision: 2 })
  })

  test('shows what differs between two', async () => {
    twoRevisions()
    expect((await server.get('/api/snapshots/1/diff/latest')).json).toMatchObject({
      from: { revision: 1 },
      to: { revision: 2 },
      types: [
        {
          type: 'cluster',
          changed: [
            { before: { resource: { connect_timeout: '1s' } }, after: { resource: { connect_timeout: '2s' } } },
          ],
        },
        { type: 'route', added: [{ name: 'r', place: expect.any(String) }] },
      ],
    })
    expect((await server.get('/api/snapshots/2/diff/2')).json).toMatchObject({ types: [] })
  })

  test('shows no secret', async () => {
    const secret = resource('secret', 's', { generic_secret: { secret: { inline_string: 'hunter2' } } })
    server.history.append({ upserted: [unit('s', secret)], removed: [], cause: { documents: ['s.yaml'] } })
    const { text } = await server.get('/api/snapshots/latest')
    expect(text).toContain('[redacted]')
    expect(text).not.toContain('hunter2')
  })

  test.each(['/api/snapshots/1', '/api/snapshots/latest', '/api/snapshots/1/diff/2'])(
    '%s, before there is any, is 404 that says so',
    async (path) => {
      expect(await server.get(path)).toMatchObject({
        status: 404,
        json: { message: 'no revision yet: nothing has been in force' },
      })
    },
  )

  test.each([
    ['/api/snapshots/3', '3'],
    ['/api/snapshots/0x1', '0x1'],
    ['/api/snapshots/-1', '-1'],
    ['/api/snapshots/newest', 'newest'],
    ['/api/snapshots/1/diff/9', '9'],
    ['/api/snapshots/9/diff/1', '9'],
  ])('%s is 404 that says which are kept', async (path, named) => {
    twoRevisions()
    expect(await server.get(path)).toMatchObject({
      status: 404,
      json: { message: `no revision ${named}; revisions 1 to 2 are kept` },
    })
  })
})

test('/api/problems has all that is wrong, each with its place as people write it', async () => {
  const { get, readiness } = await bed()
  expect((await get('/api/problems')).json).toEqual({ problems: [] })
  readiness.problems = [broken]
  expect((await get('/api/problems')).json).toEqual({ problems: [{ ...broken, place: 'a.yaml:4:3' }] })
})

describe('REST xDS', () => {
  const node = { id: 'edge-1', cluster: 'edge' }

  test.each(
    Object.values(resourceTypes)
      .filter(({ rest }) => rest !== undefined)
      .map(({ word, rest }) => [rest as string, word as 'cluster']),
  )('is at %s', async (path, word) => {
    const { port, cache } = await bed()
    cache.apply({ upserted: [unit('u', resource(word, 'one'))], removed: [], withheld: [] })
    const first = await ask(port, path, { method: 'POST', body: { node } })
    expect(first).toMatchObject({ status: 200, json: { type_url: resourceTypes[word].typeUrl, resources: [{}] } })
    const { version_info } = first.json as { version_info: string }
    expect(await ask(port, path, { method: 'POST', body: { node, version_info } })).toMatchObject({
      status: 304,
      text: '',
    })
  })

  const path = '/v3/discovery:clusters'
  test.each<[string, Asking, number, RegExp]>([
    ['nothing to serve yet', { method: 'POST', body: { node } }, 503, /see \/ready/],
    ['no node', { method: 'POST', body: {} }, 400, /node\.id/],
    ['no JSON', { method: 'POST', body: '{"node": ' }, 400, /JSON/],
    ['an empty body', { method: 'POST', body: '' }, 400, /empty/],
    [
      'a form',
      { method: 'POST', body: '{}', headers: { 'content-type': 'text/plain' } },
      415,
      /content-type: application\/json/,
    ],
    ['GET', {}, 405, /GET is not allowed at .*only POST/],
    ['PUT', { method: 'PUT', body: { node } }, 405, /only POST/],
  ])('%s', async (_, asking, status, message) => {
    const { port } = await bed()
    expect(await ask(port, path, asking)).toMatchObject({ status, json: { message: expect.stringMatching(message) } })
  })

  test('is not there where it is off, and says how to have it', async () => {
    const { port } = await bed({ rest: undefined as never })
    expect(await ask(port, path, { method: 'POST', body: { node } })).toMatchObject({
      status: 404,
      json: { message: expect.stringContaining('--rest on') },
    })
  })
})

describe('safety', () => {
  test.each(['evil.example', 'evil.example:18001', '127.0.0.1.evil.example', 'localhost.evil.example:80'])(
    'a page that had %s point here gets nothing (DNS rebinding)',
    async (host) => {
      const { port, readiness } = await bed()
      readiness.problems = [broken]
      for (const path of ['/ready', '/metrics', '/api/problems', '/nothing', '/v3/discovery:clusters']) {
        for (const method of ['GET', 'POST', 'OPTIONS']) {
          const answer = await ask(port, path, { method, headers: { host } })
          expect(answer.status, `${method} ${path}`).toBe(403)
          expect(answer.text).not.toContain('Mend it')
        }
      }
    },
  )

  test('no answer lets a page of another origin read it, nor is kept by a cache', async () => {
    const { port } = await bed()
    for (const method of ['GET', 'OPTIONS', 'POST']) {
      for (const path of ['/api/nodes', '/v3/discovery:clusters', '/nothing']) {
        const headers = { origin: 'http://evil.example', 'access-control-request-method': 'GET' }
        const answer = await ask(port, path, { method, headers })
        expect(Object.keys(answer.headers).filter((name) => name.startsWith('access-control-'))).toEqual([])
        expect(answer.headers['cache-control']).toBe('no-store')
      }
    }
  })

  const paths = [
    '/ready',
    '/healthz',
    '/metrics',
    '/api/version',
    '/api/nodes',
    '/api/replicas',
    '/api/problems',
    '/api/snapshots',
    '/api/snapshots/1',
  ]
  test.each([...paths, '/api/snapshots/1/diff/2'])('%s can be read only', async (path) => {
    const { port } = await bed()
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
      // Not read, so that not even this is its fault.
      const body = method.startsWith('P') ? '{"a":' : undefined
      const answer = await ask(port, path, { method, body })
      expect(answer, method).toMatchObject({ status: 405, headers: { allow: 'GET, HEAD' } })
      expect(answer.json).toEqual({ message: `${method} is not allowed at ${path}, only GET` })
    }
    expect((await ask(port, path, { method: 'HEAD' })).status).not.toBe(405)
  })

  test('what is not there is 404 that lists what is', async () => {
    const { get } = await bed()
    expect(await get('/api/node')).toMatchObject({
      status: 404,
      json: { message: expect.stringMatching(/nothing at \/api\/node; there is: \/ready, .*\/api\/nodes/) },
    })
  })

  test('a failure of ours is told to the log, and to the client only that it was one', async () => {
    const errors: unknown[] = []
    const log = { ...silentLog, error: (fields: unknown) => errors.push(fields) } as unknown as AdminDeps['log']
    const status = {
      nodes: () => {
        throw new Error('hunter2')
      },
    }
    const { get } = await bed({ log, status })
    const answer = await get('/api/nodes')
    expect(answer.status).toBe(500)
    expect(answer.text).not.toContain('hunter2')
    expect(errors).toMatchObject([{ err: { message: 'hunter2' }, url: '/api/nodes' }])
  })
})

test('an address that is taken is an error that says what to do', async () => {
  const { port, readiness, cache, status, history } = await bed()
  const deps = { readiness, cache, status, history, metrics: createMetrics(), version: {}, log: silentLog }
  await expect(createAdminServer(deps, { host: '127.0.0.1', port })).rejects.toMatchObject({
    code: 'io',
    message: expect.stringMatching(
      /^--admin 127\.0\.0\.1:\d+ cannot be listened on: another program listens there.*give another --admin$/,
    ),
  })
})

interface Family {
  readonly type: string
  samples: number
}

/**
 * Prometheus' text format, as strictly as its own checker where it matters.
 * @throws Error for a line that is none, a family without help and type, or a sample that is there twice
 */
function parseMetrics(text: string): ReadonlyMap<string, Family> {
  const helped = new Set<string>()
  const families = new Map<string, Family>()
  const seen = new Set<string>()
  expect(text.endsWith('\n')).toBe(true)
  for (const line of text.split('\n').filter((candidate) => candidate !== '')) {
    const comment = /^# (HELP|TYPE) ([a-zA-Z_:][\w:]*) (.+)$/.exec(line)
    if (comment !== null) {
      const [, kind, name = '', rest = ''] = comment
      if (kind === 'HELP') helped.add(name)
      else families.set(name, { type: rest, samples: 0 })
      continue
    }
    const label = '[a-zA-Z_]\\w*="(?:[^"\\\\\\n]|\\\\["\\\\n])*"'
    const sample = new RegExp(
      `^([a-zA-Z_:][\\w:]*)(\\{${label}(?:,${label})*\\})? (-?(?:\\d[\\d.]*(?:e[+-]?\\d+)?|Inf)|\\+Inf|NaN|Nan)$`,
    ).exec(line)
    if (sample === null) throw new Error(`no line of metrics: ${line}`)
    const [, name = '', labels = ''] = sample
    if (seen.has(`${name}${labels}`)) throw new Error(`twice: ${line}`)
    seen.add(`${name}${labels}`)
    const family = families.get(name) ?? families.get(name.replace(/_(?:bucket|sum|count)$/, ''))
    if (family === undefined) throw new Error(`no type: ${line}`)
    family.samples += 1
  }
  for (const name of families.keys()) if (!helped.has(name)) throw new Error(`no help: ${name}`)
  return families
}
