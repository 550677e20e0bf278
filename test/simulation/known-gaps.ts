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
    id: 'search-under-change',
    text:
      'Envoy names a rejected route configuration in passing (`… in route r`), so it is searched for. When the snapshot changes what was ' +
      'sent beside it, or drops it, meanwhile, the search tries it again before ten seconds are over.',
    matches: ({ kind, text }) => kind === 'rejected-again' && text.startsWith('route '),
  },
  {
    id: 'refused-versions',
    text:
      'Of a delta response that it refuses in part Envoy notes no versions. When its connection is lost then, it states older ones than it ' +
      'has: what was removed is taken for held, and what the server remembers of the client seems not to fit.',
    matches: ({ kind }, { protocol, rejects, reconnectsAtMs }) =>
      protocol === 'delta' &&
      rejects.length > 0 &&
      reconnectsAtMs.length > 0 &&
      (kind === 'diverged' || kind === 'missing-cluster'),
  },
  {
    id: 'stale-fallback',
    text:
      'A client that let a route configuration go and rejects its new form falls back to what it accepted before, though the clusters of that ' +
      'are gone. When the listener that names it drains, it is sent that.',
    matches: ({ kind, text }, { rejects }) =>
      kind === 'missing-cluster' && rejects.length > 0 && text.includes('behind the draining listener'),
  },
]

export function knownGapOf(found: Break, client: ClientSpec): KnownGap | undefined {
  return knownGaps.find((gap) => gap.matches(found, client))
}
