import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { formatProblems } from '../../src/cli/problem-text.ts'
import {
  fetchRest,
  nodes,
  problemCodes,
  problems,
  readiness,
  settledNode,
  waitForProblems,
} from '../support/admin-client.ts'
import { startBackend } from '../support/backend.ts'
import { createAuthority } from '../support/certificates.ts'
import { runCommand } from '../support/command.ts'
import { startControlPlane } from '../support/control-plane.ts'
import { createFileStore } from '../support/document-store.ts'
import { endpoints, routesTo } from '../support/documents.ts'
import { describeWithEnvoy } from '../support/needs.ts'
import { eventually } from '../support/poll.ts'
import { modificationsOf, shop, shopTypes, startLoadedEnvoy } from '../support/shop.ts'
import { tempDir } from '../support/temp.ts'
import { openStream, typeUrlOf } from '../support/wire-client.ts'

/** One way in which a document can be broken. */
interface Breakage {
  readonly text: string
  readonly file?: string
  /** What its author reads of it. */
  readonly told: string
  /** Whom it may concern, as far as can be read. */
  readonly nodes: string
}

const envoyType = 'type.googleapis.com/envoy.config'

/** By what is wrong with them; the document of each is for the nodes of that `cluster`. */
const breakages: Readonly<Record<string, Breakage>> = {
  syntax: {
    text: `nodes: {cluster: syntax}
resources:
- '@type': ${envoyType}.cluster.v3.Cluster
  name: syntax
  connect_timeout: 1s
   type: STATIC
`,
    told: `config/syntax.yaml:5:20 error: A second \`:\` on one line would be a map within a map, or the line is indented too far. (syntax)
  fix: Put quotes around a value that holds \`: \`, or mend the indentation.`,
    nodes: 'cluster=syntax',
  },
  'cut-off': {
    file: 'cut-off.json',
    text: `{"nodes": {"cluster": "cut-off"}, "resources": [{"@type": "${envoyType}.cluster.v3.Cluster", "name": "cut-o`,
    told: `config/cut-off.json:1:128 error: A quoted text is not closed. (syntax)
  fix: Put the closing quote where the text ends.`,
    nodes: 'every node',
  },
  'unknown-field': {
    text: `nodes: {cluster: unknown-field}
resources:
- '@type': ${envoyType}.cluster.v3.Cluster
  name: unknown-field
  load_assignment:
    cluster_name: unknown-field
    endpoints:
    - lb_endpoints:
      - endpoint: {address: {socket_address: {address: 127.0.0.1, port: 80}}}
`,
    told: `config/unknown-field.yaml:9:67 error: envoy.config.core.v3.SocketAddress has no field \`port\`. (unknown-field)
  at resources[0].load_assignment.endpoints[0].lb_endpoints[0].endpoint.address.socket_address.port
  fix: Did you mean \`port_value\`? If your Envoy is newer and has this field, \`fairlead api import $(which envoy)\` may know it.`,
    nodes: 'cluster=unknown-field',
  },
  'wrong-type': {
    text: `nodes: {cluster: wrong-type}
resources:
- '@type': ${envoyType}.cluster.v3.Cluster
  name: wrong-type
  connect_timeout: soon
`,
    told: `config/wrong-type.yaml:5:20 error: Expected a duration, not the text \`soon\`. (wrong-type)
  at resources[0].connect_timeout
  fix: Write seconds with an s, as in 0.25s.`,
    nodes: 'cluster=wrong-type',
  },
  'rule-violation': {
    text: `nodes: {cluster: rule-violation}
resources:
- '@type': ${envoyType}.cluster.v3.Cluster
  name: rule-violation
  connect_timeout: 0s
`,
    told: `config/rule-violation.yaml:5:20 error: \`connect_timeout\` must be greater than 0s. (rule-violation)
  at resources[0].connect_timeout
  fix: set connect_timeout to a value greater than 0s`,
    nodes: 'cluster=rule-violation',
  },
  'dangling-reference': {
    text: `nodes: {cluster: dangling-reference}
resources:
- '@type': ${envoyType}.cluster.v3.Cluster
  name: dangling-reference
- '@type': ${envoyType}.route.v3.RouteConfiguration
  name: dangling-reference
  virtual_hosts:
  - name: all
    domains: ['*']
    routes:
    - match: {prefix: /}
      route: {cluster: danglin-reference}
`,
    told: `config/dangling-reference.yaml:12:24 error: cluster "danglin-reference" does not exist (dangling-reference)
  at resources[1].virtual_hosts[0].routes[0].route.cluster
  fix: define cluster "danglin-reference", or name another; if every bootstrap holds it, say so in the options file: staticNames: {cluster: [danglin-reference]} (what \`fairlead bootstrap\` writes is known by itself)`,
    nodes: 'cluster=dangling-reference',
  },
  'dangling-reference-in-a-listener': {
    text: `nodes: {cluster: dangling-reference-in-a-listener}
resources:
- '@type': ${envoyType}.listener.v3.Listener
  name: tcp
  address: {socket_address: {address: 127.0.0.1, port_value: 0}}
  filter_chains:
  - filters:
    - name: envoy.filters.network.tcp_proxy
      typed_config:
        '@type': type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy
        stat_prefix: tcp
        weighted_clusters: {clusters: [{name: nowhere, weight: 1}]}
`,
    told: `config/dangling-reference-in-a-listener.yaml:12:47 error: cluster "nowhere" does not exist (dangling-reference)
  at resources[0].filter_chains[0].filters[0].typed_config.weighted_clusters.clusters[0].name
  fix: define cluster "nowhere", or name another; if every bootstrap holds it, say so in the options file: staticNames: {cluster: [nowhere]} (what \`fairlead bootstrap\` writes is known by itself)`,
    nodes: 'cluster=dangling-reference-in-a-listener',
  },
  duplicate: {
    text: `nodes: {cluster: duplicate}
resources:
- '@type': ${envoyType}.cluster.v3.Cluster
  name: duplicate
- '@type': ${envoyType}.cluster.v3.Cluster
  name: rival
`,
    told: `config/duplicate.yaml:5:3 error: cluster "rival" is also defined in config/rival.yaml:3:3 (duplicate)
  fix: keep one of them, rename one, or give the documents nodes that no proxy can match both of`,
    nodes: 'cluster=duplicate',
  },
  'duplicate-within': {
    text: `nodes: {cluster: duplicate-within}
resources:
- '@type': ${envoyType}.cluster.v3.Cluster
  name: duplicate-within
- '@type': ${envoyType}.cluster.v3.Cluster
  name: duplicate-within
`,
    told: `config/duplicate-within.yaml:5:3 error: The cluster \`duplicate-within\` stands twice in this document: in line 3 and in line 5. (duplicate)
  at resources[1]
  fix: Remove or rename one of them.`,
    nodes: 'cluster=duplicate-within',
  },
  'unknown-extension': {
    text: `nodes: {cluster: unknown-extension}
resources:
- '@type': ${envoyType}.listener.v3.Listener
  name: unknown-extension
  address: {socket_address: {address: 127.0.0.1, port_value: 0}}
  filter_chains:
  - filters:
    - name: shop
      typed_config:
        '@type': type.googleapis.com/shop.example.v1.Filter
        level: 3
`,
    told: `config/unknown-extension.yaml:10:18 error: shop.example.v1.Filter is not in the Envoy API that this server knows (built-in). (unknown-extension)
  at resources[0].filter_chains[0].filters[0].typed_config.@type
  fix: If your Envoy is newer and has this message, \`fairlead api import $(which envoy)\` may know it.`,
    nodes: 'cluster=unknown-extension',
  },
  'kind-of-a-later-version': {
    text: `kind: Policy
name: cart
nodes: {cluster: kind-of-a-later-version}
mtls: strict
`,
    told: `config/kind-of-a-later-version.yaml:1:7 error: The kind Policy is not in this version. (unsupported-kind)
  at kind
  fix: Remove the document; raw Envoy resources can say the same today.`,
    nodes: 'cluster=kind-of-a-later-version',
  },
  'foreign-kind': {
    text: `apiVersion: v1
kind: Service
metadata: {name: cart}
`,
    told: `config/foreign-kind.yaml:1:1 error: A document with \`apiVersion\` is of another system (Kubernetes, Gateway API, …), and this version reads none of theirs. (foreign-kind)
  at apiVersion
  fix: Keep it elsewhere. Write a \`kind:\`, a list \`resources:\` of Envoy resources, or one resource with \`'@type'\` at the top.`,
    nodes: 'every node',
  },
  'bad-selector': {
    text: `nodes: {clustre: bad-selector}
resources:
- '@type': ${envoyType}.cluster.v3.Cluster
  name: bad-selector
`,
    told: `config/bad-selector.yaml:1:9 error: A selector has no key \`clustre\`. (invalid-selector)
  at nodes.clustre
  fix: Did you mean \`cluster\`?`,
    nodes: 'every node',
  },
  'other-bytes': {
    text: `other-bytes`,
    told: `config/other-bytes.yaml:1:1 error: A document is a map. (wrong-type)
  fix: Write a \`kind:\`, a list \`resources:\` of Envoy resources, or one resource with \`'@type'\` at the top.`,
    nodes: 'every node',
  },
}

const kinds: readonly string[] = Object.keys(breakages)

const fileOf = (kind: string): string => breakages[kind]?.file ?? `${kind}.yaml`

/** A document for the nodes of one `cluster`, with an Envoy cluster of the same name. */
function goodDocument(kind: string, timeout = '1s'): string {
  return `nodes: {cluster: ${kind}}
resources:
- '@type': ${envoyType}.cluster.v3.Cluster
  name: ${kind}
  connect_timeout: ${timeout}
`
}

function write(config: string, file: string, text: string): void {
  mkdirSync(config, { recursive: true })
  writeFileSync(join(config, file), text)
}

const breakAll = (config: string, which = kinds): void => {
  for (const kind of which) write(config, fileOf(kind), breakages[kind]?.text ?? '')
}

const mendAll = (config: string, timeout = '1s'): void => {
  for (const kind of kinds) write(config, fileOf(kind), goodDocument(kind, timeout))
}

/** Problems as `fairlead validate` prints them, the directory called `config`. */
function told(config: string, problemsOf: Parameters<typeof formatProblems>[0]): string {
  return formatProblems(problemsOf, { color: false }).replaceAll(config, 'config')
}

const isReady = (adminUrl: string): Promise<boolean> =>
  eventually(async () => (await readiness(adminUrl)).status === 200 || false)

/** For the nodes of `duplicate`, whose document has this cluster, too. */
const rival = goodDocument('duplicate').replace('name: duplicate', 'name: rival')

describe('broken documents', () => {
  let validated: Awaited<ReturnType<typeof runCommand>>
  let config: string

  beforeAll(async () => {
    config = join(tempDir(), 'config')
    breakAll(config)
    write(config, 'rival.yaml', rival)
    validated = await runCommand(['validate', config])
  })

  test.each(kinds)('are told at their place, all in one run of validate: %s', (kind) => {
    const file = `config/${fileOf(kind)}:`
    const blocks = validated.out.replaceAll(config, 'config').split(/\n(?! )/)
    expect(blocks.filter((block) => block.startsWith(file)).join('\n')).toBe(breakages[kind]?.told)
  })

  test('are counted, and make validate fail', () => {
    expect(validated.code).toBe(1)
    // One in each, and in the rival of one.
    expect(validated.out).toContain(`${kinds.length + 1} errors, 0 warnings`)
  })

  test('are told by a server in the same words, in its API and in its log', async () => {
    const controlPlane = await startControlPlane({ config: [config] })
    const { adminUrl } = controlPlane
    await isReady(adminUrl)
    const standing = (await problems(adminUrl)).filter(({ code }) => code !== 'withheld')
    expect(validated.out.replaceAll(config, 'config')).toContain(`${told(config, standing)}\n`)
    expect(standing).toHaveLength(kinds.length + 1)
    const logged = controlPlane
      .log()
      .split('\n')
      .filter((line) => line.includes('"configuration problem"'))
      .map((line) => JSON.parse(line) as { place: string; path: string; problem: string; fix: string })
    for (const { place, path, message, fix } of standing) {
      expect(logged).toContainEqual(expect.objectContaining({ place, path, problem: message, fix }))
    }
  })
})

describe('a server whose documents break', () => {
  /** What each node is served, as REST tells it: the version, and the names. */
  const servedOf = async (adminUrl: string): Promise<Readonly<Record<string, unknown>>> => {
    const answers = kinds.map(async (kind): Promise<[string, unknown]> => {
      const { status, body } = await fetchRest(adminUrl, 'clusters', kind)
      return [kind, { status, version: body?.version_info, names: body?.resources.map((resource) => resource['name']) }]
    })
    return Object.fromEntries(await Promise.all(answers))
  }
  /** What is told in each, and in the rival of one. */
  const brokenCodes = kinds.map((kind) => /\(([a-z-]+)\)$/m.exec(breakages[kind]?.told ?? '')?.[1] as string)
  brokenCodes.push('duplicate')

  test('serves each as it last was, also after a restart, and unrelated nodes what is new', async () => {
    const config = join(tempDir(), 'config')
    const flags = { config: [config], snapshots: tempDir() }
    mendAll(config)
    write(config, 'rival.yaml', rival)
    write(config, 'unrelated.yaml', goodDocument('unrelated', '1s'))
    const first = await startControlPlane(flags)
    await isReady(first.adminUrl)
    const before = await servedOf(first.adminUrl)
    for (const kind of kinds) {
      const names = kind === 'duplicate' ? [kind, 'rival'] : [kind]
      expect(before[kind]).toMatchObject({ status: 200, names })
    }

    const unrelated = openStream({ port: first.xdsPort, protocol: 'delta' })
    unrelated.send({ node: { id: 'unrelated-1', cluster: 'unrelated' }, type_url: typeUrlOf('cluster') })
    const { resources: initial, nonce } = await unrelated.next()
    unrelated.send({ type_url: typeUrlOf('cluster'), response_nonce: nonce })

    breakAll(config)
    write(config, 'unrelated.yaml', goodDocument('unrelated', '2s'))
    const { resources: changed } = await unrelated.next()
    expect(changed.map(({ name }) => name)).toEqual(['unrelated'])
    expect(changed[0]?.version).not.toBe(initial[0]?.version)
    await waitForProblems(first.adminUrl, brokenCodes)
    expect(await servedOf(first.adminUrl)).toEqual(before)
    // One that never was valid is left out, and concerns nobody else.
    write(config, 'new.yaml', 'nodes: {cluster: unrelated}\nresources: [{}]')
    await waitForProblems(first.adminUrl, [...brokenCodes, 'wrong-type'])
    expect(await fetchRest(first.adminUrl, 'clusters', 'unrelated')).toMatchObject({ status: 200 })
    rmSync(join(config, 'new.yaml'))
    await waitForProblems(first.adminUrl, brokenCodes)
    expect(await readiness(first.adminUrl)).toMatchObject({ status: 200, withheld: [], errors: brokenCodes.length })

    await first.close()
    const second = await startControlPlane(flags)
    await isReady(second.adminUrl)
    expect(await servedOf(second.adminUrl)).toEqual(before)
    await waitForProblems(second.adminUrl, brokenCodes)
    expect(await readiness(second.adminUrl)).toMatchObject({ status: 200, withheld: [], errors: brokenCodes.length })

    mendAll(config, '2s')
    await waitForProblems(second.adminUrl, [])
    const after = await servedOf(second.adminUrl)
    for (const kind of kinds) expect(after[kind], kind).not.toEqual(before[kind])
  })
})

describe('a server that starts with broken documents, and has no last good,', () => {
  const concerning = kinds.filter((kind) => breakages[kind]?.nodes === `cluster=${kind}`)
  const statusOf = async (adminUrl: string, cluster: string): Promise<number> =>
    (await fetchRest(adminUrl, 'clusters', cluster)).status

  const startWith = async (which: readonly string[], flags: Readonly<Record<string, unknown>> = {}) => {
    const config = join(tempDir(), 'config')
    breakAll(config, which)
    write(config, 'rival.yaml', rival)
    write(config, 'unrelated.yaml', goodDocument('unrelated'))
    const controlPlane = await startControlPlane({ config: [config], ...flags })
    await isReady(controlPlane.adminUrl)
    return { ...controlPlane, config }
  }

  test('answers none of the nodes that they may concern, names them in /ready, and serves all others', async () => {
    const { adminUrl, xdsPort, config } = await startWith(concerning)
    const { status, withheld } = await readiness(adminUrl)
    expect(status).toBe(200)
    expect(withheld.map(({ group }) => group)).toEqual(concerning.map((kind) => `cluster=${kind}`).sort())
    for (const kind of concerning) {
      const reasons = withheld.find(({ group }) => group === `cluster=${kind}`)?.reasons ?? []
      expect(reasons[0]).toMatch(`${join(config, fileOf(kind))}:1:1: `)
      expect(await statusOf(adminUrl, kind)).toBe(503)
    }
    expect((await problemCodes(adminUrl)).filter((code) => code === 'withheld').length).toBeGreaterThanOrEqual(
      concerning.length,
    )
    expect(await statusOf(adminUrl, 'unrelated')).toBe(200)
    expect(await statusOf(adminUrl, 'somebody-else')).toBe(200)

    const [kind = ''] = concerning
    const waiting = openStream({ port: xdsPort, protocol: 'delta' })
    waiting.send({ node: { id: 'waiting', cluster: kind }, type_url: typeUrlOf('cluster') })
    await eventually(async () => (await nodes(adminUrl))[0]?.types['cluster']?.isWildcard === true)
    write(config, fileOf(kind), goodDocument(kind))
    const { resources } = await waiting.next()
    expect(resources.map(({ name }) => name)).toEqual([kind])
    // It came with the mending, and nothing before it.
    expect(waiting.received).toHaveLength(1)
  })

  test('answers nobody while it cannot be read whom one of them concerns', async () => {
    const { adminUrl, config } = await startWith(['bad-selector'])
    expect((await readiness(adminUrl)).withheld).toMatchObject([{ group: 'every node' }])
    expect(await statusOf(adminUrl, 'unrelated')).toBe(503)
    write(config, 'bad-selector.yaml', goodDocument('bad-selector'))
    await waitForProblems(adminUrl, [])
    expect(await statusOf(adminUrl, 'unrelated')).toBe(200)
    expect(await statusOf(adminUrl, 'bad-selector')).toBe(200)
  })

  test('serves everybody what is left with --allow-partial', async () => {
    const { adminUrl } = await startWith(kinds, { allowPartial: true })
    expect((await readiness(adminUrl)).withheld).toEqual([])
    for (const kind of kinds) {
      expect(await fetchRest(adminUrl, 'clusters', kind)).toMatchObject({ status: 200, body: { resources: [] } })
    }
    expect(await fetchRest(adminUrl, 'clusters', 'unrelated')).toMatchObject({ body: { resources: [{}] } })
  })
})

describeWithEnvoy('an Envoy under load', () => {
  test.each(['sotw', 'delta'] as const)(
    'over %s keeps what broken documents were, and gets what others are now',
    async (protocol) => {
      const [one, two] = [await startBackend({ name: 'one' }), await startBackend({ name: 'two' })]
      const authority = await createAuthority()
      const documents = shop(one, await authority.issue({ name: 'shop' }))
      const store = createFileStore()
      await store.write(documents)
      const { adminUrl, server } = await startControlPlane(store.flags)
      const { envoy, http, https, failures } = await startLoadedEnvoy(server, protocol, authority)
      await settledNode(adminUrl, shopTypes)
      const before = await modificationsOf(envoy)

      await store.write({
        'cluster/shop': { ...documents['cluster/shop'], connect_timeout: '0s' },
        'route/shop': { ...documents['route/shop'], ...routesTo('nowhere') },
        'listener/https': { kind: 'Policy', name: 'https' },
        'secret/shop': { ...documents['secret/shop'], tls: {} },
        ...endpoints('shop', two),
      })
      await http.next(50, { from: 'two' })
      await https.next(5)
      await waitForProblems(adminUrl, ['rule-violation', 'dangling-reference', 'unsupported-kind', 'unknown-field'])
      const changes = 'cluster.shop.membership_change'
      const changed = { ...before, [changes]: (before[changes] ?? 0) + 1 }
      expect(await modificationsOf(envoy)).toEqual(changed)

      await store.write({ ...documents, ...endpoints('shop', two) })
      await waitForProblems(adminUrl, [])
      await Promise.all([http.next(50), https.next(5)])
      expect(await modificationsOf(envoy)).toEqual(changed)
      expect(await failures()).toEqual([])
    },
  )
})
