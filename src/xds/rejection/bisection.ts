import type { Resource } from '../../resource/resource.ts'
import type { ResourceSet } from '../../snapshot/resource-set.ts'

/**
 * The search for what a client rejected, when it does not say (rule 102): all that it may be is held back, and sent again
 * in parts. Immutable.
 */
export interface Bisection {
  /** Held back by name, save those that are tried. */
  readonly suspects: ReadonlyMap<string, Resource>
  /** Together all suspects; what is tried next is of the first. Never empty, and never a first that is found. */
  readonly groups: readonly Group[]
  /** Sent now, to see what the client says; empty while nothing is. */
  readonly tried: ReadonlySet<string>
  /** When the last probe began: verdicts on what was sent before are none on it. */
  readonly sinceMs: number
  /** When the next may begin; infinite when it must wait for something to change. */
  readonly dueMs: number
}

interface Group {
  /** Sorted. */
  readonly names: readonly string[]
  /** What the client said when it rejected one of them or more; undefined while it may be none. */
  readonly message: string | undefined
}

/** A resource that was found to be rejected. */
export interface Found {
  readonly resource: Resource
  /** What the client said, as it said it. */
  readonly message: string
}

export interface BisectionStep {
  /** Undefined when nobody is suspected any more. */
  readonly bisection: Bisection | undefined
  readonly found: readonly Found[]
}

/** At most one probe a second. */
export const probeIntervalMs = 1000

const nothing: ReadonlySet<string> = new Set()

/**
 * Begins with what a rejected response held that the client had not accepted before: at least two. When the message
 * mentions some of them, the others are tried first, and at once: they would be sent again in any case.
 */
export function beginBisection(
  suspects: readonly Resource[],
  mentioned: readonly string[],
  message: string,
  nowMs: number,
): Bisection {
  const names = suspects.map(({ name }) => name).sort()
  const others = names.filter((name) => !mentioned.includes(name))
  const isHinted = others.length > 0 && others.length < names.length
  return {
    suspects: new Map(suspects.map((resource) => [resource.name, resource])),
    groups: [{ names, message }],
    tried: isHinted ? new Set(others) : nothing,
    sinceMs: nowMs,
    dueMs: nowMs + probeIntervalMs,
  }
}

/** Begins the next probe when its time has come. */
export function probe(bisection: Bisection, nowMs: number): Bisection {
  const { groups, tried, dueMs } = bisection
  const [first] = groups
  if (first === undefined || tried.size > 0 || nowMs < dueMs) return bisection
  const half = first.message === undefined ? first.names.length : Math.floor(first.names.length / 2)
  return {
    ...bisection,
    tried: new Set(first.names.slice(0, half)),
    sinceMs: nowMs,
    dueMs: nowMs + probeIntervalMs,
  }
}

export function isHeldBack(bisection: Bisection, name: string): boolean {
  return bisection.suspects.has(name) && !bisection.tried.has(name)
}

/** What the client answered to a response that brought it to `set`. */
export interface ProbeVerdict {
  readonly set: ResourceSet
  readonly sentAtMs: number
  /** What it said when it rejected it. */
  readonly message: string | undefined
}

/** Takes a verdict. One on a response that held nobody suspected says nothing of them; rejected, it ends the probes until something changes. */
export function judge(bisection: Bisection, verdict: ProbeVerdict, nowMs: number): BisectionStep {
  const { suspects, groups } = bisection
  if (verdict.sentAtMs < bisection.sinceMs) return { bisection, found: [] }
  const isIn = (name: string): boolean => verdict.set.get(name)?.version === suspects.get(name)?.version
  const held = groups.flatMap(({ names }) => names.filter(isIn))
  const dueMs = Math.max(nowMs, bisection.sinceMs + probeIntervalMs)
  if (held.length === 0) {
    const isHopeless = verdict.message !== undefined
    return { bisection: { ...bisection, tried: nothing, dueMs: isHopeless ? Infinity : dueMs }, found: [] }
  }
  const others = groups.map(({ names, message }) => {
    const rest = names.filter((name) => !isIn(name))
    // Accepted, they leave the guilt to the others of their group; rejected, they may have all of it.
    const isGuilty = verdict.message === undefined || rest.length === names.length
    return { names: rest, message: isGuilty ? message : undefined }
  })
  const guilty = verdict.message === undefined ? [] : [{ names: held.sort(), message: verdict.message }]
  return settle({ ...bisection, groups: [...guilty, ...others], tried: nothing, dueMs })
}

/** Takes those out that the client named itself, or that changed or went. The rest of their groups may be innocent. */
export function acquit(bisection: Bisection, names: ReadonlySet<string>, nowMs: number): Bisection | undefined {
  const groups = bisection.groups.map((group) => {
    const rest = group.names.filter((name) => !names.has(name))
    return rest.length === group.names.length ? group : { names: rest, message: undefined }
  })
  if (groups.every((group, index) => group === bisection.groups[index])) return bisection
  const dueMs = Math.max(nowMs, bisection.sinceMs + probeIntervalMs)
  return settle({ ...bisection, groups, tried: nothing, sinceMs: nowMs, dueMs }).bisection
}

/** Suspects these too, in the place of what they were: sent now, they would blur the verdict on what is tried. */
export function suspect(bisection: Bisection, resources: readonly Resource[], nowMs: number): Bisection {
  const names = resources.map(({ name }) => name).sort()
  const without = acquit(bisection, new Set(names), nowMs)
  const suspects = new Map(without?.suspects)
  for (const resource of resources) suspects.set(resource.name, resource)
  const guilty = (without?.groups ?? []).filter(({ message }) => message !== undefined)
  const unknown = (without?.groups ?? []).flatMap((group) => (group.message === undefined ? group.names : []))
  const groups = [...guilty, { names: [...unknown, ...names].sort(), message: undefined }]
  const tried = without?.tried ?? nothing
  const dueMs = Number.isFinite(bisection.dueMs) ? bisection.dueMs : nowMs + probeIntervalMs
  return { ...(without ?? bisection), suspects, groups, tried, dueMs }
}

/** Takes out those that are found: guilty, and alone in it. All others of whom nothing is known are tried together, last. */
function settle(bisection: Bisection): BisectionStep {
  const found: Found[] = []
  const groups: Group[] = []
  const unknown: string[] = []
  for (const group of bisection.groups) {
    const [first, ...others] = group.names
    if (first === undefined) continue
    if (group.message === undefined) unknown.push(...group.names)
    else if (others.length > 0) groups.push(group)
    else found.push({ resource: bisection.suspects.get(first) as Resource, message: group.message })
  }
  if (unknown.length > 0) groups.push({ names: unknown.sort(), message: undefined })
  if (groups.length === 0) return { bisection: undefined, found }
  const left = new Set(groups.flatMap(({ names }) => names))
  const suspects = new Map([...bisection.suspects].filter(([name]) => left.has(name)))
  return { bisection: { ...bisection, suspects, groups }, found }
}
