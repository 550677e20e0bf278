import { Random } from './random.ts'
import {
  type ClientSpec,
  type ClusterSpec,
  type ListenerSpec,
  type Rejection,
  type Routing,
  type Scenario,
  type Spec,
  type Step,
  type Word,
  withoutDangling,
} from './scenario.ts'
import { longestDrainMs } from './server.ts'

export interface ScenarioSize {
  readonly clients: number
  /** Changes of what a group is to have. */
  readonly transitions: number
}

/** What a generated scenario may hold; what the server is known not to master yet can be left out. */
export interface Features {
  readonly rejections: boolean
  readonly reconnects: boolean
  /** Changes may come faster than clients can follow. */
  readonly bursts: boolean
}

export const allFeatures: Features = { rejections: true, reconnects: true, bursts: true }

const clusterNames = ['c0', 'c1', 'c2', 'c3', 'c4', 'c5', 'c6', 'c7']
const aggregateNames = ['a0', 'a1']
const secretNames = ['s0', 's1', 's2']
const routeNames = ['r0', 'r1', 'r2', 'r3']
const listenerNames = ['l0', 'l1', 'l2', 'l3']
const extensionNames = ['e0', 'e1']
const scopeNames = ['x0', 'x1']
/** The route configuration that takes hosts by VHDS. */
const onDemandRoute = 'r3'
const hostNames = ['r3/h0', 'r3/h1']

const lastRevision = 4

/** A scenario that follows from its seed alone. */
export function generate(seed: number, size: ScenarioSize, features: Features = allFeatures): Scenario {
  const random = new Random(seed)
  const groups = random.between(1, Math.min(3, size.clients))
  const steps: Step[] = []
  const present = Array.from({ length: groups }, () => firstSnapshot(random))
  const past = present.map((resources) => [resources])
  for (const [group, resources] of present.entries()) steps.push({ atMs: 0, group, resources })
  let atMs = 0
  for (let count = 0; count < size.transitions; count++) {
    atMs += pause(random, features)
    const group = random.between(0, groups - 1)
    const history = past[group] as (readonly Spec[])[]
    const resources = nextSnapshot(random, present[group] as readonly Spec[], history)
    present[group] = resources
    history.push(resources)
    steps.push({ atMs, group, resources })
  }
  const clients = Array.from({ length: size.clients }, (_, index) => client(random, index, groups, atMs, features))
  return { seed, clients, steps }
}

/** Mostly time enough to follow, sometimes none, sometimes so much that every drain ends. */
function pause(random: Random, { bursts }: Features): number {
  if (!bursts) return random.between(30_000, 60_000)
  const kind = random.next()
  if (kind < 0.3) return random.between(0, 200)
  if (kind < 0.6) return random.between(200, 3000)
  return kind < 0.95 ? random.between(3000, 30_000) : random.between(60_000, 120_000)
}

function client(random: Random, index: number, groups: number, lastMs: number, features: Features): ClientSpec {
  const isSlow = random.chance(0.25)
  const reconnects = features.reconnects && random.chance(0.4) ? random.between(1, 3) : 0
  return {
    name: `n${index}`,
    seed: random.between(1, 1_000_000),
    group: index < groups ? index : random.between(0, groups - 1),
    protocol: random.chance(0.5) ? 'sotw' : 'delta',
    connectAtMs: random.chance(0.8) ? random.between(0, 500) : random.between(0, Math.ceil(lastMs / 2)),
    latencyMs: random.pick([0, 1, 5, 30, 100]),
    thinkMs: isSlow ? random.between(50, 400) : 0,
    socketMs: random.chance(0.15) ? random.between(20, 300) : 0,
    drainMs: random.pick([0, 1000, 10_000, longestDrainMs]),
    reconnectsAtMs: Array.from({ length: reconnects }, () => random.between(1000, Math.max(2000, lastMs))).sort(
      (a, b) => a - b,
    ),
    omits: random.chance(0.2) ? omitted(random) : [],
    rejects: features.rejections && random.chance(0.3) ? rejections(random) : [],
  }
}

function omitted(random: Random): readonly Word[] {
  const all: readonly (readonly Word[])[] = [
    ['listener', 'route', 'scopedRoute', 'virtualHost', 'extension'],
    ['cluster', 'endpoint'],
    ['endpoint'],
    ['secret'],
    ['route', 'virtualHost'],
    ['extension', 'scopedRoute'],
  ]
  return random.pick(all)
}

function rejections(random: Random): readonly Rejection[] {
  return Array.from({ length: random.between(1, 3) }, () => {
    const kind = random.pick(['cluster', 'listener', 'route'] as const)
    const names = { cluster: clusterNames, listener: listenerNames, route: routeNames }[kind]
    const how = random.chance(0.5) ? 'semantic' : 'constraint'
    return { kind, name: random.pick(names), revision: random.between(1, lastRevision), how }
  })
}

// ---- snapshots

function firstSnapshot(random: Random): readonly Spec[] {
  const specs: Spec[] = []
  for (const name of random.some(secretNames, 2)) specs.push({ kind: 'secret', name, revision: 1 })
  for (const name of random.some(clusterNames, random.between(2, 6))) specs.push(...clusterOf(random, name, specs))
  for (const name of random.some(routeNames, random.between(0, 3))) specs.push(routeOf(random, name, specs))
  for (const name of random.some(listenerNames, random.between(1, 3))) specs.push(listenerOf(random, name, specs))
  return withoutDangling(specs)
}

const revisionOf = (random: Random): number => random.between(1, lastRevision)
const namesOf = (specs: readonly Spec[], kind: Spec['kind']): string[] =>
  specs.filter((spec) => spec.kind === kind).map(({ name }) => name)

/** With its assignment, mostly. */
function clusterOf(random: Random, name: string, specs: readonly Spec[]): readonly Spec[] {
  const secrets = namesOf(specs, 'secret')
  const tls = secrets.length > 0 && random.chance(0.25) ? { secret: random.pick(secrets) } : {}
  const revision = revisionOf(random)
  if (random.chance(0.2)) return [{ kind: 'cluster', name, revision, ...tls }]
  const eds = random.chance(0.15) ? random.pick(clusterNames) : name
  const cluster: ClusterSpec = { kind: 'cluster', name, revision, eds, ...tls }
  if (random.chance(0.1) || specs.some((spec) => spec.kind === 'endpoint' && spec.name === eds)) return [cluster]
  return [cluster, { kind: 'endpoint', name: eds, revision: revisionOf(random) }]
}

function targets(random: Random, specs: readonly Spec[]): readonly string[] {
  const all = namesOf(specs, 'cluster')
  return random.some(all, random.chance(0.7) ? 1 : random.between(0, 3))
}

function routeOf(random: Random, name: string, specs: readonly Spec[]): Spec {
  const clusters = targets(random, specs)
  const mirrors = random.chance(0.2) ? targets(random, specs) : []
  const [mirror] = clusters.length > 0 ? mirrors : []
  return {
    kind: 'route',
    name,
    revision: revisionOf(random),
    clusters,
    ...(mirror !== undefined && { mirror }),
    ...(name === onDemandRoute && { isOnDemand: true }),
  }
}

function listenerOf(random: Random, name: string, specs: readonly Spec[]): ListenerSpec {
  const [secrets, extensions] = [namesOf(specs, 'secret'), namesOf(specs, 'extension')]
  const routing = routingOf(random, specs)
  return {
    kind: 'listener',
    name,
    revision: revisionOf(random),
    routing,
    ...(secrets.length > 0 && random.chance(0.4) && { secret: random.pick(secrets) }),
    ...(extensions.length > 0 && routing.by !== 'tcp' && random.chance(0.4) && { extension: random.pick(extensions) }),
  }
}

function routingOf(random: Random, specs: readonly Spec[]): Routing {
  const routes = namesOf(specs, 'route')
  const kind = random.next()
  if (kind < 0.5 && routes.length > 0) return { by: 'rds', route: random.pick(routes) }
  if (kind < 0.65 && namesOf(specs, 'scopedRoute').length > 0) return { by: 'scopes' }
  const clusters = targets(random, specs)
  if (kind < 0.8 && clusters.length > 0) return { by: 'tcp', clusters }
  const [mirror] = random.chance(0.2) ? targets(random, specs) : []
  return { by: 'inline', clusters, ...(mirror !== undefined && clusters.length > 0 && { mirror }) }
}

/** Some edits, or a great change. */
function nextSnapshot(random: Random, before: readonly Spec[], past: readonly (readonly Spec[])[]): readonly Spec[] {
  const kind = random.next()
  if (kind < 0.03) return []
  if (kind < 0.1 || before.length === 0) return random.chance(0.7) ? random.pick(past.slice(-6)) : firstSnapshot(random)
  let specs = before
  const edits = random.chance(0.5) ? 1 : random.between(2, 5)
  for (let count = 0; count < edits; count++) specs = edit(random, specs)
  return withoutDangling(specs)
}

const put = (specs: readonly Spec[], spec: Spec): readonly Spec[] => [
  ...specs.filter(({ kind, name }) => kind !== spec.kind || name !== spec.name),
  spec,
]

function edit(random: Random, specs: readonly Spec[]): readonly Spec[] {
  const choices: (() => readonly Spec[])[] = [
    () => clusterOf(random, random.pick(clusterNames), specs).reduce(put, specs),
    () => put(specs, routeOf(random, random.pick(routeNames), specs)),
    () => put(specs, routeOf(random, random.pick(routeNames), specs)),
    () => put(specs, listenerOf(random, random.pick(listenerNames), specs)),
    () => put(specs, listenerOf(random, random.pick(listenerNames), specs)),
    () => put(specs, { kind: 'endpoint', name: random.pick(clusterNames), revision: revisionOf(random) }),
    () => put(specs, { kind: 'secret', name: random.pick(secretNames), revision: revisionOf(random) }),
    () => putExtension(random, specs),
    () => putScope(random, specs),
    () => putAggregate(random, specs),
    () => putHost(random, specs),
    () => touch(random, specs),
    () => removeOne(random, specs),
    () => removeOne(random, specs),
    () => moveUsers(random, specs, true),
    () => moveUsers(random, specs, false),
    () => swapRoutes(random, specs),
    () => withoutUnused(specs),
  ]
  return random.pick(choices)()
}

function putExtension(random: Random, specs: readonly Spec[]): readonly Spec[] {
  const [cluster] = targets(random, specs)
  const name = random.pick(extensionNames)
  return put(specs, {
    kind: 'extension',
    name,
    revision: revisionOf(random),
    ...(cluster !== undefined && { cluster }),
  })
}

function putScope(random: Random, specs: readonly Spec[]): readonly Spec[] {
  const routes = namesOf(specs, 'route')
  if (routes.length === 0) return specs
  const name = random.pick(scopeNames)
  return put(specs, { kind: 'scopedRoute', name, revision: revisionOf(random), route: random.pick(routes) })
}

function putAggregate(random: Random, specs: readonly Spec[]): readonly Spec[] {
  const parts = random.some(
    namesOf(specs, 'cluster').filter((name) => !aggregateNames.includes(name)),
    random.between(1, 3),
  )
  if (parts.length === 0) return specs
  return put(specs, { kind: 'cluster', name: random.pick(aggregateNames), revision: revisionOf(random), of: parts })
}

function putHost(random: Random, specs: readonly Spec[]): readonly Spec[] {
  if (!namesOf(specs, 'route').includes(onDemandRoute)) return specs
  const name = random.pick(hostNames)
  return put(specs, { kind: 'virtualHost', name, revision: revisionOf(random), clusters: targets(random, specs) })
}

/** Other content, the same references. */
function touch(random: Random, specs: readonly Spec[]): readonly Spec[] {
  return specs.length === 0 ? specs : put(specs, { ...random.pick(specs), revision: revisionOf(random) })
}

function removeOne(random: Random, specs: readonly Spec[]): readonly Spec[] {
  if (specs.length === 0) return specs
  const gone = random.pick(specs)
  return specs.filter((spec) => spec !== gone)
}

/** Everything that names one cluster names another; `isRename`: which has its content, and the old one goes. */
function moveUsers(random: Random, specs: readonly Spec[], isRename: boolean): readonly Spec[] {
  const clusters = specs.filter((spec): spec is ClusterSpec => spec.kind === 'cluster' && spec.of === undefined)
  if (clusters.length === 0) return specs
  const from = random.pick(clusters)
  const to = random.pick(clusterNames)
  if (from.name === to) return specs
  let moved = specs
  if (isRename) {
    moved = put(
      moved.filter((spec) => spec !== from),
      { ...from, name: to },
    )
  } else if (!clusters.some(({ name }) => name === to)) moved = clusterOf(random, to, specs).reduce(put, moved)
  const renamed = (name: string): string => (name === from.name ? to : name)
  const all = (names: readonly string[]): readonly string[] => [...new Set(names.map(renamed))]
  return moved.map((spec): Spec => {
    switch (spec.kind) {
      case 'route':
        return {
          ...spec,
          clusters: all(spec.clusters),
          ...(spec.mirror !== undefined && { mirror: renamed(spec.mirror) }),
        }
      case 'virtualHost':
        return { ...spec, clusters: all(spec.clusters) }
      case 'extension':
        return { ...spec, ...(spec.cluster !== undefined && { cluster: renamed(spec.cluster) }) }
      case 'cluster':
        return { ...spec, ...(spec.of !== undefined && { of: all(spec.of) }) }
      case 'listener': {
        const { routing } = spec
        if (routing.by === 'tcp') return { ...spec, routing: { by: 'tcp', clusters: all(routing.clusters) } }
        if (routing.by !== 'inline') return spec
        const mirror = routing.mirror === undefined ? {} : { mirror: renamed(routing.mirror) }
        return { ...spec, routing: { by: 'inline', clusters: all(routing.clusters), ...mirror } }
      }
      case 'scopedRoute':
      case 'endpoint':
      case 'secret':
        return spec
    }
  })
}

/** Two route configurations exchange where they lead. */
function swapRoutes(random: Random, specs: readonly Spec[]): readonly Spec[] {
  const [a, b] = random.some(
    specs.filter((spec) => spec.kind === 'route'),
    2,
  )
  if (a === undefined || b === undefined) return specs
  const swapped = put(specs, { ...a, clusters: b.clusters })
  return put(swapped, { ...b, clusters: a.clusters })
}

/** Clusters and assignments that nothing names go. */
function withoutUnused(specs: readonly Spec[]): readonly Spec[] {
  const text = JSON.stringify(specs.filter(({ kind }) => kind !== 'cluster' && kind !== 'endpoint'))
  const parts = JSON.stringify(specs.filter((spec) => spec.kind === 'cluster' && spec.of !== undefined))
  const isNamed = (name: string): boolean => text.includes(`"${name}"`) || parts.includes(`"${name}"`)
  const left = specs.filter((spec) => spec.kind !== 'cluster' || isNamed(spec.name))
  const assignments = new Set(left.map((spec) => (spec.kind === 'cluster' ? spec.eds : undefined)))
  return left.filter((spec) => spec.kind !== 'endpoint' || assignments.has(spec.name))
}
