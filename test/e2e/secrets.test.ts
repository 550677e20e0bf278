import { randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { credentials } from '@grpc/grpc-js'
import { beforeAll, describe, expect, test } from 'vitest'
import { buildBootstrap } from '../../src/cli/bootstrap-config.ts'
import { fetchRest, nodes, problems, readiness, waitForProblems } from '../support/admin-client.ts'
import { type Certificate, createAuthority, writeCertificate } from '../support/certificates.ts'
import { runCommand } from '../support/command.ts'
import { startControlPlane, type TestControlPlane } from '../support/control-plane.ts'
import { createEtcdStore } from '../support/document-store.ts'
import {
  type Changes,
  cluster,
  httpFilter,
  type Json,
  listener,
  routesTo,
  secret,
  tlsBySecret,
  tlsCertificate,
  tlsSocket,
} from '../support/documents.ts'
import { startEnvoy } from '../support/envoy.ts'
import { startEtcd } from '../support/etcd.ts'
import { LeakDetector } from '../support/leak-detector.ts'
import { describeWithEnvoy, describeWithEtcd } from '../support/needs.ts'
import { eventually } from '../support/poll.ts'
import { tempDir } from '../support/temp.ts'
import { openStream, type Protocol, typeUrlOf, type WireStream } from '../support/wire-client.ts'

/** Everything secret of this file is known to it. */
const detector = new LeakDetector()

const certificates: Record<string, Certificate> = {}
const token = randomBytes(24).toString('base64url')

/** A certificate, and its key that must not turn up anywhere. */
const own = (name: string): Certificate => certificates[name] as Certificate

beforeAll(async () => {
  const authority = await createAuthority()
  for (const name of ['secret', 'bytes', 'cluster', 'listener', 'broken', 'edited', 'mismatched']) {
    certificates[name] = await authority.issue({ name })
    detector.add(name, own(name).key)
  }
  detector.add('token', token)
})

/** For the nodes of that `cluster` alone. */
function forNodes(name: string, changes: Changes): Changes {
  return Object.fromEntries(
    Object.entries(changes).map(([key, document]) => [key, { nodes: { cluster: name }, ...document }]),
  )
}

const staticCluster = { type: 'STATIC', eds_cluster_config: undefined }

/** Secrets as they should be kept: resources of their own, for all nodes. */
function secrets(): Changes {
  const { certificate, key } = own('bytes')
  return {
    ...secret('by-text', { tls_certificate: tlsCertificate(own('secret')) }),
    ...secret('by-bytes', {
      tls_certificate: {
        certificate_chain: { inline_string: certificate },
        private_key: { inline_bytes: Buffer.from(key).toString('base64') },
      },
    }),
    ...secret('token', { generic_secret: { secret: { inline_string: token } } }),
  }
}

/** Secrets within other resources, for the nodes `inline`. */
function inlineSecrets(): Changes {
  const tls = { common_tls_context: { tls_certificates: [tlsCertificate(own('cluster'))] } }
  return forNodes('inline', {
    ...cluster('inline', { ...staticCluster, transport_socket: tlsSocket('Upstream', tls) }),
    ...listener('inline', {
      routes: { route_config: routesTo('plain') },
      tls: { tls_certificates: [tlsCertificate(own('listener'))] },
      filters: [
        {
          name: 'envoy.filters.http.basic_auth',
          typed_config: httpFilter('basic_auth.v3.BasicAuth', { users: { inline_string: `user:{SHA}${token}` } }),
        },
      ],
    }),
  })
}

/** For everybody, and no secret: what shows that the others can be read. */
function plain(): Changes {
  return {
    ...cluster('plain', staticCluster),
    ...listener('by-name', { routes: { route_config: routesTo('plain') }, tls: tlsBySecret('by-text') }),
  }
}

/** What people do to a document that holds a key. */
function brokenTexts(): Readonly<Record<string, string>> {
  const { certificate, key } = own('broken')
  const indented = (text: string, by: number): string => text.trimEnd().replaceAll(/^/gm, ' '.repeat(by))
  const type = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret'
  const document = (inner: string): string => `'@type': ${type}\nname: broken\ntls_certificate:\n${inner}\n`
  return {
    'unknown-field': document(`  privat_key: {inline_string: ${JSON.stringify(key)}}`),
    'wrong-type': document(`  private_key: ${JSON.stringify(key)}`),
    'as-name': `'@type': ${type}\nname: [${JSON.stringify(key)}]\n`,
    'as-bytes': document(`  private_key: {inline_bytes: ${JSON.stringify(key)}}`),
    'not-indented': `${document('  private_key:\n    inline_string: |')}${key}`,
    'indented-otherwise': document(
      `  private_key:\n    inline_string: |\n${indented(key, 6).replace(/^ {6}(?=\S+\n *-----END)/m, '   ')}`,
    ),
    'no-block': document(`  private_key:\n    inline_string: ${key.trimEnd()}`),
    'as-key': document(`  private_key:\n    ${key.split('\n')[1]}: inline_string`),
    'no-quote': document(`  private_key: {inline_string: "${key.replaceAll('\n', '\\n')}`),
    'as-file-name': document(
      `  certificate_chain: {inline_string: ${JSON.stringify(certificate)}}\n  private_key: {filename: ${JSON.stringify(key)}, x: 1}`,
    ),
    'as-selector': `nodes: {cluster: {a: ${JSON.stringify(key)}}}\nresources: []\n`,
    'as-type': `'@type': ${JSON.stringify(key)}\nname: x\n`,
    'as-extension': `kind: ${JSON.stringify(key)}\n`,
    alone: key,
  }
}

function writeTexts(config: string, texts: Readonly<Record<string, string>>): void {
  mkdirSync(config, { recursive: true })
  for (const [name, text] of Object.entries(texts)) writeFileSync(join(config, `${name}.yaml`), text)
}

function textsOf(changes: Changes): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(changes).map(([key, document]) => [key.replaceAll('/', '-'), JSON.stringify(document)]),
  )
}

/** All that a server of that history wrote or tells: by where it stands. REST xDS, which is how clients get secrets, apart. */
async function everythingSaid(server: TestControlPlane, snapshots: string): Promise<Map<string, Uint8Array | string>> {
  const said = new Map<string, Uint8Array | string>([['the log', server.log()]])
  const get = async (path: string): Promise<string> => {
    const response = await fetch(`${server.adminUrl}${path}`)
    const text = await response.text()
    said.set(`GET ${path}`, `${[...response.headers].join('\n')}\n${text}`)
    return text
  }
  for (const path of ['/ready', '/healthz', '/metrics', '/api/nodes', '/api/problems']) await get(path)
  const { revisions } = JSON.parse(await get('/api/snapshots')) as { revisions: readonly { revision: number }[] }
  const numbers = revisions.map(({ revision }) => revision)
  for (const number of numbers) await get(`/api/snapshots/${number}`)
  for (const from of numbers) for (const to of numbers) await get(`/api/snapshots/${from}/diff/${to}`)
  const commands = [
    ['nodes'],
    ['snapshots', 'list'],
    ['snapshots', 'show'],
    ['snapshots', 'diff', String(numbers.at(-1))],
  ]
  for (const command of commands) {
    for (const form of [[], ['--json']]) {
      const args = [...command, ...form, '--server', server.adminUrl]
      const { out, err } = await runCommand(args)
      said.set(`fairlead ${args.join(' ')}`, out + err)
    }
  }
  for (const file of readdirSync(snapshots)) {
    const path = join(snapshots, file)
    if (!statSync(path).isFile()) continue
    expect(statSync(path).mode & 0o777, file).toBe(0o600)
    said.set(file, readFileSync(path))
  }
  return said
}

function expectNoLeak(said: ReadonlyMap<string, Uint8Array | string>): void {
  const leaks = [...said].map(([place, content]) => [place, ...detector.foundIn(content)])
  expect(leaks.filter(([, ...found]) => found.length > 0)).toEqual([])
}

/** Asks for everything as a node of that `cluster` does: `[cluster]`, `[secret, token]`. */
function ask(
  server: TestControlPlane,
  protocol: Protocol,
  cluster: string,
  ...types: readonly (readonly [string, ...string[]])[]
): WireStream {
  const stream = openStream({ port: server.xdsPort, protocol })
  for (const [type, ...names] of types) {
    stream.send({
      node: { id: `${cluster}-1`, cluster },
      type_url: typeUrlOf(type),
      ...(protocol === 'sotw' ? { resource_names: names } : { resource_names_subscribe: names }),
    })
  }
  return stream
}

describe('a private key', () => {
  test('is in no file of the history, no answer of the API, no output and no line of the log', async () => {
    const config = join(tempDir(), 'config')
    const snapshots = tempDir()
    writeTexts(config, textsOf({ ...plain(), ...secrets(), ...inlineSecrets() }))
    const server = await startControlPlane({ config: [config], snapshots, logLevel: 'debug', debounce: '0s' })
    await server.pipeline.ready
    expect(server.pipeline.problems).toEqual([])

    // Clients get it: it is there to be leaked.
    for (const protocol of ['sotw', 'delta'] as const) {
      const names = Object.keys(secrets()).map((key) => key.slice('secret/'.length))
      const client = ask(server, protocol, 'inline', ['cluster'], ['listener'], ['secret', ...names])
      const answers = [await client.next(), await client.next(), await client.next()]
      const sent = answers.flatMap(({ resources }) => resources.flatMap(({ bytes }) => detector.foundIn(bytes ?? '')))
      expect([...new Set(sent)].sort()).toEqual(['bytes', 'cluster', 'listener', 'secret', 'token'])
      // Not every client is as careful with what it quotes as Envoy is.
      for (const { typeUrl, nonce, resources } of answers) {
        const quoted = resources.map(({ bytes }) => Buffer.from(bytes ?? '').toString()).join(' ')
        const message = `Proto constraint validation failed (field: bad): ${quoted} ${own('listener').key}`
        client.send({ type_url: typeUrl, response_nonce: nonce, error_detail: { code: 3, message } })
      }
      await client.probe()
    }

    writeTexts(config, textsOf(secret('by-text', { tls_certificate: tlsCertificate(own('edited')) })))
    await eventually(() => server.pipeline.revision === 2)
    writeTexts(config, brokenTexts())
    await eventually(async () => (await problems(server.adminUrl)).length >= Object.keys(brokenTexts()).length)
    // The first words of a history are written at once, and its last when it is closed.
    const said = await everythingSaid(server, snapshots)
    expect(said.get('the log')).toContain('"response sent"')
    expect(said.get('GET /api/nodes')).toContain('constraint validation failed')
    expect(said.get('GET /api/snapshots/2')).toContain('"by-bytes"')
    expect(said.get('GET /api/snapshots/1/diff/2')).toContain('"by-text"')
    expectNoLeak(said)

    await server.close()
    const files = readdirSync(snapshots).filter((name) => name.endsWith('.log'))
    expect(files).not.toEqual([])
    for (const name of files) {
      const content = readFileSync(join(snapshots, name))
      expect(content.toString('latin1')).toContain('by-text')
      expect(detector.foundIn(content)).toEqual([])
    }
  })

  test('is in nothing that validate says of a document that is broken around it', async () => {
    const config = join(tempDir(), 'config')
    writeTexts(config, brokenTexts())
    for (const form of [[], ['--json']]) {
      const { code, out, err } = await runCommand(['validate', config, ...form])
      expect(code).toBe(1)
      for (const name of Object.keys(brokenTexts())) expect(out).toContain(`${name}.yaml`)
      expect(detector.foundIn(out + err)).toEqual([])
    }
  })
})

describeWithEnvoy('a certificate whose key does not fit', (binary) => {
  const misfit = (): Json => ({
    ...tlsCertificate({ ...own('mismatched'), certificate: own('secret').certificate }),
  })

  test.each(['sotw', 'delta'] as const)('is rejected by Envoy over %s, and its key is not told', async (protocol) => {
    const config = join(tempDir(), 'config')
    const snapshots = tempDir()
    const tls = { common_tls_context: { tls_certificates: [misfit()] } }
    writeTexts(
      config,
      textsOf({
        ...plain(),
        ...secret('by-text', { tls_certificate: misfit() }),
        ...cluster('inline', { ...staticCluster, transport_socket: tlsSocket('Upstream', tls) }),
      }),
    )
    const server = await startControlPlane({ config: [config], snapshots, logLevel: 'debug' })
    await startEnvoy({
      bootstrap: buildBootstrap({ id: 'edge-1', cluster: 'edge', server: server.server, delta: protocol === 'delta' }),
    })
    const types = await eventually(async () => {
      const found = (await nodes(server.adminUrl))[0]?.types ?? {}
      for (const type of ['secret', 'cluster'])
        if (found[type]?.nacked === undefined) throw new Error(`no NACK of ${type}`)
      return found
    })
    for (const type of ['secret', 'cluster']) expect(types[type]?.nacked?.message).toContain('KEY_VALUES_MISMATCH')
    expectNoLeak(await everythingSaid(server, snapshots))
  })

  test('is refused by validate --envoy, which does not tell it', async () => {
    const config = join(tempDir(), 'config')
    const tls = { common_tls_context: { tls_certificates: [misfit()] } }
    writeTexts(config, textsOf(cluster('inline', { ...staticCluster, transport_socket: tlsSocket('Upstream', tls) })))
    const { code, out, err } = await runCommand(['validate', config, '--envoy', binary])
    expect(code).toBe(1)
    expect(out).toContain('KEY_VALUES_MISMATCH')
    expect(detector.foundIn(out + err)).toEqual([])
  })
})

describeWithEtcd('a server whose etcd cannot be read after a restart', () => {
  test('neither answers nor removes a secret, nor answers nodes whose configuration has a key in it', async () => {
    const etcd = await startEtcd()
    const store = createEtcdStore(etcd)
    await store.write({ ...plain(), ...secrets(), ...inlineSecrets() })
    const flags = { ...store.flags, snapshots: tempDir() }
    const first = await startControlPlane(flags)
    await first.pipeline.ready
    const before = await ask(first, 'delta', 'edge', ['secret', 'by-text', 'token']).next()
    expect(before.resources).toHaveLength(2)
    await first.close()
    await etcd.stop()

    const server = await startControlPlane(flags)
    await server.pipeline.ready
    expect(await readiness(server.adminUrl)).toMatchObject({
      status: 200,
      serving: 'last good',
      withheld: [
        {
          group: expect.stringContaining('cluster=inline'),
          reasons: [expect.stringContaining('keys'), expect.anything()],
        },
      ],
    })
    const clients: Readonly<Record<string, WireStream>> = {
      sotw: ask(server, 'sotw', 'edge', ['secret', 'by-text', 'token']),
      delta: ask(server, 'delta', 'edge', ['secret', 'by-text', 'token']),
    }
    const versions = Object.fromEntries(before.resources.map(({ name, version }) => [name, version]))
    const back = openStream({ port: server.xdsPort, protocol: 'delta' })
    back.send({
      node: { id: 'edge-2', cluster: 'edge' },
      type_url: typeUrlOf('secret'),
      resource_names_subscribe: ['by-text', 'token'],
      initial_resource_versions: versions,
    })
    const inline = ask(server, 'delta', 'inline', ['cluster'], ['listener'], ['secret', 'token'])
    for (const client of [...Object.values(clients), back]) {
      await client.probe()
      expect(client.pending()).toEqual([])
    }
    expect(await fetchRest(server.adminUrl, 'secrets', 'edge', { resource_names: ['token'] })).toMatchObject({
      body: { resources: [] },
    })
    expect(await fetchRest(server.adminUrl, 'clusters', 'inline')).toMatchObject({ status: 503 })
    // What has no key is served.
    expect((await ask(server, 'sotw', 'edge', ['cluster']).next()).resources.map(({ name }) => name)).toEqual(['plain'])
    expect(inline.received).toEqual([])

    await etcd.start()
    for (const client of Object.values(clients)) {
      const { resources, removed } = await client.next(15_000)
      expect(removed).toEqual([])
      expect(resources.map(({ name }) => name)).toEqual(['by-text', 'token'])
      expect([...new Set(resources.flatMap(({ bytes }) => detector.foundIn(bytes ?? '')))].sort()).toEqual([
        'secret',
        'token',
      ])
    }
    expect((await inline.next()).resources.map(({ name }) => name)).toEqual(['inline', 'plain'])
    // Nobody knows any more what this one said that it has: it may hear of it again, and of nothing else.
    await back.probe()
    for (const { resources, removed } of back.pending()) {
      expect(removed).toEqual([])
      expect(Object.fromEntries(resources.map(({ name, version }) => [name, version]))).toEqual(versions)
    }
    expect(await readiness(server.adminUrl)).toMatchObject({ serving: 'current', withheld: [] })
    await waitForProblems(server.adminUrl, [])
  })
})

describe('beyond this machine', () => {
  const start = async (flags: Readonly<Record<string, unknown>> = {}): Promise<TestControlPlane> => {
    const config = join(tempDir(), 'config')
    writeTexts(config, textsOf({ ...plain(), ...secrets(), ...inlineSecrets() }))
    const server = await startControlPlane({ config: [config], listen: '0.0.0.0:0', ...flags })
    await server.pipeline.ready
    return server
  }

  test('nothing secret is sent without TLS, and who asks for it is told of in the log and the API', async () => {
    const server = await start({ admin: '0.0.0.0:0', rest: 'on' })
    for (const protocol of ['sotw', 'delta'] as const) {
      const edge = ask(server, protocol, 'edge', ['secret', 'by-text', 'token'], ['cluster'])
      expect((await edge.next()).resources.map(({ name }) => name)).toEqual(['plain'])
      const inline = ask(server, protocol, 'inline', ['cluster'])
      await inline.probe()
      // Over SotW a list without it would delete it, so that there is none.
      const names = inline.pending().flatMap(({ resources }) => resources.map(({ name }) => name))
      expect(names).toEqual(protocol === 'sotw' ? [] : ['plain'])
      await edge.probe()
      expect(edge.pending()).toEqual([])
    }
    const warnings = (await nodes(server.adminUrl)).flatMap((node) => node.warnings)
    expect(warnings).toContainEqual(expect.stringMatching(/by-text, token.*--allow-plaintext-secrets/))
    expect(server.log()).toMatch(/by-text, token.*--allow-plaintext-secrets/)
    for (const what of ['secrets', 'clusters', 'listeners']) {
      const answer = JSON.stringify(await fetchRest(server.adminUrl, what, 'inline', { resource_names: ['*'] }))
      expect(detector.foundIn(answer)).toEqual([])
    }
  })

  test('it is sent over TLS, or where --allow-plaintext-secrets says so', async () => {
    const authority = await createAuthority()
    const files = writeCertificate(tempDir(), 'server', await authority.issue({ name: 'server' }))
    const overTls = await start({ tlsCert: files.certificate, tlsKey: files.key })
    const insecure = await start({ allowPlaintextSecrets: true })
    for (const { xdsPort, tls } of [
      { xdsPort: overTls.xdsPort, tls: credentials.createSsl(Buffer.from(authority.certificate)) },
      { xdsPort: insecure.xdsPort, tls: credentials.createInsecure() },
    ]) {
      const client = openStream({ port: xdsPort, protocol: 'delta', credentials: tls })
      client.send({
        node: { id: 'edge-1', cluster: 'edge' },
        type_url: typeUrlOf('secret'),
        resource_names_subscribe: ['token'],
      })
      expect((await client.next()).resources.flatMap(({ bytes }) => detector.foundIn(bytes ?? ''))).toEqual(['token'])
    }
  })
})
