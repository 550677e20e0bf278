import { beforeEach, describe, expect, test } from 'vitest'
import { type AdminBed, startAdmin } from '../../test/support/admin-bed.ts'
import { type CommandResult, runCommand } from '../../test/support/command.ts'
import { resource } from '../../test/support/resource.ts'
import type { NodeSelector } from '../resource/node-selector.ts'
import type { Resource } from '../resource/resource.ts'
import type { Unit } from '../snapshot/world.ts'

function unit(key: string, resources: readonly Resource[], selectors: readonly NodeSelector[] = []): Unit {
  return { key, origin: { name: `config/${key}.yaml`, line: 1, column: 1 }, selectors, resources }
}

/** A canary: the weights of two clusters, and a domain. */
function canary(blue: number, ...domains: readonly string[]): Resource {
  const clusters = [
    { name: 'blue', weight: blue },
    { name: 'green', weight: 100 - blue },
  ]
  const routes = [{ match: { prefix: '/' }, route: { weighted_clusters: { clusters } } }]
  return resource('route', 'shop', { virtual_hosts: [{ name: 'shop', domains: [...domains], routes }] })
}

let bed: AdminBed
beforeEach(async () => {
  bed = await startAdmin()
})

const snapshots = async (...args: readonly string[]): Promise<CommandResult> =>
  await runCommand(['snapshots', ...args, '--server', bed.url])

/** Times as NOW. */
const timeless = (text: string): string => text.replaceAll(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ/g, 'NOW')

function append(upserted: readonly Unit[], removed: readonly string[] = [], documents?: readonly string[]): void {
  const names = documents ?? [...upserted.map(({ key }) => key), ...removed].map((key) => `config/${key}.yaml`)
  bed.history.append({ upserted, removed, cause: { documents: names } })
}

describe('before anything was in force', () => {
  test('the list says so', async () => {
    expect(await snapshots('list')).toMatchObject({ code: 0, out: 'No revision yet: nothing has been in force.\n' })
    expect(JSON.parse((await snapshots('list', '--json')).out)).toEqual({ revisions: [] })
  })

  test.each([['show'], ['show', '1'], ['diff', '1']])('%s %s exits 2 and says so', async (...args) => {
    expect(await snapshots(...args)).toMatchObject({
      code: 2,
      out: '',
      err: 'fairlead: no revision yet: nothing has been in force\n',
    })
  })
})

describe('with a history', () => {
  beforeEach(() => {
    const edge = [{ cluster: 'edge' }, { metadata: { env: 'prod' } }]
    append([
      unit('cluster', [resource('cluster', 'blue', 1), resource('cluster', 'green', 1)]),
      unit('route', [canary(90, 'a.example', 'b.example')], edge),
    ])
    append([unit('route', [canary(50, 'a.example', 'new.example', 'b.example')], edge)])
    append([unit('runtime', [resource('runtime', 'flags', 1)])], ['route'])
  })

  test('list shows each revision with what it changed and why, newest first', async () => {
    expect(timeless((await snapshots('list')).out).replaceAll(/NOW +/g, 'NOW  ')).toBe(
      [
        'REVISION  TIME                  CHANGES               BECAUSE OF',
        '3         NOW  runtime +1, route -1  config/runtime.yaml and 1 more',
        '2         NOW  route ~1              config/route.yaml',
        '1         NOW  cluster +2, route +1  config/cluster.yaml and 1 more',
        '',
      ].join('\n'),
    )
  })

  test('show shows what was in force, for whom, and where it stood', async () => {
    const { code, out } = await snapshots('show', '1')
    expect(code).toBe(0)
    expect(timeless(out)).toMatch(
      /^revision 1 of NOW, because of config\/cluster\.yaml and 1 more\n\nTYPE {5}NAME {3}VERSION/,
    )
    expect(out).toMatch(/cluster {2}blue {3}[0-9a-f]{8} {2}every node +cluster\/blue\.yaml\n/)
    expect(out).toMatch(/route {4}shop {3}[0-9a-f]{8} {2}cluster=edge or metadata\.env=prod +route\/shop\.yaml\n/)
    expect((await snapshots('show')).out).toMatch(/^revision 3 /)
  })

  test('diff shows what is gone, what is new, and each value that changed', async () => {
    const { code, out } = await snapshots('diff', '1', '2')
    expect(code).toBe(0)
    expect(timeless(out)).toBe(
      [
        'revision 1 of NOW -> 2 of NOW',
        '',
        '~ route shop  route/shop.yaml',
        '    virtual_hosts[shop].domains[1]: "new.example" added',
        '    virtual_hosts[shop].routes[0].route.weighted_clusters.clusters[blue].weight: 90 -> 50',
        '    virtual_hosts[shop].routes[0].route.weighted_clusters.clusters[green].weight: 10 -> 50',
        '',
      ].join('\n'),
    )
    expect((await snapshots('diff', '2')).out).toMatch(
      /\n\n\+ runtime flags {2}runtime\/flags\.yaml\n- route shop {2}route\/shop\.yaml\n$/,
    )
    expect(timeless((await snapshots('diff', '3')).out)).toBe('revision 3 of NOW -> 3 of NOW: no difference\n')
  })

  test('diff of what is sensitive says that it changed, and not how', async () => {
    append([unit('s', [resource('secret', 's', { generic_secret: { secret: { inline_string: 'hunter2' } } })])])
    append([unit('s', [resource('secret', 's', { generic_secret: { secret: { inline_string: 'hunter3' } } })])])
    const { out } = await snapshots('diff', '4', '5')
    expect(out).toContain('~ secret s')
    expect(out).toContain('in redacted content, aliases or TTL only')
    expect(out).not.toContain('hunter')
  })

  test('diff cuts long values', async () => {
    append([unit('cluster', [resource('cluster', 'blue', { alt_stat_name: 'x'.repeat(500) })])])
    const lines = (await snapshots('diff', '3')).out.split('\n')
    expect(lines.find((line) => line.includes('alt_stat_name'))?.length).toBeLessThan(200)
  })

  test('a revision that is not kept exits 2 and says which are', async () => {
    expect(await snapshots('diff', '1', '9')).toMatchObject({
      code: 2,
      err: 'fairlead: no revision 9; revisions 1 to 3 are kept\n',
    })
  })

  test('every one prints JSON', async () => {
    expect(JSON.parse((await snapshots('list', '--json')).out)).toMatchObject({ revisions: [{ revision: 3 }, {}, {}] })
    expect(JSON.parse((await snapshots('show', '2', '--json')).out)).toMatchObject({ revision: 2, inForce: [{}, {}] })
    expect(JSON.parse((await snapshots('diff', '1', '2', '--json')).out)).toMatchObject({
      from: { revision: 1 },
      types: [{ type: 'route', changed: [{}] }],
    })
  })
})
