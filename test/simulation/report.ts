import type { Break } from './client.ts'
import { play } from './play.ts'
import type { ClientSpec, Scenario, Spec } from './scenario.ts'
import { shrink } from './shrink.ts'

/** How to see it again, the smallest scenario that breaks alike, and what was said on the client's stream in it. */
export function reportOf(scenario: Scenario, found: Break, replay: string): string {
  const shrunk = shrink(scenario, found)
  const { transcript } = play(shrunk.scenario, { transcriptOf: shrunk.found.client })
  return [
    `seed ${scenario.seed} broke: ${found.kind}: ${found.text} (client ${found.client}, at ${found.atMs} ms)`,
    `again: ${replay}`,
    '',
    ...scenarioText(shrunk.scenario),
    '',
    `${shrunk.found.client}:`,
    ...transcript,
  ].join('\n')
}

/** A scenario in words: the clients, and what each change changes. */
export function scenarioText({ clients, steps }: Scenario): readonly string[] {
  const lines = clients.map(clientText)
  const last = new Map<number, readonly Spec[]>()
  for (const { atMs, group, resources } of steps) {
    lines.push(`${atMs} ms${clients.length > 1 ? ` g${group}` : ''}: ${changeText(last.get(group) ?? [], resources)}`)
    last.set(group, resources)
  }
  return lines
}

function changeText(before: readonly Spec[], after: readonly Spec[]): string {
  const old = new Map(before.map((spec) => [`${spec.kind} ${spec.name}`, JSON.stringify(spec)]))
  const parts: string[] = []
  for (const spec of after) {
    const known = old.get(`${spec.kind} ${spec.name}`)
    old.delete(`${spec.kind} ${spec.name}`)
    if (known !== JSON.stringify(spec)) parts.push(`${known === undefined ? '+' : '~'}${specText(spec)}`)
  }
  parts.push(...[...old.keys()].map((key) => `-${key}`))
  return parts.length === 0 ? 'nothing' : parts.join('; ')
}

function specText({ kind, name, revision, ...rest }: Spec): string {
  const fields = Object.entries(rest).map(([key, value]) => `${key}=${textOf(value)}`)
  return [`${kind} ${name}@${revision}`, ...fields].join(' ')
}

function textOf(value: unknown): string {
  if (Array.isArray(value)) return `[${value.join(' ')}]`
  if (typeof value !== 'object' || value === null) return String(value)
  return Object.values(value).map(textOf).join(':')
}

function clientText({ name, seed: _seed, ...spec }: ClientSpec): string {
  const facts = Object.entries(spec).filter(([, value]) => value !== 0 && !(Array.isArray(value) && value.length === 0))
  return `${name}: ${facts.map(([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`).join(' ')}`
}
