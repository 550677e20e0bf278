import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml'
import type { Tree } from '../../src/resource/tree.ts'

/** The tree of a piece of YAML (or JSON), with its positions; for tests of what is made of trees. */
export function treeOf(text: string): Tree {
  const lineCounter = new LineCounter()
  const document = parseDocument(text, { lineCounter, intAsBigInt: true })
  if (document.errors.length > 0) throw document.errors[0]
  const position = (node: Node): { line: number; column: number } => {
    const { line, col } = lineCounter.linePos(node.range?.[0] ?? 0)
    return { line, column: col }
  }
  const build = (node: Node | null): Tree => {
    if (node === null) return { kind: 'scalar', line: 1, column: 1, value: null }
    const at = position(node)
    if (isAlias(node)) return build(node.resolve(document) ?? null)
    if (isSeq(node)) return { kind: 'list', ...at, items: node.items.map((item) => build(item as Node)) }
    if (isMap(node)) {
      const entries = node.items.map(({ key, value }) => {
        const name = key as Node
        return {
          key: String(isScalar(name) ? name.value : name),
          ...position(name),
          value: build(value as Node | null),
        }
      })
      return { kind: 'map', ...at, entries }
    }
    return {
      kind: 'scalar',
      ...at,
      ...scalar(isScalar(node) ? node.value : null, isScalar(node) ? node.source : undefined),
    }
  }
  return build(document.contents)
}

function scalar(
  value: unknown,
  source: string | undefined,
): { value: null | boolean | number | bigint | string; source?: string } {
  if (typeof value === 'bigint') {
    const number = Number(value)
    return Number.isSafeInteger(number) ? { value: number } : { value, source: String(source) }
  }
  return { value: (value ?? null) as null | boolean | number | string }
}
