/**
 * `npm run bench`: what the server costs, against the least that a server on the same gRPC library can cost.
 * `--quick` is a smoke test of the bench itself, `--write` puts the result into docs/benchmarks.md and docs/sizing.md, `--profile DIR`
 * takes CPU profiles of both servers, `--only sotw-100` (or `delta-1000`, `storm`, `clients`, `build`, `mesh`, `proxies`, `crowd`) measures that alone.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { parseArgs } from 'node:util'
import { sizingPage } from '../../scripts/sizing-page.ts'
import { type ClientCrowdFigures, measureClientCrowd } from './client-crowd.ts'
import { type FanOutFigures, measureFanOut } from './fan-out.ts'
import { measureProxyCrowd } from './proxy-crowd.ts'
import { measureProxyThroughput } from './proxy-throughput.ts'
import { report } from './report.ts'
import {
  clientCrowdRows,
  crowdGrowthRows,
  fanOutRows,
  memoryRows,
  proxyCrowdRows,
  proxyRows,
  sidecarChoiceRow,
  sidecarFleetRows,
  snapshotBuildRows,
  stormRows,
  trimmingRow,
} from './rows.ts'
import { measureSidecarChoice } from './sidecar-choice.ts'
import { measureSidecarFleet, type SidecarFleetFigures } from './sidecar-fleet.ts'
import { measureSnapshotBuild } from './snapshot-build.ts'
import { measureStorm } from './storm.ts'
import { isOver, type Row, textTable } from './table.ts'

const { values: flags } = parseArgs({
  options: {
    quick: { type: 'boolean' },
    write: { type: 'boolean' },
    profile: { type: 'string' },
    only: { type: 'string' },
  },
})
const isQuick = flags.quick === true
const isWanted = (part: string): boolean => flags.only === undefined || flags.only === part

const plan = isQuick
  ? {
      clients: 40,
      clusters: [10, 20],
      repetitions: 2,
      changes: 2,
      sizes: [100, 200],
      builds: 2,
      buildChanges: 20,
      fleet: 100,
      crowds: [50, 100],
      crowdChanges: 2,
      mesh: { services: 20, sidecars: 40 },
      meshChanges: 3,
      sharedRouteChanges: 1,
      wholeMeshChanges: 1,
      furtherSidecars: 2,
      proxies: { rounds: 1, ms: 300 },
      crowd: { proxies: 20, clusters: 20, starts: 2 },
    }
  : {
      clients: 1000,
      clusters: [100, 1000],
      repetitions: 5,
      changes: 10,
      sizes: [1000, 10_000],
      builds: 5,
      buildChanges: 100,
      fleet: 5000,
      crowds: [5000, 15_000],
      crowdChanges: 10,
      mesh: { services: 1000, sidecars: 2000 },
      meshChanges: 20,
      sharedRouteChanges: 1,
      wholeMeshChanges: 5,
      furtherSidecars: 20,
      proxies: { rounds: 5, ms: 2000 },
      crowd: { proxies: 1000, clusters: 100, starts: 15 },
    }

/** Server CPU per client over the floor's, by number of clusters. */
const changeLimits: Readonly<Record<number, number>> = { 100: 1.3, 1000: 1.6 }
/** How much more memory a client may take among ten times the clusters, or three times the clients: what measuring it varies by. */
const memoryGrowthLimit = 1.1
/** The most that a server may be while a fleet comes back, over what it is when all are settled. */
const stormMemoryLimit = 1.6
/** Of the floor's, among thousands: a collection looks through what all clients have, which is more of them. */
const crowdChangeLimit = 1.4
/** One change among ten times the services. */
const changeGrowthLimit = 1.5

/** Of what istiod is said to need. */
const istiodLimit = 1
/** A change of the Mesh makes the listeners of all sidecars anew, of what they have alike. */
const meshChangeLimit = 0.5
/** A sidecar more among 2,000 that are chosen by metadata. */
const choiceLimit = 2
/** What a sidecar that calls five services has, of what one has that may call a thousand. */
const trimmingLimit = 0.02

/** Of 2 GB. */
const crowdMemoryLimit = 1
/** The reference proxy does at least 0.7 of what a bare one does. */
const bareProxyLimit = 1 / 0.7

const startedAt = performance.now()
const say = (line: string): void => {
  console.error(`${((performance.now() - startedAt) / 1000).toFixed(0).padStart(4)} s  ${line}`)
}

if (flags.profile !== undefined) mkdirSync(flags.profile, { recursive: true })
const rows: Row[] = []
for (const protocol of ['sotw', 'delta'] as const) {
  const byClusters = new Map<number, FanOutFigures>()
  for (const clusters of plan.clusters) {
    if (!isWanted(`${protocol}-${clusters}`)) continue
    const { clients, repetitions, changes } = plan
    const label = `${protocol}, ${clients} clients, ${clusters} clusters`
    const figures = await measureFanOut({
      protocol,
      clients,
      clusters,
      repetitions,
      changes,
      profiles: flags.profile,
      say: (line) => say(`${label}: ${line}`),
    })
    byClusters.set(clusters, figures)
    rows.push(...fanOutRows(label, figures, isQuick ? undefined : changeLimits[clusters]))
  }
  rows.push(...memoryRows(`${protocol}, ${plan.clients} clients`, byClusters, isQuick ? undefined : memoryGrowthLimit))
}
if (isWanted('storm')) {
  for (const protocol of ['sotw', 'delta'] as const) {
    const clusters = plan.clusters[0] as number
    const label = `${protocol}, ${plan.fleet} clients, ${clusters} clusters`
    const figures = await measureStorm({
      protocol,
      clients: plan.fleet,
      clusters,
      say: (line) => say(`${label}: ${line}`),
    })
    rows.push(...stormRows(label, figures, isQuick ? undefined : stormMemoryLimit))
  }
}
if (isWanted('clients')) {
  const byClients = new Map<number, ClientCrowdFigures>()
  for (const clients of plan.crowds) {
    const clusters = plan.clusters[0] as number
    const label = `fleet, delta, ${clients} clients, ${clusters} clusters`
    const figures = await measureClientCrowd({
      protocol: 'delta',
      clients,
      clusters,
      changes: plan.crowdChanges,
      say: (line) => say(`${label}: ${line}`),
    })
    byClients.set(clients, figures)
    rows.push(...clientCrowdRows(label, figures, isQuick ? undefined : crowdChangeLimit))
  }
  rows.push(...crowdGrowthRows('fleet, delta', byClients, isQuick ? undefined : memoryGrowthLimit))
}
if (isWanted('build')) {
  const { sizes, builds: repetitions, buildChanges: changes } = plan
  const meshes = await measureSnapshotBuild({ sizes, repetitions, changes, say })
  rows.push(...snapshotBuildRows(meshes, isQuick ? undefined : changeGrowthLimit))
}
if (isWanted('mesh')) {
  const measure = async (calls: number | undefined): Promise<SidecarFleetFigures> => {
    const { services, sidecars } = plan.mesh
    const label = `mesh, ${services} services, ${sidecars} sidecars that call ${calls ?? 'all'}`
    const figures = await measureSidecarFleet({
      shape: { services, sidecars, calls },
      endpointChanges: plan.meshChanges,
      // Without `calls` all share one route configuration, and a change of it is hundreds of megabytes.
      routeChanges: calls === undefined ? plan.sharedRouteChanges : plan.meshChanges,
      meshChanges: plan.wholeMeshChanges,
      say: (line) => say(`${label}: ${line}`),
    })
    const meshLimit = isQuick || calls === undefined ? undefined : meshChangeLimit
    rows.push(...sidecarFleetRows(label, figures, isQuick ? undefined : istiodLimit, meshLimit))
    return figures
  }
  const chosen = { ...plan.mesh, calls: 5 }
  const label = `mesh, ${chosen.services} services, ${chosen.sidecars} sidecars that call 5`
  const choice = await measureSidecarChoice(chosen, plan.furtherSidecars, say)
  rows.push(sidecarChoiceRow(label, choice, isQuick ? undefined : choiceLimit))
  rows.push(trimmingRow(await measure(5), await measure(undefined), isQuick ? undefined : trimmingLimit))
}
if (isWanted('proxies')) {
  const figures = await measureProxyThroughput({ ...plan.proxies, say })
  rows.push(...proxyRows(figures, isQuick ? undefined : bareProxyLimit))
}
if (isWanted('crowd')) {
  const label = `reference proxies, ${plan.crowd.proxies} in a process, ${plan.crowd.clusters} clusters each`
  const figures = await measureProxyCrowd({ ...plan.crowd, say: (line) => say(`${label}: ${line}`) })
  rows.push(...proxyCrowdRows(label, figures, isQuick ? undefined : crowdMemoryLimit))
}

console.log(textTable(rows))
const over = rows.filter(isOver)
if (over.length > 0) {
  console.error(`over the limit: ${over.map(({ what }) => what).join('; ')}`)
  process.exitCode = 1
}
if (flags.write === true && !isQuick && flags.only === undefined) {
  const library = JSON.parse(
    readFileSync(new URL('../../node_modules/@grpc/grpc-js/package.json', import.meta.url), 'utf8'),
  ) as { readonly version: string }
  const machine = {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.version,
    grpc: library.version,
  }
  const page = report(rows, machine)
  writeFileSync(new URL('../../docs/benchmarks.md', import.meta.url), page)
  // As `npm run docs` would.
  writeFileSync(new URL('../../docs/sizing.md', import.meta.url), sizingPage(page))
}
