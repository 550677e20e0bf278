import type { ClientCrowdFigures } from './client-crowd.ts'
import type { FanOutFigures, ServerFigures } from './fan-out.ts'
import type { Usage } from './meter.ts'
import type { ProxyCrowdFigures } from './proxy-crowd.ts'
import type { ProxyFigures, ProxyThroughput } from './proxy-throughput.ts'
import type { SidecarChoiceFigures } from './sidecar-choice.ts'
import type { SidecarFleetFigures } from './sidecar-fleet.ts'
import type { SnapshotBuildFigures } from './snapshot-build.ts'
import type { StormFigures } from './storm.ts'
import { median, type Row } from './table.ts'

const us = (value: number): string => `${value.toFixed(0)} µs`
const ms = (value: number): string => (value < 10 ? `${value.toFixed(2)} ms` : `${value.toFixed(0)} ms`)
const perCore = (microseconds: number): string => `${(1e6 / microseconds).toFixed(0)} /s`
const kB = (value: number): string => `${(value / 1000).toFixed(1)} kB`
const MB = (value: number): string => `${(value / 1e6).toFixed(0)} MB`
const cpu = (value: number): string => `${value.toFixed(2)} CPU`

/** One server against the other: the median of the ratios of neighbouring rounds, which saw the same machine. */
function compared(
  what: string,
  { product, floor }: FanOutFigures,
  figure: 'changeUs' | 'lastAckMs' | 'stormUs' | 'stormMs',
  format: (value: number) => string,
  limit?: number,
): Row {
  const ratio = median(product[figure]) / median(floor[figure])
  return { what, product: format(median(product[figure])), floor: format(median(floor[figure])), ratio, limit }
}

export function fanOutRows(label: string, figures: FanOutFigures, limit: number | undefined): Row[] {
  const { pushBytes, firstBytes, product, floor } = figures
  return [
    compared(`${label}: CPU per client of one endpoint change (${kB(pushBytes)})`, figures, 'changeUs', us, limit),
    compared(`${label}: one endpoint change to the last ACK`, figures, 'lastAckMs', ms),
    compared(`${label}: CPU per client of a connect storm (${kB(firstBytes)})`, figures, 'stormUs', us),
    compared(`${label}: connect storm to the last ACK`, figures, 'stormMs', ms),
    plain(`${label}: memory of the process`, MB(product.residentBytes), MB(floor.residentBytes)),
  ]
}

/** `changeLimit`: of what a change costs the floor. Where clients are counted by the second, the ratio is that of their costs. */
export function clientCrowdRows(
  label: string,
  { product, floor, pushBytes, firstBytes }: ClientCrowdFigures,
  changeLimit: number | undefined,
): Row[] {
  const against = (
    what: string,
    [own, others]: readonly [number, number],
    format: (value: number) => string,
    limit?: number,
  ): Row => ({ what: `${label}: ${what}`, product: format(own), floor: format(others), ratio: own / others, limit })
  const changeUs = [median(product.changeUs), median(floor.changeUs)] as const
  return [
    against(`clients that one core tells of a change (${kB(pushBytes)})`, changeUs, perCore, changeLimit),
    against('one endpoint change to the last ACK', [median(product.lastAckMs), median(floor.lastAckMs)], ms),
    against(
      `clients that one core takes in a cold storm (${kB(firstBytes)})`,
      [product.stormUs, floor.stormUs],
      perCore,
    ),
    against('cold storm to the last ACK', [product.stormMs, floor.stormMs], ms),
    against('live memory per client', [product.liveBytesPerClient, floor.liveBytesPerClient], kB),
    against('peak memory of the process per client', [product.peakBytesPerClient, floor.peakBytesPerClient], kB),
    against('peak memory of the process', [product.peakBytes, floor.peakBytes], MB),
  ]
}

/** What a client takes among many, against among few. */
export function crowdGrowthRows(
  label: string,
  byClients: ReadonlyMap<number, ClientCrowdFigures>,
  limit: number | undefined,
): Row[] {
  const [few, many] = [...byClients]
  if (few === undefined || many === undefined) return []
  const [a, b] = [few[1].product.liveBytesPerClient, many[1].product.liveBytesPerClient]
  const what = `${label}: live memory per client, ${many[0]} clients against ${few[0]}`
  return [{ what, product: kB(b), floor: kB(a), ratio: b / a, limit }]
}

/** Memory per client among few and among many clusters. */
export function memoryRows(
  label: string,
  byClusters: ReadonlyMap<number, FanOutFigures>,
  limit: number | undefined,
): Row[] {
  const perClient = ({ bytesPerClient }: ServerFigures): number => bytesPerClient
  const rows = [...byClusters].map(([clusters, { product, floor }]): Row => {
    const what = `${label}, ${clusters} clusters: memory per client`
    const ratio = perClient(product) / perClient(floor)
    return { what, product: kB(perClient(product)), floor: kB(perClient(floor)), ratio, limit: undefined }
  })
  const [few, many] = [...byClusters]
  if (few === undefined || many === undefined) return rows
  const [a, b] = [perClient(few[1].product), perClient(many[1].product)]
  const what = `${label}: memory per client, ${many[0]} clusters against ${few[0]}`
  return [...rows, { what, product: kB(b), floor: kB(a), ratio: b / a, limit }]
}

export function snapshotBuildRows(meshes: readonly SnapshotBuildFigures[], changeLimit: number | undefined): Row[] {
  const rows = meshes.flatMap(({ services, builds }) => [
    plain(`snapshot of ${services} services, from YAML`, ms(median(builds.map(({ fromTextsMs }) => fromTextsMs)))),
    plain(
      `snapshot of ${services} services, from parsed documents`,
      ms(median(builds.map(({ fromUnitsMs }) => fromUnitsMs))),
    ),
  ])
  const [few, many] = meshes
  if (few === undefined || many === undefined) return rows
  const label = `one endpoint change among ${many.services} services against ${few.services}`
  const cpus = [many, few].map(({ changes }) => median(changes.map(({ cpuUs }) => cpuUs))) as [number, number]
  const wall = [many, few].map(({ changes }) => median(changes.map(({ wallMs }) => wallMs))) as [number, number]
  return [
    ...rows,
    { what: `${label}: CPU`, product: us(cpus[0]), floor: us(cpus[1]), ratio: cpus[0] / cpus[1], limit: changeLimit },
    { what: `${label}: time`, product: ms(wall[0]), floor: ms(wall[1]), ratio: wall[0] / wall[1], limit: changeLimit },
  ]
}

/** `memoryLimit`: how much larger the server may get than it is with everybody settled. */
export function stormRows(label: string, figures: StormFigures, memoryLimit: number | undefined): Row[] {
  const { lastAckMs, firstAnswerP99Ms, peakBytes, settledBytes } = figures
  const memory = { product: MB(peakBytes), floor: MB(settledBytes), ratio: peakBytes / settledBytes }
  return [
    plain(`${label}: all come back at once, to the last ACK`, ms(lastAckMs)),
    plain(`${label}: all come back at once, first answer, 99%`, ms(firstAnswerP99Ms)),
    { what: `${label}: peak memory of the process against settled`, ...memory, limit: memoryLimit },
  ]
}

/** What istiod's own page on performance says that it needs for 1,000 services and 2,000 sidecars. */
const istiod = { bytes: 1.5e9, cpus: 1 }

/**
 * `limit`: of what istiod needs; undefined for a mesh of another size. Who calls everything is told of every change.
 * `meshLimit`: of what the first snapshots take.
 */
export function sidecarFleetRows(
  label: string,
  figures: SidecarFleetFigures,
  limit: number | undefined,
  meshLimit: number | undefined,
): Row[] {
  const { shape, buildMs, connectMs, residentBytes, busyCpus, endpointChanges, routeChanges, callers } = figures
  const { meshChanges } = figures
  const makingMs = median(meshChanges.map((one) => one.makingMs))
  const changeRows = (what: string, changes: readonly Usage[]): Row[] => [
    plain(`${label}: CPU of one ${what} change, to ${callers} sidecars`, ms(median(changes.map((one) => one.cpuMs)))),
    plain(`${label}: one ${what} change to the last ACK`, ms(median(changes.map((one) => one.wallMs)))),
  ]
  const memory = { product: MB(residentBytes), floor: MB(istiod.bytes), ratio: residentBytes / istiod.bytes }
  const busy = { product: cpu(busyCpus), floor: cpu(istiod.cpus), ratio: busyCpus / istiod.cpus }
  return [
    plain(`${label}: snapshots from YAML`, ms(buildMs)),
    plain(`${label}: all connect, to the last ACK`, ms(connectMs)),
    ...changeRows('endpoint', endpointChanges),
    ...changeRows('route', routeChanges),
    {
      what: `${label}: one Mesh change, until all is made anew, against the first snapshots`,
      product: ms(makingMs),
      floor: ms(buildMs),
      ratio: makingMs / buildMs,
      limit: meshLimit,
    },
    plain(
      `${label}: one Mesh change to the last ACK of ${shape.sidecars}`,
      ms(median(meshChanges.map(({ wallMs }) => wallMs))),
    ),
    { what: `${label}: memory of the process against istiod's`, ...memory, limit },
    {
      what: `${label}: CPU at ten endpoint changes a second against istiod's`,
      ...busy,
      limit: shape.calls === undefined ? undefined : limit,
    },
  ]
}

/** `limit`: how much longer it may take by metadata. */
export function sidecarChoiceRow(label: string, figures: SidecarChoiceFigures, limit: number | undefined): Row {
  const [metadata, cluster] = [median(figures.metadata), median(figures.cluster)]
  return {
    what: `${label}: one sidecar more, all chosen by metadata against by cluster`,
    product: ms(metadata),
    floor: ms(cluster),
    ratio: metadata / cluster,
    limit,
  }
}

/** `limit`: the share of what a sidecar has that may call everything. */
export function trimmingRow(
  trimmed: SidecarFleetFigures,
  untrimmed: SidecarFleetFigures,
  limit: number | undefined,
): Row {
  const { shape, firstBytes } = trimmed
  const what = `first answers to a sidecar that calls ${shape.calls} of ${shape.services} services against all`
  const ratio = firstBytes / untrimmed.firstBytes
  return { what, product: kB(firstBytes), floor: kB(untrimmed.firstBytes), ratio, limit }
}

const plain = (what: string, product: string, floor = ''): Row => ({
  what,
  product,
  floor,
  ratio: undefined,
  limit: undefined,
})

/** The reference proxy against a bare one: its requests over what the other does in the same time. */
export function proxyRows({ reference, bare, envoy }: ProxyThroughput, limit: number | undefined): Row[] {
  const rate = ({ requestsPerS }: ProxyFigures): string => `${requestsPerS.toFixed(0)} rq/s`
  const against = (name: string, other: ProxyFigures, bound: number | undefined): Row[] => [
    {
      what: `reference proxy against ${name}: time for as many requests, HTTP/1.1, 1 kB`,
      product: rate(reference),
      floor: rate(other),
      ratio: other.requestsPerS / reference.requestsPerS,
      limit: bound,
    },
    {
      what: `reference proxy against ${name}: what it adds to the p99 at 300 requests/s`,
      product: ms(reference.addedP99Ms),
      floor: ms(other.addedP99Ms),
      ratio: undefined,
      limit: undefined,
    },
  ]
  return [
    ...against("Node's http", bare, limit),
    ...(envoy === undefined ? [] : against('a stock Envoy of one thread', envoy, undefined)),
  ]
}

/** What the machine of a developer has to spare. */
const developersBytes = 2e9

/** `limit`: of what a crowd may take; undefined for a smaller one. */
export function proxyCrowdRows(label: string, figures: ProxyCrowdFigures, limit: number | undefined): Row[] {
  const { liveMs, envoyLiveMs, allLiveMs, residentBytes, peakBytes } = figures
  const live = median(liveMs)
  const envoy = envoyLiveMs && median(envoyLiveMs)
  const memory = { product: MB(peakBytes), floor: MB(developersBytes), ratio: peakBytes / developersBytes }
  return [
    {
      what: `${label}: until one is live, in a process that runs, against a stock Envoy`,
      product: ms(live),
      floor: envoy === undefined ? '' : ms(envoy),
      ratio: envoy && live / envoy,
      limit: undefined,
    },
    plain(`${label}: until all are live`, ms(allLiveMs)),
    plain(`${label}: memory of the process, settled`, MB(residentBytes)),
    { what: `${label}: peak memory of the process against 2 GB`, ...memory, limit },
  ]
}
