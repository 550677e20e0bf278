import { type Meaning, meaningOf } from './meaning.ts'
import { resourceOf } from './resources.ts'
import type { Rejection, Step, Word } from './scenario.ts'
import type { VirtualEnvoy } from './virtual-envoy.ts'

/** What a client of the group is to have in the end, in the client's own reading. */
export interface Target {
  readonly byWord: Readonly<Record<Word, ReadonlyMap<string, Meaning>>>
  /** Assignments that a cluster wants and nobody provides: the server makes them empty. */
  readonly emptyAssignments: ReadonlySet<string>
}

export function targetOf(step: Pick<Step, 'resources'>): Target {
  const byWord: Record<Word, Map<string, Meaning>> = {
    cluster: new Map(),
    endpoint: new Map(),
    secret: new Map(),
    extension: new Map(),
    listener: new Map(),
    scopedRoute: new Map(),
    route: new Map(),
    virtualHost: new Map(),
  }
  for (const spec of step.resources) {
    const meaning = meaningOf(spec.kind, resourceOf(spec).bytes)
    byWord[spec.kind].set(spec.name, meaning)
  }
  const emptyAssignments = new Set<string>()
  for (const { assignment } of byWord.cluster.values()) {
    if (assignment !== undefined && !byWord.endpoint.has(assignment)) emptyAssignments.add(assignment)
  }
  return { byWord, emptyAssignments }
}

/** How the client differs from its target; empty when it has converged. What it refuses, and what needs that, may differ. */
export function differences(envoy: VirtualEnvoy, target: Target): readonly string[] {
  const blocked = blockedFor(envoy, target)
  const found: string[] = []
  const compare = (word: Word, held: ReadonlyMap<string, Meaning>, isWhole: boolean): void => {
    if (envoy.omits(word)) return
    const wanted = target.byWord[word]
    for (const [name, meaning] of held) {
      const want = wanted.get(name)
      if (want === meaning || blocked.has(`${word} ${name}`)) continue
      if (want !== undefined) found.push(`${word} ${name} is at ${meaning.revision}, not as it should be`)
      else if (isWhole && blocked.size === 0) found.push(`${word} ${name} should be gone`)
    }
    if (!isWhole) return
    for (const name of wanted.keys()) {
      if (!held.has(name) && !blocked.has(`${word} ${name}`)) found.push(`${word} ${name} is missing`)
    }
  }
  const clusters = new Map<string, Meaning>()
  const assignments = new Map<string, Meaning>()
  for (const { meaning, endpoints } of envoy.clusters.live()) {
    if (envoy.clusters.active(meaning.name)?.meaning === meaning) clusters.set(meaning.name, meaning)
    else if (blocked.size === 0) found.push(`cluster ${meaning.name} is warming still`)
    if (endpoints !== undefined) assignments.set(endpoints.name, endpoints)
  }
  compare('cluster', clusters, true)
  for (const [name, endpoints] of assignments) {
    const isRight = endpoints === target.byWord.endpoint.get(name)
    if (isRight || (endpoints.isEmpty && target.emptyAssignments.has(name)) || envoy.omits('endpoint')) continue
    if (target.byWord.endpoint.has(name)) found.push(`assignment ${name} is not as it should be`)
    else if (target.emptyAssignments.has(name)) found.push(`assignment ${name} should be empty`)
  }
  const listeners = new Map<string, Meaning>()
  for (const name of envoy.listeners.names) {
    const active = envoy.listeners.active(name)
    if (active !== undefined) listeners.set(name, active.meaning)
  }
  for (const { meaning } of envoy.listeners.warming()) {
    if (blocked.size === 0) found.push(`listener ${meaning.name} is warming still`)
  }
  compare('listener', listeners, true)
  compare('secret', envoy.secrets, false)
  compare('extension', envoy.extensions, false)
  compare('route', envoy.routes, false)
  let usesScopes = false
  for (const { hasScopes } of envoy.listeners.live()) usesScopes ||= hasScopes
  if (usesScopes) compare('scopedRoute', envoy.scopes, true)
  compare('virtualHost', envoy.hosts, false)
  return found
}

const none: ReadonlySet<string> = new Set()

/** What the client refuses of the target, and what cannot be there without it. */
function blockedFor(envoy: VirtualEnvoy, target: Target): ReadonlySet<string> {
  const { rejects } = envoy.spec
  if (rejects.length === 0) return none
  const isRefused = (meaning: Meaning): boolean =>
    rejects.some(
      (r: Rejection) => r.kind === meaning.word && r.name === meaning.name && r.revision === meaning.revision,
    )
  const blocked = new Set<string>()
  const all = Object.values(target.byWord).flatMap((byName) => [...byName.values()])
  for (const meaning of all) if (isRefused(meaning)) blocked.add(`${meaning.word} ${meaning.name}`)
  for (let size = 0; size < blocked.size; ) {
    size = blocked.size
    for (const meaning of all) {
      if (namesIn(meaning).some((name) => blocked.has(name))) blocked.add(`${meaning.word} ${meaning.name}`)
    }
  }
  return blocked
}

function namesIn({ clusters, children, routes, secrets, extensions }: Meaning): readonly string[] {
  return [
    ...[...clusters, ...children].map((name) => `cluster ${name}`),
    ...routes.map((name) => `route ${name}`),
    ...secrets.map((name) => `secret ${name}`),
    ...extensions.map((name) => `extension ${name}`),
  ]
}
