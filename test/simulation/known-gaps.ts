import type { Break } from './client.ts'
import type { ClientSpec } from './scenario.ts'

/** Something that the server does not master yet, and that the simulation therefore passes over. */
export interface KnownGap {
  readonly id: string
  /** What goes wrong, and what it costs. */
  readonly text: string
  readonly matches: (found: Break, client: ClientSpec) => boolean
}

/** This list may only shrink: test/simulation/simulation.test.ts holds its length. */
export const knownGaps: readonly KnownGap[] = [
  {
    id: 'vhds-once',
    text:
      'Envoy asks for VHDS once a stream. A route configuration with `vhds` that comes later is not told that it has no hosts yet, ' +
      'and its listener waits for `initial_fetch_timeout` (15 s).',
    matches: ({ kind, text }) => kind === 'waited-in-vain' && /for route r3( |$)/.test(text),
  },
  {
    id: 'aggregate-children',
    text:
      'An aggregate cluster takes a new version into service at once, while the clusters that it newly names are still warming: ' +
      'when all are new, requests fail until one is warm.',
    matches: ({ text }) => text.includes('none of whose clusters is warm'),
  },
  {
    id: 'rejections',
    text: 'What a client rejects is not kept apart from the rest of its type yet (rules 61, 102, 103).',
    matches: (_, { rejects }) => rejects.length > 0,
  },
  {
    id: 'reconnects',
    text:
      'A stream begins with the target, as if its client had nothing: clusters go that routes, listeners or drains from before name; ' +
      'and a cluster that was warming when the connection was lost waits for its assignment.',
    matches: ({ kind }, { reconnectsAtMs }) => reconnectsAtMs.length > 0 && kind !== 'diverged',
  },
]

export function knownGapOf(found: Break, client: ClientSpec): KnownGap | undefined {
  return knownGaps.find((gap) => gap.matches(found, client))
}
