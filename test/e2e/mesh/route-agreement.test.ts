import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { Agent, createServer, request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { buildBootstrap } from '../../../src/cli/bootstrap-config.ts'
import { answerOf } from '../../../src/request/answer-request.ts'
import { type ProxyResources, proxyResources } from '../../../src/request/proxy-resources.ts'
import type { RequestOutcome, RequestQuestion } from '../../../src/request/request-question.ts'
import { loadEnvoyApi } from '../../../src/resource/envoy-api.ts'
import { setOfResources } from '../../../src/snapshot/resource-set.ts'
import { buildSnapshot } from '../../../src/snapshot/snapshot.ts'
import { atTestEnd } from '../../support/at-test-end.ts'
import { runCommand } from '../../support/command.ts'
import { rejections, startControlPlane } from '../../support/control-plane.ts'
import { lowPort } from '../../support/low-port.ts'
import { outcomeOf } from '../../support/outcome.ts'
import { describeEachPlane } from '../../support/planes.ts'
import { createRandom, seedsOf } from '../../support/random.ts'
import {
  documentsOfTable,
  type RouteTable,
  randomRequest,
  randomTable,
  serviceName,
  smallerTables,
  type TableGround,
  type TableRequest,
} from '../../support/route-table.ts'
import { tempDir } from '../../support/temp.ts'
import { translated } from '../../support/translated.ts'

/**
 * What `fairlead route` says is what a stock Envoy does, and the reference proxy, which share nothing of how they read: for tables of routes by chance, each behind a gateway of its own,
 * and requests that hit or miss by little. FAIRLEAD_TEST_SEED plays one table alone.
 */
const api = loadEnvoyApi()
const requestsEach = 50

interface Placed {
  readonly seed: number
  readonly table: RouteTable
  readonly ground: TableGround
}

/** What came back. */
interface Seen {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** Answers on every address of loopback, and says on which, and what it got. */
async function startEcho(): Promise<number> {
  const server = createServer((request, response) => {
    request.resume()
    response.writeHead(200, {
      'x-echo-address': request.socket.localAddress ?? '',
      'x-echo-path': request.url ?? '',
      'x-echo-host': request.headers.host ?? '',
    })
    response.end()
  })
  server.keepAliveTimeout = 0
  server.listen(0, '0.0.0.0')
  await once(server, 'listening')
  atTestEnd(() => {
    server.close()
    server.closeAllConnections()
  })
  return (server.address() as AddressInfo).port
}

function resourcesOf({ table, ground }: Placed): ProxyResources {
  const { units, problems } = translated(api, documentsOfTable(table, ground))
  expect(problems.filter(({ severity }) => severity === 'error')).toEqual([])
  const all = units.flatMap((unit) => unit.resources)
  const types = [...new Set(all.map(({ typeUrl }) => typeUrl))]
  const setOf = (type: string): ReturnType<typeof setOfResources> =>
    setOfResources(
      type,
      all.filter(({ typeUrl }) => typeUrl === type),
    )
  return proxyResources(api, buildSnapshot(types.map(setOf)))
}

function questionOf({ ground }: Placed, { host, ...request }: TableRequest): RequestQuestion {
  return { ...request, scheme: 'http', authority: host, listener: `${ground.name}/http`, port: ground.port }
}

async function send({ ground }: Placed, { method, path, host, headers }: TableRequest, agent: Agent): Promise<Seen> {
  const own = { ...Object.fromEntries(headers), host }
  const options = { host: ground.address, port: ground.port, method, path, headers: own, agent }
  const outcome = await outcomeOf(httpRequest(options), 10_000)
  if ('reason' in outcome) throw new Error(outcome.reason)
  return outcome
}

/** Envoy did what is said. Its own answers to a gRPC request are gRPC's: 200, and the status in a header. */
function isWhatIsSaid(placed: Placed, request: TableRequest, said: RequestOutcome, seen: Seen): boolean {
  const { status, headers, body } = seen
  const isOwnGrpc = headers['grpc-status'] !== undefined
  const isOwn = (wanted: number | undefined): boolean => isOwnGrpc || status === wanted
  switch (said.action) {
    case 'forward': {
      const { path = request.path, host = request.host, clusters } = said
      const services = placed.table.services.filter((service) =>
        clusters.some(({ name, share }) => share > 0 && name === serviceName(placed.ground, service)),
      )
      const addresses = services.map((service) => placed.ground.endpointOf(service).address)
      return (
        addresses.includes(headers['x-echo-address'] as string) &&
        headers['x-echo-path'] === path &&
        headers['x-echo-host'] === host
      )
    }
    case 'respond':
      return isOwn(said.status) && (isOwnGrpc || body === (said.body ?? '')) && headers['x-echo-path'] === undefined
    case 'redirect':
      return isOwn(said.status) && headers.location === said.location
    case 'not-found':
      return isOwn(404) && headers['x-echo-path'] === undefined && body === ''
    case 'closed':
    case 'unknown':
      return false
  }
}

/** The smallest table of which the same is said, with the rule in it that Envoy took. */
function shrunk(placed: Placed, request: TableRequest, seen: Seen): RouteTable {
  const told = (table: RouteTable): string => {
    const { outcomes } = answerOf(resourcesOf({ ...placed, table }), questionOf(placed, request))
    return JSON.stringify(outcomes.map(({ action, clusters, body, location }) => [action, clusters, body, location]))
  }
  const taken = placed.table.services.find(
    (service) => placed.ground.endpointOf(service).address === seen.headers['x-echo-address'],
  )
  const holdsTaken = ({ routes }: RouteTable): boolean =>
    taken === undefined || JSON.stringify(routes).includes(`"service":"${taken}"`)
  const wanted = told(placed.table)
  let table = placed.table
  for (;;) {
    const next = smallerTables(table).find((smaller) => {
      try {
        return holdsTaken(smaller) && told(smaller) === wanted
      } catch {
        return false
      }
    })
    if (next === undefined) return table
    table = next
  }
}

describeEachPlane('and fairlead route', (start) => {
  test('agree on 1,000 requests to tables of chance', async () => {
    const seeds = seedsOf(20)
    const echo = await startEcho()
    const ports: number[] = []
    for (const _ of seeds) ports.push(await lowPort())
    const tables = seeds.map((seed, index): Placed => {
      const endpointOf = (service: string): { address: string; port: number } => ({
        address: `127.${index + 1}.0.${Number(service) + 1}`,
        port: echo,
      })
      const ground = { name: `t${seed}`, address: '127.0.0.1', port: ports[index] as number, endpointOf }
      return { seed, table: randomTable(createRandom(seed), `t${seed}`), ground }
    })
    const config = tempDir()
    for (const { table, ground } of tables)
      writeFileSync(join(config, `${ground.name}.yaml`), documentsOfTable(table, ground))
    const server = await startControlPlane({ config: [config] })
    await server.pipeline.ready
    const errors = server.pipeline.problems.filter(({ severity }) => severity === 'error')
    expect(errors).toEqual([])
    const bootstrap = buildBootstrap({ id: 'edge-1', cluster: 'edge', server: server.server, delta: true })
    const envoy = await start({ bootstrap })
    await envoy.waitLive()
    await Promise.all(tables.map(({ ground }) => envoy.listenerPort(`${ground.name}/http`)))
    expect(await rejections(server)).toBe(0)

    const agent = new Agent({ keepAlive: true, maxSockets: 4 })
    atTestEnd(() => agent.destroy())
    const actions: Record<string, number> = {}
    const play = async (placed: Placed): Promise<void> => {
      const resources = resourcesOf(placed)
      const random = createRandom(placed.seed + 1_000_000)
      for (let index = 0; index < requestsEach; index++) {
        const request = randomRequest(random, placed.table)
        const { outcomes } = answerOf(resources, questionOf(placed, request))
        const seen = await send(placed, request, agent)
        const agreed = outcomes.find((said) => isWhatIsSaid(placed, request, said, seen))
        if (agreed === undefined) {
          const table = shrunk(placed, request, seen)
          const all = { seed: placed.seed, request, said: outcomes, seen, table }
          expect.fail(`the proxy does something else: ${JSON.stringify(all, undefined, 1)}`)
        }
        actions[agreed.action] = (actions[agreed.action] ?? 0) + 1
        if (index > 0) continue
        // What the command says of it, who asks the server.
        const { host, path, method, headers } = request
        const flags = headers.flatMap(([name, value]) => ['-H', `${name}: ${value}`])
        const where = ['--node', 'edge', '--server', server.adminUrl, '--at', `${placed.ground.name}/http`]
        const { out } = await runCommand(['route', ...where, ...flags, method, `http://${host}${path}`, '--json'])
        expect((JSON.parse(out) as { outcomes: unknown }).outcomes).toEqual(outcomes)
      }
    }
    await Promise.all(tables.map(play))
    // A generator that hits nothing, or everything, would prove nothing.
    expect(actions['forward']).toBeGreaterThan(tables.length * 10)
    expect(actions['not-found']).toBeGreaterThan(tables.length)
  })
})
