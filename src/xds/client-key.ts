import { hash } from 'node:crypto'
import type { Node } from '../resource/node.ts'
import { selectorKey } from '../resource/node-selector.ts'

/**
 * Tells clients apart by all that a selector can look at: two that go by one id may be of different groups (rule 93), and
 * neither has what the other has. A client that comes back has the same, also if its group is another one by then.
 */
export function clientKeyOf({ id, cluster, locality, metadata }: Node): string {
  const region = locality?.region
  return hash('sha256', selectorKey({ id, cluster, metadata, ...(region !== undefined && { region }) }), 'base64')
}
