import type { Break } from './client.ts'
import { play } from './play.ts'
import { type ClientSpec, type Scenario, type Spec, type Step, withoutDangling } from './scenario.ts'

export interface Shrunk {
  readonly scenario: Scenario
  readonly found: Break
}

/** Scenarios tried at most: a failure that shrinks no further costs a few seconds, not minutes. */
const maxPlays = 3000

/** Takes something away; undefined where there is nothing to take. */
type Edit = (scenario: Scenario) => Scenario | undefined

/**
 * The smallest scenario found that breaks the same kind of invariant: fewer clients, fewer changes, fewer resources, plainer
 * clients. Each edit is kept if the scenario still breaks with it.
 */
export function shrink(scenario: Scenario, first: Break): Shrunk {
  let best: Shrunk = { scenario, found: first }
  let plays = 0
  for (let isSmaller = true; isSmaller && plays < maxPlays; ) {
    isSmaller = false
    for (const way of ways) {
      for (const edit of way(best)) {
        const candidate = plays < maxPlays ? edit(best.scenario) : undefined
        if (candidate === undefined) continue
        plays++
        const { found } = play(candidate)
        if (found?.kind !== first.kind) continue
        best = { scenario: candidate, found }
        isSmaller = true
      }
    }
  }
  return best
}

const ways: readonly ((from: Shrunk) => Iterable<Edit>)[] = [
  withoutOthers,
  withoutSteps,
  withoutResources,
  withoutChanges,
  withPlainerResources,
  withPlainerClients,
  withPlainTimes,
]

/** The one client that broke, alone; or one less. */
function* withoutOthers({ scenario, found }: Shrunk): Generator<Edit> {
  if (scenario.clients.length < 2) return
  yield (from) => ({ ...from, clients: from.clients.filter(({ name }) => name === found.client) })
  for (const { name: gone } of scenario.clients) {
    yield (from) =>
      from.clients.length < 2 ? undefined : { ...from, clients: from.clients.filter(({ name }) => name !== gone) }
  }
}

/** What came after the break, or concerned nobody; then ever smaller runs of changes, the last first. */
function* withoutSteps({ scenario, found }: Shrunk): Generator<Edit> {
  const groups = new Set(scenario.clients.map(({ group }) => group))
  const isRelevant = ({ group, atMs }: Step): boolean => groups.has(group) && atMs <= found.atMs
  if (!scenario.steps.every(isRelevant)) yield (from) => ({ ...from, steps: from.steps.filter(isRelevant) })
  for (let size = Math.ceil(scenario.steps.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = scenario.steps.length - size; at > -size; at -= size) {
      yield (from) => {
        const steps = from.steps.filter((_, index) => index < at || index >= at + size)
        return steps.length === from.steps.length ? undefined : { ...from, steps }
      }
    }
  }
}

/** A resource that never was. */
function* withoutResources({ scenario }: Shrunk): Generator<Edit> {
  for (const key of new Set(scenario.steps.flatMap(({ resources }) => resources.map(keyOf)))) {
    yield (from) => everywhere(from, (resources) => resources.filter((spec) => keyOf(spec) !== key))
  }
}

/** A resource that was not changed, and so stays as it is until its next change; or that did not go. */
function* withoutChanges({ scenario }: Shrunk): Generator<Edit> {
  for (const [index, { group }] of scenario.steps.entries()) {
    const before = scenario.steps.slice(0, index).findLast((step) => step.group === group)
    for (const { kind, name } of before?.resources ?? []) {
      yield (from) => {
        const old = from.steps.slice(0, index).findLast((step) => step.group === group)
        const was = old?.resources.find((spec) => spec.kind === kind && spec.name === name)
        const step = from.steps[index]
        if (was === undefined || step === undefined) return undefined
        const others = step.resources.filter((spec) => spec.kind !== kind || spec.name !== name)
        const changed = { ...step, resources: withoutDangling([...others, was]) }
        return differing(from, { ...from, steps: from.steps.with(index, changed) })
      }
    }
  }
}

/** A resource in a plainer form, wherever it has that form. */
function* withPlainerResources({ scenario }: Shrunk): Generator<Edit> {
  const forms = new Map(
    scenario.steps.flatMap(({ resources }) => resources.map((spec) => [JSON.stringify(spec), spec])),
  )
  for (const [form, spec] of forms) {
    for (const plainer of plainerForms(spec)) {
      yield (from) =>
        everywhere(from, (resources) => resources.map((one) => (JSON.stringify(one) === form ? plainer : one)))
    }
  }
}

function* plainerForms(spec: Spec): Generator<Spec> {
  if (spec.revision !== 1) yield { ...spec, revision: 1 }
  for (const field of ['secret', 'extension', 'mirror', 'isOnDemand', 'eds']) {
    if (!(field in spec)) continue
    yield Object.fromEntries(Object.entries(spec).filter(([key]) => key !== field)) as unknown as Spec
  }
  if (spec.kind !== 'route' && spec.kind !== 'virtualHost') return
  for (const gone of spec.clusters) yield { ...spec, clusters: spec.clusters.filter((name) => name !== gone) }
}

function* withPlainerClients({ scenario }: Shrunk): Generator<Edit> {
  const plain: readonly ((client: ClientSpec) => Partial<ClientSpec>)[] = [
    ({ reconnectsAtMs }) => ({ reconnectsAtMs: reconnectsAtMs.slice(1) }),
    ({ reconnectsAtMs }) => ({ reconnectsAtMs: reconnectsAtMs.slice(0, -1) }),
    ({ rejects }) => ({ rejects: rejects.slice(1) }),
    ({ rejects }) => ({ rejects: rejects.slice(0, -1) }),
    () => ({ omits: [] }),
    () => ({ socketMs: 0 }),
    () => ({ thinkMs: 0 }),
    () => ({ latencyMs: 1 }),
    () => ({ connectAtMs: 0 }),
  ]
  for (const { name } of scenario.clients) {
    for (const change of plain) {
      yield (from) =>
        differing(from, {
          ...from,
          clients: from.clients.map((client) => (client.name === name ? { ...client, ...change(client) } : client)),
        })
    }
  }
  if (scenario.clients.length === 1) {
    yield (from) =>
      differing(from, {
        ...from,
        clients: from.clients.map((client) => ({ ...client, group: 0 })),
        steps: from.steps.map((step) => ({ ...step, group: 0 })),
      })
  }
}

/** A minute between all changes, or all a little sooner. */
function* withPlainTimes({ scenario }: Shrunk): Generator<Edit> {
  yield (from) =>
    differing(from, { ...from, steps: from.steps.map((step, index) => ({ ...step, atMs: index * 60_000 })) })
  for (const index of scenario.steps.keys()) {
    yield ({ steps, ...rest }) => {
      const gapMs = (steps[index]?.atMs ?? 0) - (steps[index - 1]?.atMs ?? 0)
      if (gapMs <= 100 || gapMs === 60_000) return undefined
      const lessMs = gapMs > 60_000 ? gapMs - 60_000 : Math.floor(gapMs / 2)
      return { ...rest, steps: steps.map((step, at) => (at < index ? step : { ...step, atMs: step.atMs - lessMs })) }
    }
  }
}

const keyOf = ({ kind, name }: Spec): string => `${kind} ${name}`

function everywhere(from: Scenario, change: (resources: readonly Spec[]) => readonly Spec[]): Scenario | undefined {
  const steps = from.steps.map((step) => ({ ...step, resources: withoutDangling(change(step.resources)) }))
  return differing(from, { ...from, steps })
}

function differing(before: Scenario, after: Scenario): Scenario | undefined {
  return JSON.stringify(before) === JSON.stringify(after) ? undefined : after
}
