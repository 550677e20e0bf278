import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { runCommand } from '../../test/support/command.ts'
import { describeWithEnvoy } from '../../test/support/needs.ts'
import { tempDir } from '../../test/support/temp.ts'

const example = 'examples/envoy/config'

/** A copy of the example with changes in it: file -> text before -> text after; an empty file name is a new file. */
function exampleWith(edits: Readonly<Record<string, readonly [string, string]>> = {}): string {
  const dir = join(tempDir(), 'config')
  cpSync(example, dir, { recursive: true })
  for (const [file, [before, after]] of Object.entries(edits)) {
    const path = join(dir, file)
    const text = readFileSync(path, 'utf8')
    expect(text).toContain(before)
    writeFileSync(path, text.replace(before, after))
  }
  return dir
}

function fileOf(name: string, text: string): string {
  const path = join(tempDir(), name)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
  return path
}

describe('fairlead validate', () => {
  test('exits 0 for what is right, and says how much it is', async () => {
    expect(await runCommand(['validate', example])).toEqual({
      code: 0,
      out: `${example}: 4 files, 6 resources that can be served; no problem\n`,
      err: '',
    })
  })

  test('takes one file', async () => {
    const { code, out } = await runCommand(['validate', `${example}/cluster.yaml`])
    expect([code, out]).toEqual([0, expect.stringContaining('1 file, 2 resources')])
  })

  test.each([
    ['{service: cart, version: v3}', 'version "v3" of the Service "cart" does not exist', 'did you mean "v1"?'],
    [
      '{service: crat, version: v1}',
      'version "v1" of the Service "crat" does not exist',
      'did you mean version "v1" of the Service "cart"?',
    ],
    [
      '{service: cart, version: canary}',
      'version "canary" of',
      'define version "canary" of the Service "cart", or name another',
    ],
    ['crat', 'Service "crat" does not exist', 'did you mean "cart"?'],
  ])('says of a backend %s what is to be written in its place', async (backend, message, fix) => {
    const endpoints = '{address: 10.0.0.1, port: 80, labels: {version: v1}}'
    const cart = `kind: Service\nname: cart\nendpoints: ${endpoints}\nversions: {v1: {version: v1}}\n`
    const edge = 'kind: Gateway\nname: edge\nnodes: {cluster: edge}\nlisteners: {name: http, port: 8080}\n'
    const route = `kind: Route\nname: cart\ngateways: edge\nrules: {backends: ${backend}}\n`
    const { code, out } = await runCommand(['validate', fileOf('shop.yaml', [cart, edge, route].join('---\n'))])
    expect(code).toBe(1)
    expect(out).toContain(message)
    expect(out).toContain(`\n  fix: ${fix}\n`)
  })

  test('exits 1 for errors, and prints each with place, path and fix, in order of place', async () => {
    const dir = exampleWith({
      'route.yaml': ['weight: 90', 'weigth: 90'],
      'cluster.yaml': ['connect_timeout: 0.25s', 'connect_timeout: soon'],
    })
    const { code, out, err } = await runCommand(['validate', dir])
    expect([code, err]).toEqual([1, ''])
    expect(out).toContain(`${dir}/route.yaml:16:26 error: `)
    expect(out).toContain('has no field `weigth`. (unknown-field)\n  at resources[0].virtual_hosts[0].routes[0].')
    expect(out).toContain('\n  fix: Did you mean `weight`?')
    expect(out).toMatch(/\d+ errors, 0 warnings\n/)
    const places = [...out.matchAll(/^(\S+\.yaml:\d+):\d+ /gm)].map(([, place]) => place as string)
    expect(places.length).toBeGreaterThan(1)
    expect(places).toEqual([...places].sort())
  })

  test('says that a reference may dangle because of another error', async () => {
    const note = 'What stands in a document with an error counts as absent'
    const broken = await runCommand(['validate', exampleWith({ 'route.yaml': ['weight: 90', 'weigth: 90'] })])
    expect(broken.out).toContain('route "shop" does not exist')
    expect(broken.out).toContain(note)
    const dangling = await runCommand([
      'validate',
      exampleWith({ 'route.yaml': ['name: green, weight', 'name: gren, weight'] }),
    ])
    expect(dangling.code).toBe(1)
    expect(dangling.out).toContain('"gren"')
    expect(dangling.out).not.toContain(note)
  })

  test('exits 0 for warnings, and prints them', async () => {
    const dir = exampleWith({ 'endpoint.yaml': ['cluster_name: green', 'cluster_name: greener'] })
    const { code, out } = await runCommand(['validate', dir])
    expect(code).toBe(0)
    expect(out).toMatch(/warning: .*\(missing-assignment\)/)
    expect(out).toMatch(/0 errors, [12] warnings?\n$/)
  })

  test('knows the clusters that --static names, and the one of our own bootstrap', async () => {
    const dir = exampleWith({ 'route.yaml': ['name: green, weight', 'name: otel, weight'] })
    expect((await runCommand(['validate', dir])).code).toBe(1)
    expect((await runCommand(['validate', dir, '--static', 'xds', '--static', 'otel'])).code).toBe(0)
    const own = exampleWith({ 'route.yaml': ['name: green, weight', 'name: fairlead, weight'] })
    expect((await runCommand(['validate', own])).code).toBe(0)
  })

  test('prints JSON for programs', async () => {
    const fine = await runCommand(['validate', example, '--json'])
    expect(JSON.parse(fine.out)).toEqual({ ok: true, documents: 4, resources: 6, problems: [], envoyFailures: [] })
    const dir = exampleWith({ 'route.yaml': ['weight: 90', 'weigth: 90'] })
    const { code, out } = await runCommand(['validate', dir, '--json'])
    expect(code).toBe(1)
    expect(JSON.parse(out)).toMatchObject({
      ok: false,
      problems: expect.arrayContaining([
        expect.objectContaining({ place: `${dir}/route.yaml:16:26`, severity: 'error', code: 'unknown-field' }),
      ]),
    })
  })

  test('colours only a terminal', async () => {
    const file = fileOf('a.yaml', 'kind: [')
    expect((await runCommand(['validate', file], { columns: 80 })).out).toContain('\u001b[31m')
    expect((await runCommand(['validate', file])).out).not.toContain('\u001b')
  })

  test.each<[string, () => string, RegExp]>([
    ['nothing there', () => '/nothere', /^fairlead: \/nothere does not exist: give a directory or a file\n$/],
    [
      'an empty directory',
      tempDir,
      /^fairlead: \S+ holds no document: \*\.yaml, \*\.yml and \*\.json files are read\n$/,
    ],
  ])('exits 2 for %s', async (_, path, words) => {
    const { code, out, err } = await runCommand(['validate', path()])
    expect([code, out]).toEqual([2, ''])
    expect(err).toMatch(words)
  })

  test('exits 2 for an Envoy that cannot be run', async () => {
    const absent = await runCommand(['validate', example, '--envoy', '/nothere'])
    expect(absent).toMatchObject({ code: 2, err: 'fairlead: --envoy /nothere cannot be run: spawn /nothere ENOENT\n' })
  })
})

describeWithEnvoy('fairlead validate --envoy', (envoy) => {
  test('asks the real binary, which accepts the example', async () => {
    const { code, out } = await runCommand(['validate', example, '--envoy', envoy])
    expect([code, out]).toEqual([
      0,
      `${example}: 4 files, 6 resources that can be served; no problem, accepted by Envoy\n`,
    ])
  })

  test('finds what only Envoy refuses, and says it in its words, for the nodes that would get it', async () => {
    const bad = 'lb_policy: RING_HASH\n  ring_hash_lb_config: {minimum_ring_size: 9, maximum_ring_size: 4}'
    const dir = exampleWith({ 'cluster.yaml': ['lb_policy: LEAST_REQUEST', bad] })
    expect((await runCommand(['validate', dir])).code).toBe(0)
    const { code, out } = await runCommand(['validate', dir, '--envoy', envoy])
    expect(code).toBe(1)
    expect(out).toContain(
      'Envoy refuses what nodes of cluster=edge would get:\n  ring hash: minimum_ring_size (9) > maximum_ring_size (4)\n',
    )
    expect(out).toMatch(/no problem, refused by Envoy\n$/)
    const json = JSON.parse((await runCommand(['validate', dir, '--envoy', envoy, '--json'])).out) as object
    expect(json).toMatchObject({ ok: false, problems: [], envoyFailures: [{ nodes: 'nodes of cluster=edge' }] })
  })

  test('asks once for the nodes of each selector', async () => {
    const ring = (nodes: string): string =>
      `${nodes}\n'@type': type.googleapis.com/envoy.config.cluster.v3.Cluster\nname: ring\nlb_policy: RING_HASH\nring_hash_lb_config: {minimum_ring_size: 9, maximum_ring_size: 4}\n`
    const dir = exampleWith()
    writeFileSync(join(dir, 'ring.yaml'), ring('nodes: {id: "canary-*", metadata: {env: prod}}'))
    const { code, out } = await runCommand(['validate', dir, '--envoy', envoy])
    expect(code).toBe(1)
    expect(out.match(/Envoy refuses/g)).toHaveLength(1)
    expect(out).toContain('Envoy refuses what nodes of id=canary-*,metadata.env=prod would get')
  })
})
