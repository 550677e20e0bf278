import { expect, test } from 'vitest'
import { metric } from '../support/control-plane.ts'
import { isLong } from '../support/conversation.ts'
import { createFileStore } from '../support/document-store.ts'
import { type Changes, cluster, endpoints, removed, routeConfiguration, secret } from '../support/documents.ts'
import { type H2Connection, openConnection } from '../support/h2-client.ts'
import { eventually } from '../support/poll.ts'
import { createRandom, type Random, seedsOf } from '../support/random.ts'
import { honestRequest, type Known, probeOf, randomRequest } from '../support/random-request.ts'
import { startServer } from '../support/server-process.ts'
import { aggregatedMethod, openStream, type Protocol, typeUrlOf } from '../support/wire-client.ts'

const requests = Number(process.env['FAIRLEAD_TEST_REQUESTS'] ?? (isLong ? 100_000 : 5_000))

/** For an answer, however busy the machine is. */
const patienceMs = 30_000

/** What the server may have grown to: it begins at a quarter of it. */
const mostBytes = 768 * 1024 * 1024

/** Streams that are open at a time, over so many connections. */
const streams = 20
const connections = 4

interface Service {
  readonly path: string
  readonly typeUrl: string | undefined
}

const ads = (protocol: Protocol): Service => ({ path: aggregatedMethod(protocol).path, typeUrl: undefined })
const service = (name: string, type: string): Service => ({ path: `/envoy.service.${name}`, typeUrl: typeUrlOf(type) })

const services: Readonly<Record<Protocol, readonly Service[]>> = {
  sotw: [
    ads('sotw'),
    ads('sotw'),
    service('cluster.v3.ClusterDiscoveryService/StreamClusters', 'cluster'),
    service('endpoint.v3.EndpointDiscoveryService/StreamEndpoints', 'endpoint'),
  ],
  delta: [
    ads('delta'),
    ads('delta'),
    service('cluster.v3.ClusterDiscoveryService/DeltaClusters', 'cluster'),
    service('route.v3.VirtualHostDiscoveryService/DeltaVirtualHosts', 'virtualHost'),
  ],
}

/** Some of `a`, `b` and `c`, each in one of three editions. */
function randomDocuments(random: Random): Changes {
  const names = (): string[] => random.some(['a', 'b', 'c'], 1 + random.below(3))
  const seconds = (): string => `${1 + random.below(3)}s`
  const backend = (): { host: string; port: number } => ({ host: '127.0.0.1', port: 1 + random.below(3) })
  const some: readonly Changes[] = [
    ...names().map((name) => cluster(name, { connect_timeout: seconds() })),
    ...names().map((name) => endpoints(name, backend())),
    ...names().map((name) => routeConfiguration(name, { max_direct_response_body_size_bytes: 1 + random.below(3) })),
    ...names().map((name) => secret(name, { generic_secret: { secret: { inline_string: seconds() } } })),
    ...['a', 'b', 'c'].map((name) => removed(`cluster/${name}`)),
  ]
  // The last word counts.
  return Object.assign({}, ...some.toReversed())
}

interface Totals {
  sent: number
  readonly ends: Record<string, number>
}

/** Bytes that are no gRPC message: a compressed one that is none, one that is too long, one that never comes to its end. */
const brokenFrames: readonly Buffer[] = [
  Buffer.from([1, 0, 0, 0, 3, 1, 2, 3]),
  Buffer.from([0, 0xff, 0xff, 0xff, 0xff, 1]),
  Buffer.from([0, 0, 0, 1, 0, 1]),
  Buffer.from([9, 0, 0, 0, 0]),
]

/** One client: says a few things at random, and goes in one way or another. Resolves when its stream is over. */
async function playStream(connection: H2Connection, random: Random, totals: Totals, id: string): Promise<void> {
  const protocol = random.pick(['sotw', 'delta'] as const)
  const { path, typeUrl } = random.pick(services[protocol])
  const { readResponse } = aggregatedMethod(protocol)
  const responses: { nonce: string; typeUrl: string }[] = []
  const stream = connection.open(path)
  const probes = new Map<string, () => void>()
  stream.onMessage = (message) => {
    const response = readResponse(message)
    responses.push(response)
    probes.get(response.typeUrl)?.()
  }
  /** Until the server has taken all that was said, or ended the stream. */
  const probe = (): Promise<unknown> => {
    const url = `type.googleapis.com/${id}.${probes.size}`
    const answered = new Promise<void>((resolve) => probes.set(url, resolve))
    stream.send(probeOf(protocol, url))
    return Promise.race([answered, stream.over])
  }
  // Most begin as they should, or what they say later would never be heard.
  const isHonestFirst = random.chance(0.95)
  for (let left = 1 + random.below(60), index = 0; left > 0 && !stream.isOver; left--, index++) {
    const known: Known = { id, protocol, isFirst: index === 0, typeUrl, responses }
    stream.send(index === 0 && isHonestFirst ? honestRequest(random, known) : randomRequest(random, known))
    totals.sent += 1
    if (typeUrl === undefined && random.chance(0.3)) await probe()
  }
  if (random.chance(0.03)) stream.write(random.pick(brokenFrames))
  // The last ones stay until their connection ends.
  const end = random.pick(['end', 'end', 'reset', 'stay'])
  if (end === 'end') stream.end()
  if (end === 'reset') stream.reset()
  if (end !== 'stay') await stream.over
  totals.ends[end] = (totals.ends[end] ?? 0) + 1
}

/** A client as it should be is answered, whatever others say. Gives the names of its clusters. */
async function askHonestly(port: number, protocol: Protocol): Promise<readonly string[]> {
  const stream = openStream({ port, protocol })
  const wildcard = protocol === 'sotw' ? { resource_names: ['*'] } : { resource_names_subscribe: ['*'] }
  stream.send({ node: { id: 'honest', cluster: 'edge' }, type_url: typeUrlOf('cluster'), ...wildcard })
  const { resources } = await stream.next(patienceMs)
  stream.end()
  expect(await stream.closed).toMatchObject({ code: 'OK' })
  return resources.map(({ name }) => name).sort()
}

for (const seed of seedsOf(1)) {
  test(`${requests} random and broken requests neither end the server nor leave a stream behind (seed ${seed})`, {
    timeout: 600_000,
  }, async () => {
    const random = createRandom(seed)
    const store = createFileStore()
    await store.write(randomDocuments(random))
    const server = await startServer({ ...store.flags, debounce: '10ms' })
    const port = Number(server.server.split(':')[1])
    const open = Array.from({ length: connections }, () => openConnection(port))
    const totals: Totals = { sent: 0, ends: {} }
    let lastStream = 0
    let honestClients = 0
    const player = async (): Promise<void> => {
      while (totals.sent < requests) {
        // Each has a generator of its own, so that it says the same whatever the others do.
        lastStream += 1
        const own = createRandom(seed * 1_000_003 + lastStream)
        const at = lastStream % connections
        await playStream(open[at] as H2Connection, own, totals, `fuzz-${lastStream}`)
        if (own.chance(0.02) || open[at]?.isOpen === false) {
          open[at]?.destroy()
          open[at] = openConnection(port)
        }
        if (lastStream % 10 === 0) await store.write(randomDocuments(random))
      }
    }
    const honest = async (): Promise<void> => {
      while (totals.sent < requests) {
        for (const protocol of ['sotw', 'delta'] as const) {
          expect(await askHonestly(port, protocol)).not.toEqual([])
          honestClients += 1
        }
      }
    }
    await Promise.all([honest(), ...Array.from({ length: streams }, player)])
    await store.write({ ...removed('cluster/a', 'cluster/b', 'cluster/c'), ...cluster('y'), ...cluster('z') })
    for (const protocol of ['sotw', 'delta'] as const) {
      await eventually(async () => (await askHonestly(port, protocol)).join() === 'y,z')
    }

    for (const connection of open) connection.destroy()
    await eventually(async () => (await metric(server, 'fairlead_streams')) === 0)
    const residentBytes = await metric(server, 'process_resident_memory_bytes')
    expect(residentBytes).toBeLessThan(mostBytes)
    const errors = server
      .log()
      .split('\n')
      .filter((line) => line.includes('"level":50') || line.includes('"level":60'))
    expect(errors).toEqual([])
    console.log(
      `${totals.sent} requests on ${lastStream} streams: ${JSON.stringify(totals.ends)}; ${honestClients} honest clients were answered meanwhile; the server has ${Math.round(residentBytes / 1024 / 1024)} MiB (seed ${seed})`,
    )
  })
}
