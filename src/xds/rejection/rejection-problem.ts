import { formatOrigin, type Problem } from '../../errors.ts'
import type { NodeStatus, RejectedStatus } from '../status.ts'

/** Something that was in force for its nodes, and that they do not take. */
export interface RejectionProblem extends Problem {
  /** Ids, sorted. */
  readonly nodes: readonly string[]
}

/** What connected nodes rejected and still would be sent: one for each place of a resource, however many nodes rejected it (rule 102). */
export function rejectionProblems(nodes: readonly NodeStatus[]): readonly RejectionProblem[] {
  const groups = new Map<string, { readonly first: RejectedStatus; readonly ids: Set<string> }>()
  const unnamed: RejectionProblem[] = []
  for (const node of nodes) {
    for (const rejected of node.rejected) {
      const { type, name, version, origin } = rejected
      // Others may have an equal one from another document, which is to be mended, too.
      const key = [type, name, version, formatOrigin(origin)].join('\0')
      const group = groups.get(key) ?? { first: rejected, ids: new Set() }
      groups.set(key, group)
      group.ids.add(node.id)
    }
    unnamed.push(...unnamedRejections(node))
  }
  const named = [...groups.values()].map(({ first, ids }) => problemOf(first, [...ids].sort()))
  return [...named, ...unnamed]
}

function problemOf({ type, name, keeps, origin, message }: RejectedStatus, nodes: readonly string[]): RejectionProblem {
  return {
    severity: 'error',
    code: 'rejected',
    origin,
    path: '',
    message: `${type} "${name}" was rejected by ${someOf(nodes)}: ${message}`,
    fix: `mend it; until it changes ${meanwhile(keeps)}`,
    nodes,
  }
}

function meanwhile(keeps: string | null): string {
  if (keeps === null) return 'they do without it, and get everything else'
  if (keeps === 'unknown')
    return 'they keep what they have of it; clients of the SotW protocol get no other change of its type'
  return 'they keep what they accepted before, and get everything else'
}

/** Of types of which the node rejected a response, and nobody knows for what. */
function unnamedRejections({ id, types, rejected }: NodeStatus): readonly RejectionProblem[] {
  return Object.entries(types).flatMap(([type, { nacked }]) => {
    if (nacked === undefined || rejected.some((one) => one.type === type)) return []
    return {
      severity: 'error',
      code: 'rejected',
      origin: { name: `node ${id}` },
      path: '',
      message: `some ${type} was rejected, and ${id} does not say which: ${nacked.message}`,
      fix: 'it is looked for by sending parts of what was rejected; look at what changed last',
      nodes: [id],
    }
  })
}

/** `a`, `a and b`, `a, b, c and 4 more`. */
export function someOf(names: readonly string[]): string {
  if (names.length > 4) return `${names.slice(0, 3).join(', ')} and ${names.length - 3} more`
  const last = names.at(-1) ?? 'nobody'
  return names.length < 2 ? last : `${names.slice(0, -1).join(', ')} and ${last}`
}
