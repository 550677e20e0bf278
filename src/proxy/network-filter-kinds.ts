import type { NetworkFilterKind } from './network/network-filter.ts'

/** What may stand in a filter chain. */
export const networkFilterKinds: readonly NetworkFilterKind[] = []
