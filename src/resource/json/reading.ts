import type { EnvoyApi } from '../envoy-api.ts'
import type { Position, Tree, TreeProblem } from '../tree.ts'
import { formatPath, type PathSegment, positionOf } from '../tree-path.ts'

/** The state of one reading of a tree into a message: where the reader stands, and what it found wrong so far. */
export interface Reading {
  readonly api: EnvoyApi
  readonly problems: TreeProblem[]
  /** The path of the tree's root within its document. */
  readonly base: string
  /** From the root to where the reader stands, in the author's spelling. */
  readonly path: PathSegment[]
  /** Levels of protobuf messages around the reader. */
  depth: number
  /** Sensitive fields around the reader: above 0, no value is ever quoted. */
  sensitiveDepth: number
}

/** Reads one value; undefined when it cannot be read, which has been reported then. */
export type Read = (reading: Reading, tree: Tree) => unknown

/**
 * Protobuf implementations refuse to decode more than 100 nested messages, Envoy's among them, and nothing that people
 * write comes near; so the reader stops there too, before the stack does.
 */
export const maxDepth = 100

/** A value longer than this may be anything, a pasted key for one, and is not repeated in a message. */
const maxQuotedLength = 40

export function beginReading(api: EnvoyApi, base: string): Reading {
  return { api, problems: [], base, path: [], depth: 0, sensitiveDepth: 0 }
}

export function report(
  reading: Reading,
  at: Position,
  code: TreeProblem['code'],
  message: string,
  fix: string,
  severity: TreeProblem['severity'] = 'error',
): void {
  const path = formatPath(reading.base, reading.path)
  reading.problems.push({ severity, code, ...positionOf(at), path, message, fix })
}

/** Reports a value of the wrong form: `expected a duration, not a list`. */
export function reportWrongType(reading: Reading, tree: Tree, expected: string, fix: string): void {
  report(reading, tree, 'wrong-type', `Expected ${expected}, not ${describe(reading, tree)}.`, fix)
}

/** Steps one message (or `levels`) down; false, and reported, where that is too deep. Every `true` needs its `leave`. */
export function enter(reading: Reading, at: Position, levels = 1): boolean {
  if (reading.depth + levels > maxDepth) {
    report(reading, at, 'wrong-type', `Nested more than ${maxDepth} levels deep.`, 'Envoy refuses it too; flatten it.')
    return false
  }
  reading.depth += levels
  return true
}

export function leave(reading: Reading, levels = 1): void {
  reading.depth -= levels
}

/** What stands at a place, for a message; the value itself only where it is short and not sensitive. */
function describe(reading: Reading, tree: Tree): string {
  if (tree.kind === 'list') return 'a list'
  if (tree.kind === 'map') return 'a map'
  if (tree.value === null) return 'null'
  const quote = quoted(reading, String(tree.source ?? tree.value))
  if (typeof tree.value === 'string') return `the text${quote}`
  return typeof tree.value === 'boolean' ? `the boolean${quote}` : `the number${quote}`
}

/** `value` in backticks after a space, or '' where it must not be shown. */
export function quoted(reading: Reading, value: string): string {
  if (reading.sensitiveDepth > 0 || value.length > maxQuotedLength || /[\n\r`]/.test(value)) return ''
  return ` \`${value}\``
}
