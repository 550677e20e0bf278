import type { NodeSelector } from './node-selector.ts'

/**
 * Whose configuration a document of a kind could change, which has no selectors as a raw one has: every proxy that takes
 * part in the mesh, those of some Gateways, or those that it selects itself.
 */
export type Touches =
  | 'proxies'
  | { readonly gateways: readonly string[] }
  /** Any of them; empty selects every node. */
  | { readonly nodes: readonly NodeSelector[] }
