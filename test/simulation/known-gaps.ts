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
export const knownGaps: readonly KnownGap[] = []

export function knownGapOf(found: Break, client: ClientSpec): KnownGap | undefined {
  return knownGaps.find((gap) => gap.matches(found, client))
}
