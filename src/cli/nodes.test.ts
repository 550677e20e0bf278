import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, test } from 'vitest'
import { startAdmin } from '../../test/support/admin-bed.ts'
import { atTestEnd } from '../../test/support/at-test-end.ts'
import { type CommandResult, runCommand } from '../../test/support/command.ts'
import { freePorts } from '../../test/support/free-ports.ts'
import { smallResource } from '../../test/support/small-view.ts'
import { nodeOfJson } from '../resource/node.ts'
import { type ResourceWord, resourceTypes } from '../resource/type-url.ts'
import type { StatusRecorder, StreamRecord } from '../xds/status.ts'

const version = (letter: string): string => letter.repeat(32)

function connect(status: StatusRecorder, streamId: number, id: string): StreamRecord {
  const stream = status.open({ streamId, protocol: 'sotw', peer: '127.0.0.1:5000' })
  const node = nodeOfJson({ id, cluster: 'edge', user_agent_name: 'envoy', user_agent_version: '1.40.0' })
  stream.joined(node, 'cluster=edge')
  return stream
}

interface Exchange {
  readonly sent?: string
  readonly acked?: string
  readonly nacked?: string
}

function exchange(stream: StreamRecord, word: ResourceWord, { sent, acked, nacked }: Exchange): void {
  const { isFullState: isWildcard, typeUrl } = resourceTypes[word]
  const type = stream.typeOf(typeUrl)
  type.asked(isWildcard ? 0 : 2, isWildcard)
  if (acked !== undefined) type.acked(acked, 1, false)
  if (sent !== undefined) type.sent(sent, 2, 9)
  if (nacked !== undefined) type.nacked(sent ?? '', nacked)
}

const nodes = async (url: string, ...args: readonly string[]): Promise<CommandResult> =>
  await runCommand(['nodes', '--server', url, ...args])

describe('fairlead nodes', () => {
  test('with nobody connected says how to connect one', async () => {
    const { url } = await startAdmin()
    expect(await nodes(url)).toEqual({
      code: 0,
      out: 'No node is connected. Start one: envoy -c <(fairlead bootstrap --id edge-1 --cluster edge)\n',
      err: '',
    })
    expect((await nodes(url, 'edge-9')).out).toContain('No node with the id edge-9 is connected')
    expect(JSON.parse((await nodes(url, '--json')).out)).toEqual({ nodes: [] })
  })

  test('shows what each node was sent and accepted, type by type', async () => {
    const { url, status } = await startAdmin()
    const edge = connect(status, 1, 'edge-1')
    exchange(edge, 'cluster', { sent: version('a'), acked: version('a') })
    exchange(edge, 'listener', { sent: version('b'), acked: version('a') })
    exchange(edge, 'runtime', {})
    connect(status, 2, 'edge-2')
    expect((await nodes(url)).out).toBe(
      [
        'NODE    CLUSTER  GROUP         PROTOCOL  TYPE      SENT      ACCEPTED  STATE',
        'edge-1  edge     cluster=edge  sotw      cluster   aaaaaaaa  aaaaaaaa  in sync',
        '                                         listener  bbbbbbbb  aaaaaaaa  waiting',
        '                                         runtime   -         -         nothing to send',
        'edge-2  edge     cluster=edge  sotw      -         -         -         asked for nothing yet',
        '',
      ].join('\n'),
    )
  })

  test('says of what was rejected why, in the words of Envoy, what it goes on with, and what to do', async () => {
    const { url, status } = await startAdmin()
    const edge = connect(status, 1, 'edge-1')
    exchange(edge, 'cluster', { sent: version('b'), acked: version('a'), nacked: 'ring hash:\ntoo small' })
    exchange(edge, 'listener', { sent: version('c'), nacked: 'no such filter' })
    const { code, out } = await nodes(url)
    expect(code).toBe(0)
    expect(out).toMatch(/cluster +bbbbbbbb +aaaaaaaa +REJECTED\n/)
    expect(out).toMatch(
      /\n\nedge-1 rejected cluster bbbbbbbb at \d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ, and goes on with aaaaaaaa:\n {2}ring hash:\n {2}too small\n\n/,
    )
    expect(out).toMatch(/edge-1 rejected listener cccccccc at .*, and has none:\n {2}no such filter\n\n/)
    expect(out).toMatch(/fairlead validate PATH --envoy BINARY\n$/)
  })

  test('says what was rejected at its place, once for all nodes that did, and what they have instead', async () => {
    const { url, status } = await startAdmin()
    const bad = smallResource('listener bad=2')
    const since = '2026-11-21T07:00:00.123Z'
    for (const [index, id] of ['edge-1', 'edge-2', 'edge-3', 'edge-4', 'edge-5'].entries()) {
      const edge = connect(status, index + 1, id)
      exchange(edge, 'listener', { sent: version('b'), acked: version('b') })
      const resource = { ...bad, origin: { name: 'config/edge.yaml', line: 14, column: 3 } }
      const accepted = id === 'edge-5' ? smallResource('listener bad=1') : undefined
      edge.rejected({ standing: [{ resource, accepted, since, message: "route: unknown cluster 'x'\nand more" }] })
    }
    const { out } = await nodes(url)
    expect(out).toMatch(/edge-3 .*listener +bbbbbbbb +bbbbbbbb +REJECTED\n/)
    expect(out.slice(out.indexOf('\n\n'))).toBe(
      [
        '',
        '',
        'config/edge.yaml:14:3',
        `  edge-1, edge-2, edge-3 and edge-4 rejected listener "bad" ${bad.version.slice(0, 8)} at 2026-11-21 07:00:00Z,`,
        '  and do without it:',
        "    route: unknown cluster 'x'",
        '    and more',
        '',
        'config/edge.yaml:14:3',
        `  edge-5 rejected listener "bad" ${bad.version.slice(0, 8)} at 2026-11-21 07:00:00Z,`,
        `  and keeps ${smallResource('listener bad=1').version.slice(0, 8)}:`,
        "    route: unknown cluster 'x'",
        '    and more',
        '',
        'Mend what Envoy names. To ask an Envoy beforehand: fairlead validate PATH --envoy BINARY',
        '',
      ].join('\n'),
    )
  })

  test('says who is held back, since when, and what to look at', async () => {
    const { url, status } = await startAdmin()
    const first = connect(status, 1, 'edge-1')
    const edge = connect(status, 2, 'edge-2')
    exchange(edge, 'cluster', { sent: version('a'), acked: version('a') })
    connect(status, 3, 'edge-3').heldBack(false)
    first.heldBack(true)
    const one = await nodes(url)
    expect(one.out).toContain('edge-1  edge     cluster=edge  sotw      -        -         -         held back\n')
    expect(one.out).toMatch(/\n\nHeld back since \d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ: edge-1 goes on with what came /)
    expect(one.out).toMatch(/fairlead_source_up, \/ready\.\n$/)
    expect((await nodes(url, 'edge-1')).out).toContain('\n\nIt is told nothing yet.\n\nHeld back since')
    edge.heldBack(true)
    const both = await nodes(url)
    expect(both.out).toContain('cluster  aaaaaaaa  aaaaaaaa  held back\n')
    expect(both.out).toContain(': edge-1 and edge-2 go on with')
    const { nodes: shown } = JSON.parse((await nodes(url, '--json')).out) as { nodes: Record<string, unknown>[] }
    expect(shown.map(({ heldBackSince }) => typeof heldBackSince)).toEqual(['string', 'string', 'undefined'])
    first.heldBack(false)
    edge.heldBack(false)
    expect((await nodes(url)).out).not.toMatch(/held back/i)
  })

  test('says each warning about a client once', async () => {
    const { url, status } = await startAdmin()
    const edge = connect(status, 1, 'edge-1')
    for (let index = 0; index < 2; index++) edge.warned('it changed its node')
    expect((await nodes(url)).out).toMatch(/\n\nedge-1: it changed its node\n$/)
  })

  test('shows one node in full', async () => {
    const { url, status } = await startAdmin()
    const edge = connect(status, 1, 'edge-1')
    connect(status, 2, 'edge-2')
    exchange(edge, 'cluster', { sent: version('a'), acked: version('a') })
    exchange(edge, 'route', { sent: version('c'), acked: version('b') })
    const { out } = await nodes(url, 'edge-1')
    expect(out.replace(/since \S+ \S+/, 'since NOW')).toBe(
      [
        'edge-1  cluster edge, gets what is for cluster=edge',
        'envoy 1.40.0 from 127.0.0.1:5000, sotw, since NOW',
        '',
        'TYPE     ASKED FOR   SENT                              ACCEPTED                          STATE',
        `cluster  everything  ${version('a')}  the same                          in sync`,
        `route    2 names     ${version('c')}  ${version('b')}  waiting`,
        '',
      ].join('\n'),
    )
    const json = JSON.parse((await nodes(url, 'edge-1', '--json')).out) as { nodes: unknown[] }
    expect(json.nodes).toMatchObject([{ id: 'edge-1', types: { cluster: { sent: version('a') } } }])
  })
})

describe('a server that does not answer as it should', () => {
  async function answering(status: number, body: string): Promise<string> {
    const server = createServer((_request, response) => response.writeHead(status).end(body))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    atTestEnd(() => void server.close())
    return `127.0.0.1:${(server.address() as AddressInfo).port}`
  }

  test('is said to be out of reach: exit 3', async () => {
    const [port] = await freePorts(1)
    const { code, out, err } = await nodes(`http://127.0.0.1:${port}`)
    expect([code, out]).toEqual([3, ''])
    expect(err).toMatch(
      /^fairlead: no control plane answers at http:\/\/127\.0\.0\.1:\d+: connect ECONNREFUSED .*Is `fairlead serve` running, and --server its --admin address\?\n$/,
    )
  })

  test.each([
    ['nodes'],
    ['replicas'],
    ['route', '--node', 'edge', 'http://a/'],
    ['rollback', '1', '--config', '.'],
    ['snapshots', 'list'],
  ])('is looked for where FAIRLEAD_ADMIN has it listen, by %s too', async (...args) => {
    const address = await answering(500, '{"message": "it broke"}')
    const env = { FAIRLEAD_ADMIN: address.replace('127.0.0.1', '0.0.0.0') }
    const { err } = await runCommand(args, { env })
    expect(err).toBe('fairlead: it broke\n')
  })

  test.each<[number, string, number, RegExp]>([
    [200, '<html>', 3, /answered 200 and no JSON: is it a fairlead admin address\?/],
    [500, '{"message": "it broke"}', 3, /^fairlead: it broke\n$/],
    [403, '{"message": "not this Host"}', 2, /^fairlead: not this Host\n$/],
    [404, 'null', 2, /answered 404/],
  ])('answering %i and %s: exit %i', async (status, body, expected, words) => {
    const { code, err } = await nodes(await answering(status, body))
    expect(code).toBe(expected)
    expect(err).toMatch(words)
  })

  test.each(['ftp://x', 'http://', 'a b'])('has no address: --server %s exits 2', async (server) => {
    const { code, err } = await nodes(server)
    expect(code).toBe(2)
    expect(err).toContain('is not a URL; give one like http://127.0.0.1:18001')
  })
})
