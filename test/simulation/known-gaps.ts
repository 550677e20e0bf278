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
    id: 'first-clusters',
    text:
      'The first clusters of a stream count as accepted when they are sent, for their ACK says nothing of warming. A client that rejects ' +
      'one of them has asked for its listeners before the server knows: those that name it are sent, and taken back a moment later.',
    matches: ({ kind, isStarting }, { rejects }) =>
      isStarting && rejects.length > 0 && (kind === 'missing-cluster' || kind === 'misled'),
  },
]

export function knownGapOf(found: Break, client: ClientSpec): KnownGap | undefined {
  return knownGaps.find((gap) => gap.matches(found, client))
}
