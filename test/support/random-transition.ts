import type { Random } from './random.ts'
import {
  backendsOf,
  type ClusterSpec,
  constantHost,
  type Ground,
  hosts,
  isTlsService,
  type ListenerSpec,
  type Routes,
  type Table,
  type Target,
  type Trust,
  type World,
} from './random-world.ts'

/** What each step of a transition knows: a world that it may change, and what all worlds have in common. */
interface Step {
  readonly world: World
  readonly random: Random
  readonly ground: Ground
}

/** Changes the world and says how, or finds nothing to do. */
type Act = (step: Step) => string | undefined

export interface Transition {
  readonly world: World
  /** In words, for whoever looks at a failing seed. */
  readonly acts: readonly string[]
}

const numbered = (word: string, count: number): readonly string[] =>
  Array.from({ length: count }, (_, index) => `${word}${index}`)

/** Few, so that a name that was removed soon comes back as another thing. */
const names = {
  clusters: numbered('c', 12),
  plainServices: numbered('svc-', 8),
  tlsServices: numbered('tls-', 6),
  tables: numbered('t', 6),
  secrets: numbered('cert-', 5),
  trusts: numbered('ca-', 4),
  listeners: numbered('l', 6),
} as const

const maxClusters = 8
const maxListeners = 4
const triesOfAnAct = 20

/** A world to begin with: both constant listeners, a few clusters. */
export function firstWorld(random: Random, ground: Ground): World {
  const world: World = { services: {}, clusters: {}, tables: {}, listeners: {}, secrets: {}, trusts: {} }
  const step = { world, random, ground }
  for (let index = 0; index < 5; index++) addCluster(step)
  const table = newTable(step)
  world.tables['t0'] = table
  const [plain, tls] = ground.ports as [number, number]
  world.secrets['cert-0'] = 0
  world.listeners['l0'] = { ...newListener(plain), routes: { by: 'rds', name: 't0' } }
  world.listeners['l1'] = {
    ...newListener(tls),
    routes: { by: 'rds', name: 't0' },
    tls: { by: 'secret', name: 'cert-0' },
  }
  return world
}

/** One to four things at once, as people and programs change configuration; the result is sound. */
export function nextWorld(before: World, random: Random, ground: Ground): Transition {
  for (;;) {
    const world = structuredClone(before)
    const step = { world, random, ground }
    const acts: string[] = []
    const wanted = random.chance(0.4) ? 1 : 2 + random.below(3)
    for (let tries = 0; acts.length < wanted && tries < triesOfAnAct; tries++) {
      const said = random.pick(everyAct)(step)
      if (said !== undefined) acts.push(said)
    }
    sweep(step)
    if (isSound(world, ground) && JSON.stringify(world) !== JSON.stringify(before)) return { world, acts }
  }
}

// ---- what is free, what is there

function freeName(taken: object, pool: readonly string[], random: Random): string | undefined {
  const free = pool.filter((name) => !(name in taken))
  return free.length === 0 ? undefined : random.pick(free)
}

const clusterNames = ({ world }: Step): string[] => Object.keys(world.clusters)

function someBackends({ random, ground }: Step, isTls: boolean): number[] {
  const all = backendsOf(isTls, ground).map((_, index) => index)
  return random.some(all, 1 + random.below(all.length)).sort((a, b) => a - b)
}

function newTrust({ world, random, ground }: Step): Trust {
  const name = random.chance(0.7) ? freeName({}, names.trusts, random) : undefined
  const bundle = random.below(ground.bundles.length)
  if (name === undefined) return { by: 'inline', bundle }
  world.trusts[name] ??= bundle
  return { by: 'secret', name }
}

function newSpec(step: Step): ClusterSpec {
  const { world, random } = step
  const isTls = random.chance(0.3)
  const spec: ClusterSpec = {
    kind: random.chance(0.75) ? 'eds' : 'static',
    service: '',
    backends: [],
    members: [],
    trust: isTls ? newTrust(step) : undefined,
    timeout: 15,
  }
  const simple = clusterNames(step).filter((name) => world.clusters[name]?.kind !== 'aggregate')
  if (simple.length > 2 && random.chance(0.1)) {
    return { ...spec, kind: 'aggregate', trust: undefined, members: random.some(simple, 2) }
  }
  if (spec.kind === 'static') return { ...spec, backends: someBackends(step, isTls) }
  // Now and then one that another cluster has, too.
  spec.service = random.pick(isTls ? names.tlsServices : names.plainServices)
  world.services[spec.service] ??= someBackends(step, isTls)
  return spec
}

function newTarget(step: Step): Target {
  const { random } = step
  const all = clusterNames(step)
  return {
    clusters: random.some(all, random.chance(0.3) ? 3 : 1),
    mirror: random.chance(0.2) ? random.pick(all) : undefined,
  }
}

function newTable(step: Step): Table {
  const others = step.random.some(hosts.slice(1), step.random.below(hosts.length))
  return Object.fromEntries([constantHost, ...others].map((host) => [host, newTarget(step)]))
}

function newRoutes(step: Step): Routes {
  const { world, random } = step
  if (random.chance(0.4)) return { by: 'inline', table: newTable(step) }
  const name = random.pick(names.tables)
  world.tables[name] ??= newTable(step)
  return { by: 'rds', name }
}

function newListener(port: number): Omit<ListenerSpec, 'routes'> {
  return { port, tcp: undefined, tls: undefined, isStrict: false, buffer: 0, idleMinutes: 60 }
}

function newCertificate({ world, random, ground }: Step): NonNullable<ListenerSpec['tls']> {
  const number = random.below(ground.certificates.length)
  if (random.chance(0.3)) return { by: 'inline', certificate: number }
  const name = random.pick(names.secrets)
  world.secrets[name] ??= number
  return { by: 'secret', name }
}

/** Every table, wherever it is: but those of TCP proxies, which are not asked. */
function tablesOf({ listeners, tables }: World): Table[] {
  const inline = Object.values(listeners).flatMap(({ routes, tcp }) =>
    routes.by === 'inline' && tcp === undefined ? [routes.table] : [],
  )
  return [...Object.values(tables), ...inline]
}

/** Replaces what every list of cluster names says. */
function mapClusterNames(world: World, map: (name: string) => string): void {
  const all = (list: readonly string[]): string[] => [...new Set(list.map(map))]
  for (const table of tablesOf(world)) {
    for (const target of Object.values(table)) {
      target.clusters = all(target.clusters)
      if (target.mirror !== undefined) target.mirror = map(target.mirror)
    }
  }
  for (const spec of Object.values(world.listeners)) if (spec.tcp) spec.tcp = all(spec.tcp)
  for (const spec of Object.values(world.clusters)) spec.members = all(spec.members)
}

const isConstant = ({ port }: ListenerSpec, { ports }: Ground): boolean => ports.indexOf(port) < 2

function pickEntry<T>(
  record: Record<string, T>,
  random: Random,
  isWanted: (value: T) => boolean,
): [string, T] | undefined {
  const entries = Object.entries(record).filter(([, value]) => isWanted(value))
  return entries.length === 0 ? undefined : random.pick(entries)
}

function rename<T>(record: Record<string, T>, from: string, to: string): void {
  record[to] = record[from] as T
  delete record[from]
}

// ---- clusters and endpoints

function addCluster(step: Step): string | undefined {
  const { world, random } = step
  const name = freeName(world.clusters, names.clusters, random)
  if (name === undefined || clusterNames(step).length >= maxClusters) return undefined
  world.clusters[name] = newSpec(step)
  return `add cluster ${name}`
}

const removeCluster: Act = (step) => {
  const { world, random } = step
  if (clusterNames(step).length < 3) return undefined
  const [gone, heir] = random.some(clusterNames(step), 2) as [string, string]
  delete world.clusters[gone]
  mapClusterNames(world, (name) => (name === gone ? heir : name))
  return `remove cluster ${gone} for ${heir}`
}

const renameCluster: Act = (step) => {
  const { world, random } = step
  const to = freeName(world.clusters, names.clusters, random)
  if (to === undefined) return undefined
  const from = random.pick(clusterNames(step))
  rename(world.clusters, from, to)
  mapClusterNames(world, (name) => (name === from ? to : name))
  return `rename cluster ${from} ${to}`
}

/** Under new names all at once, as a new generation of them would come. */
const renameAllClusters: Act = (step) => {
  const { world, random } = step
  const free = names.clusters.filter((name) => !(name in world.clusters))
  const all = clusterNames(step)
  if (free.length < all.length) return undefined
  const chosen = random.some(free, all.length)
  const next = new Map(all.map((name, index) => [name, chosen[index] as string]))
  for (const [from, to] of next) rename(world.clusters, from, to)
  mapClusterNames(world, (name) => next.get(name) ?? name)
  return 'rename all clusters'
}

const swapClusters: Act = (step) => {
  const { world, random } = step
  const [a, b] = random.some(clusterNames(step), 2)
  if (a === undefined || b === undefined) return undefined
  const [ofA, ofB] = [world.clusters[a] as ClusterSpec, world.clusters[b] as ClusterSpec]
  world.clusters[a] = ofB
  world.clusters[b] = ofA
  return `swap clusters ${a} ${b}`
}

const swapUsers: Act = (step) => {
  const { world, random } = step
  const [a, b] = random.some(clusterNames(step), 2)
  if (a === undefined || b === undefined) return undefined
  mapClusterNames(world, (name) => (name === a ? b : name === b ? a : name))
  return `swap the users of clusters ${a} ${b}`
}

const changeCluster: Act = (step) => {
  const name = step.random.pick(clusterNames(step))
  ;(step.world.clusters[name] as ClusterSpec).timeout = 10 + step.random.below(20)
  return `change cluster ${name}`
}

const remakeCluster: Act = (step) => {
  const name = step.random.pick(clusterNames(step))
  step.world.clusters[name] = newSpec(step)
  return `remake cluster ${name}`
}

const changeEndpoints: Act = (step) => {
  const found = pickEntry(step.world.services, step.random, () => true)
  if (found === undefined) return undefined
  step.world.services[found[0]] = someBackends(step, isTlsService(found[0]))
  return `change endpoints ${found[0]}`
}

const changeTrust: Act = (step) => {
  const { world, random } = step
  const found = pickEntry(world.clusters, random, ({ trust }) => trust !== undefined)
  if (found === undefined) return undefined
  found[1].trust = newTrust(step)
  return `change the trust of cluster ${found[0]}`
}

const rotateTrust: Act = ({ world, random, ground }) => {
  const found = pickEntry(world.trusts, random, () => true)
  if (found === undefined) return undefined
  world.trusts[found[0]] = random.below(ground.bundles.length)
  return `rotate bundle ${found[0]}`
}

// ---- routes

const addHost: Act = (step) => {
  const table = step.random.pick(tablesOf(step.world))
  const host = freeName(table, hosts, step.random)
  if (host === undefined) return undefined
  table[host] = newTarget(step)
  return `add host ${host}`
}

const removeHost: Act = ({ world, random }) => {
  const table = random.pick(tablesOf(world))
  const host = random.pick(hosts.slice(1))
  if (table[host] === undefined) return undefined
  delete table[host]
  return `remove host ${host}`
}

const retarget: Act = (step) => {
  const table = step.random.pick(tablesOf(step.world))
  const host = step.random.pick(Object.keys(table))
  table[host] = newTarget(step)
  return `route host ${host} to ${table[host].clusters.join('+')}`
}

const renameTable: Act = ({ world, random }) => {
  const [from] = pickEntry(world.tables, random, () => true) ?? []
  const to = freeName(world.tables, names.tables, random)
  if (from === undefined || to === undefined) return undefined
  rename(world.tables, from, to)
  for (const { routes } of Object.values(world.listeners)) {
    if (routes.by === 'rds' && routes.name === from) routes.name = to
  }
  return `rename routes ${from} ${to}`
}

const moveRoutesInOrOut: Act = ({ world, random }) => {
  const [name, spec] = pickEntry(world.listeners, random, () => true) as [string, ListenerSpec]
  const { routes } = spec
  if (routes.by === 'rds') {
    spec.routes = { by: 'inline', table: structuredClone(world.tables[routes.name] as Table) }
    return `take routes ${routes.name} into listener ${name}`
  }
  const free = freeName(world.tables, names.tables, random)
  if (free === undefined) return undefined
  world.tables[free] = routes.table
  spec.routes = { by: 'rds', name: free }
  return `take the routes of listener ${name} out to ${free}`
}

// ---- listeners

const addListener: Act = (step) => {
  const { world, random, ground } = step
  const taken = Object.values(world.listeners).map(({ port }) => port)
  const port = ground.ports.find((candidate) => !taken.includes(candidate))
  const name = freeName(world.listeners, names.listeners, random)
  if (name === undefined || port === undefined || taken.length >= maxListeners) return undefined
  world.listeners[name] = {
    ...newListener(port),
    routes: newRoutes(step),
    tcp: random.chance(0.25) ? newTarget(step).clusters : undefined,
    tls: random.chance(0.4) ? newCertificate(step) : undefined,
  }
  return `add listener ${name} at ${port}`
}

const removeListener: Act = ({ world, random, ground }) => {
  const found = pickEntry(world.listeners, random, (spec) => !isConstant(spec, ground))
  if (found === undefined) return undefined
  delete world.listeners[found[0]]
  return `remove listener ${found[0]}`
}

const renameListener: Act = ({ world, random }) => {
  const [from] = pickEntry(world.listeners, random, () => true) as [string, ListenerSpec]
  const to = freeName(world.listeners, names.listeners, random)
  if (to === undefined) return undefined
  rename(world.listeners, from, to)
  return `rename listener ${from} ${to}`
}

function freePort({ world, random, ground }: Step): number | undefined {
  const taken = Object.values(world.listeners).map(({ port }) => port)
  const free = ground.ports.filter((port) => !taken.includes(port))
  return free.length === 0 ? undefined : random.pick(free)
}

/** To another port; a new one of its kind takes its place now and then, and always where there must be one. */
const relocateListener: Act = (step) => {
  const { world, random, ground } = step
  const [name, spec] = pickEntry(world.listeners, random, () => true) as [string, ListenerSpec]
  const port = freePort(step)
  const heir = freeName(world.listeners, names.listeners, random)
  const hasHeir = isConstant(spec, ground) || random.chance(0.5)
  if (port === undefined || (hasHeir && (heir === undefined || Object.keys(world.listeners).length >= maxListeners))) {
    return undefined
  }
  if (hasHeir && heir !== undefined) world.listeners[heir] = { ...structuredClone(spec), routes: newRoutes(step) }
  spec.port = port
  return `move listener ${name} to ${port}${hasHeir ? ` and put ${heir} in its place` : ''}`
}

const exchangePorts: Act = ({ world, random }) => {
  const [a, b] = random.some(Object.keys(world.listeners), 2)
  const [ofA, ofB] = [world.listeners[a ?? ''], world.listeners[b ?? '']]
  if (ofA === undefined || ofB === undefined) return undefined
  ;[ofA.port, ofB.port] = [ofB.port, ofA.port]
  return `exchange the ports of listeners ${a} and ${b}`
}

const changeListener: Act = ({ world, random }) => {
  const [name, spec] = pickEntry(world.listeners, random, () => true) as [string, ListenerSpec]
  spec.buffer = random.below(1000)
  return `change listener ${name}`
}

const changeChain: Act = ({ world, random }) => {
  const [name, spec] = pickEntry(world.listeners, random, () => true) as [string, ListenerSpec]
  spec.idleMinutes = 30 + random.below(100)
  return `change the filter chain of listener ${name}`
}

const moveListener: Act = (step) => {
  const [name, spec] = pickEntry(step.world.listeners, step.random, () => true) as [string, ListenerSpec]
  spec.routes = newRoutes(step)
  return `give listener ${name} other routes`
}

const swapRoutes: Act = ({ world, random }) => {
  const [a, b] = random.some(Object.values(world.listeners), 2) as [ListenerSpec, ListenerSpec]
  const { routes } = a
  a.routes = b.routes
  b.routes = routes
  return `swap the routes of the listeners at ${a.port} and ${b.port}`
}

const changeTcp: Act = (step) => {
  const { world, random, ground } = step
  const found = pickEntry(world.listeners, random, (spec) => !isConstant(spec, ground))
  if (found === undefined) return undefined
  const isNow = found[1].tcp !== undefined
  found[1].tcp = isNow ? undefined : newTarget(step).clusters
  if (isNow) found[1].routes = newRoutes(step)
  return `listener ${found[0]} ${found[1].tcp === undefined ? 'speaks HTTP' : `is a TCP proxy to ${found[1].tcp.join('+')}`}`
}

const changeTls: Act = (step) => {
  const { world, random } = step
  const found = pickEntry(world.listeners, random, ({ tls }) => tls !== undefined)
  if (found === undefined) return undefined
  found[1].tls = newCertificate(step)
  found[1].isStrict = random.chance(0.5)
  return `change the TLS of listener ${found[0]}`
}

const toggleTls: Act = (step) => {
  const { world, random, ground } = step
  const found = pickEntry(world.listeners, random, (spec) => !isConstant(spec, ground))
  if (found === undefined) return undefined
  found[1].tls = found[1].tls === undefined ? newCertificate(step) : undefined
  return `listener ${found[0]} speaks ${found[1].tls === undefined ? 'plain text' : 'TLS'}`
}

const rotateCertificate: Act = ({ world, random, ground }) => {
  const found = pickEntry(world.secrets, random, () => true)
  if (found === undefined) return undefined
  world.secrets[found[0]] = random.below(ground.certificates.length)
  return `rotate certificate ${found[0]}`
}

const renameSecret: Act = ({ world, random }) => {
  const [from] = pickEntry(world.secrets, random, () => true) ?? []
  const to = freeName(world.secrets, names.secrets, random)
  if (from === undefined || to === undefined) return undefined
  rename(world.secrets, from, to)
  for (const { tls } of Object.values(world.listeners)) if (tls?.by === 'secret' && tls.name === from) tls.name = to
  return `rename secret ${from} ${to}`
}

const everyAct: readonly Act[] = [
  addCluster,
  addCluster,
  removeCluster,
  removeCluster,
  renameCluster,
  renameCluster,
  renameAllClusters,
  swapClusters,
  swapUsers,
  changeCluster,
  remakeCluster,
  changeEndpoints,
  changeEndpoints,
  changeTrust,
  rotateTrust,
  addHost,
  removeHost,
  retarget,
  retarget,
  renameTable,
  moveRoutesInOrOut,
  addListener,
  addListener,
  removeListener,
  renameListener,
  relocateListener,
  relocateListener,
  exchangePorts,
  changeListener,
  changeChain,
  moveListener,
  swapRoutes,
  changeTcp,
  changeTls,
  toggleTls,
  rotateCertificate,
  renameSecret,
]

// ---- soundness

/** Takes away what nothing uses, clusters only now and then. */
function sweep({ world, random }: Step): void {
  const listeners = Object.values(world.listeners)
  const keep = <T>(record: Record<string, T>, used: readonly string[]): void => {
    for (const name of Object.keys(record)) if (!used.includes(name)) delete record[name]
  }
  keep(
    world.tables,
    listeners.flatMap(({ routes, tcp }) => (routes.by === 'rds' && tcp === undefined ? [routes.name] : [])),
  )
  // What a TCP proxy does not show is not routed to either.
  for (const spec of listeners) if (spec.tcp !== undefined) spec.routes = { by: 'inline', table: {} }
  const used = clustersUsed(world)
  if (random.chance(0.3)) keep(world.clusters, used)
  const clusters = Object.values(world.clusters)
  keep(
    world.services,
    clusters.flatMap(({ kind, service }) => (kind === 'eds' ? [service] : [])),
  )
  keep(
    world.secrets,
    listeners.flatMap(({ tls }) => (tls?.by === 'secret' ? [tls.name] : [])),
  )
  keep(
    world.trusts,
    clusters.flatMap(({ trust }) => (trust?.by === 'secret' ? [trust.name] : [])),
  )
}

function clustersUsed(world: World): string[] {
  const named = [
    ...tablesOf(world).flatMap((table) =>
      Object.values(table).flatMap(({ clusters, mirror }) => [...clusters, ...(mirror === undefined ? [] : [mirror])]),
    ),
    ...Object.values(world.listeners).flatMap(({ tcp }) => tcp ?? []),
  ]
  return [...named, ...named.flatMap((name) => world.clusters[name]?.members ?? [])]
}

/** Nothing names what is not there, and the constant listeners are what they must be. */
function isSound(world: World, { ports }: Ground): boolean {
  const clusters = Object.values(world.clusters)
  const listeners = Object.values(world.listeners)
  const [plain, tls] = ports.slice(0, 2).map((port) => listeners.find((spec) => spec.port === port))
  return (
    plain !== undefined &&
    tls !== undefined &&
    plain.tcp === undefined &&
    tls.tcp === undefined &&
    plain.tls === undefined &&
    tls.tls !== undefined &&
    clustersUsed(world).every((name) => name in world.clusters) &&
    clusters.every(
      ({ kind, members }) =>
        kind !== 'aggregate' ||
        (members.length > 0 &&
          members.every((name) => name in world.clusters && world.clusters[name]?.kind !== 'aggregate')),
    ) &&
    listeners.every(
      ({ tcp, routes }) =>
        tcp !== undefined || (routes.by === 'rds' ? routes.name in world.tables : constantHost in routes.table),
    ) &&
    tablesOf(world).every((table) => Object.values(table).every((target) => target.clusters.length > 0))
  )
}
