import {
  Composer,
  type CST,
  isAlias,
  isMap,
  isScalar,
  LineCounter,
  type Node,
  type Pair,
  Parser,
  type Scalar,
  type YAMLMap,
  type YAMLSeq,
  type Document as YamlLibraryDocument,
} from 'yaml'
import type { MapEntry, Position, ScalarTree, Tree, TreeProblem } from '../resource/tree.ts'
import { isWord } from '../resource/tree-path.ts'
import { type SyntaxMessage, syntaxMessage, tooDeepMessage, unreadableMessage } from './syntax-message.ts'

/** One YAML document of a text; a text without `---` is one. */
export interface YamlDocument extends Position {
  /** What was written of it, with the separator and the comments before it. All of them together are the text. */
  readonly text: string
  /** As much as could be read, also where `isBroken`. */
  readonly tree: Tree
  readonly problems: readonly TreeProblem[]
  /** Some of it could not be read, so `tree` is not all that its author wrote. */
  readonly isBroken: boolean
  /** It looks as if a separator between two documents were broken: if it has an error, another document may be lost in it. */
  readonly mayHideAnother: boolean
}

export interface YamlLimits {
  /** How many values one document may have once its aliases are expanded. */
  readonly maxValues: number
  readonly maxDepth: number
}

/**
 * Reads a stream of YAML 1.2 documents (JSON is YAML), without the empty ones. Aliases and merge keys (`<<`) are
 * expanded; every value knows where it was written. Never throws.
 */
export function parseYaml(text: string, limits: YamlLimits): readonly YamlDocument[] {
  const lines = new LineCounter()
  const tooDeep = new Map<number, number>()
  let documents: readonly YamlLibraryDocument.Parsed[]
  try {
    documents = compose(text, lines, limits, tooDeep)
  } catch {
    // The library reports what is wrong with a text. Should it throw all the same, one text must not end the server.
    return [{ ...unreadable, text }]
  }
  const found = documents.flatMap((document, index) => {
    const read = new DocumentReader(document, lines, limits).read(text, tooDeep.get(document.range[0]))
    // What stands between two documents (comments, directives) is about the second.
    return read === undefined ? [] : [{ read, from: documents[index - 1]?.range[2] ?? 0 }]
  })
  return found.map(({ read, from }, index) => ({
    ...read,
    text: text.slice(index === 0 ? 0 : from, found[index + 1]?.from),
  }))
}

type ReadDocument = Omit<YamlDocument, 'text'>

const start: Position = { line: 1, column: 1 }

const unreadable: ReadDocument = {
  ...start,
  tree: { kind: 'scalar', value: null, ...start },
  problems: [{ severity: 'error', code: 'syntax', path: '', ...start, ...unreadableMessage }],
  isBroken: true,
  mayHideAnother: true,
}

/**
 * What the library's `parseAllDocuments` does, but for documents that are too deep: composing one exhausts the stack, and a
 * regular expression that V8 compiles just then ends the process. Those are emptied, and noted in `tooDeep`: their start,
 * and where they go too deep.
 */
function compose(
  text: string,
  lines: LineCounter,
  limits: YamlLimits,
  tooDeep: Map<number, number>,
): readonly YamlLibraryDocument.Parsed[] {
  const tokens = Array.from(new Parser(lines.addNewLine).parse(text), (token): CST.Token => {
    const offset = token.type === 'document' ? offsetBelow(token.value, limits.maxDepth) : undefined
    if (token.type !== 'document' || offset === undefined) return token
    tooDeep.set(token.offset, offset)
    return { type: 'document', offset: token.offset, start: token.start }
  })
  const composer = new Composer({
    version: '1.2',
    // Said also here, so that a `%YAML 1.1` directive does not make booleans of `on` and `off`.
    schema: 'core',
    resolveKnownTags: false,
    intAsBigInt: true,
    // Both are done below: the library's check is quadratic, and its merge loses positions.
    uniqueKeys: false,
    merge: false,
    logLevel: 'silent',
  })
  return Array.from(composer.compose(tokens))
}

/** Where a token stands that has more than `maxDepth` levels above it and itself; undefined if none has. */
function offsetBelow(root: CST.Token | undefined, maxDepth: number): number | undefined {
  const pending: { readonly token: CST.Token; readonly depth: number }[] = []
  const push = (token: CST.Token | null | undefined, depth: number): void => {
    if (token) pending.push({ token, depth })
  }
  push(root, 1)
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { token, depth } = next
    if (depth > maxDepth) return token.offset
    if (!('items' in token)) continue
    for (const item of token.items) {
      push(item.key, depth + 1)
      push(item.value, depth + 1)
    }
  }
  return undefined
}

/** What an anchor stands for, converted once: every alias shares it. */
interface Anchored {
  readonly tree: Tree
  readonly size: number
  readonly depth: number
}

const one = { size: 1, depth: 1 }

/** `--`, or an indented or long `---`, alone on a line: what a `---` becomes by a slip, or where an open quote swallowed it. */
const brokenSeparator = /^[ \t]*[-–—]{2,}[ \t]*(?:#.*)?$/m

class DocumentReader {
  readonly #document: YamlLibraryDocument.Parsed
  readonly #lines: LineCounter
  readonly #limits: YamlLimits
  readonly #problems: TreeProblem[] = []
  readonly #anchors = new Map<string, Anchored>()
  #isBroken = false
  #hasTwiceAtRoot = false
  #values = 0

  constructor(document: YamlLibraryDocument.Parsed, lines: LineCounter, limits: YamlLimits) {
    this.#document = document
    this.#lines = lines
    this.#limits = limits
  }

  /** @param tooDeepAt where the document goes too deep, if it does: it was not composed then. */
  read(text: string, tooDeepAt: number | undefined): ReadDocument | undefined {
    const { contents, errors, warnings, range } = this.#document
    if (tooDeepAt !== undefined) this.#reportBroken(this.#at(tooDeepAt), tooDeepMessage)
    this.#reportLibraryErrors([...errors, ...warnings.filter(({ code }) => code === 'TAG_RESOLVE_FAILED')])
    const isEmpty = contents === null || (isScalar(contents) && contents.value === null)
    if (isEmpty && !this.#isBroken) return undefined
    const start = (contents as Node | null)?.range?.[0] ?? range[0]
    const { tree } = this.#convert(contents as Node | null, this.#at(start), 1)
    return {
      tree,
      problems: this.#problems,
      isBroken: this.#isBroken,
      mayHideAnother:
        this.#hasTwiceAtRoot || tooDeepAt !== undefined || brokenSeparator.test(text.slice(start, range[2])),
      ...this.#at(start),
    }
  }

  /** One mistake often gives several errors on its line: the first says enough. */
  #reportLibraryErrors(errors: readonly YamlLibraryDocument['errors'][number][]): void {
    const seen = new Set<number>()
    for (const error of errors) {
      const at = this.#at(error.pos[0])
      if (seen.has(at.line)) continue
      seen.add(at.line)
      this.#reportBroken(at, syntaxMessage(error))
    }
  }

  #report(at: Position, { message, fix }: SyntaxMessage): void {
    this.#problems.push({
      severity: 'error',
      code: 'syntax',
      line: at.line,
      column: at.column,
      path: '',
      message,
      fix,
    })
  }

  #reportBroken(at: Position, text: SyntaxMessage): void {
    this.#isBroken = true
    this.#report(at, text)
  }

  #at(offset: number): Position {
    const { line, col } = this.#lines.linePos(offset)
    return { line: Math.max(1, line), column: Math.max(1, col) }
  }

  #positionOf(node: Node | null, otherwise: Position): Position {
    const start = node?.range?.[0]
    return start === undefined ? otherwise : this.#at(start)
  }

  /** @param at where to say that a value stands which was left out. */
  #convert(node: Node | null, at: Position, depth: number): Anchored {
    const position = this.#positionOf(node, at)
    const absent: Anchored = { tree: { kind: 'scalar', value: null, ...position }, ...one }
    if (node === null) return this.#counted(absent)
    if (depth > this.#limits.maxDepth) {
      this.#reportBroken(position, tooDeepMessage)
      return absent
    }
    if (isAlias(node)) return this.#expand(node.source, position, depth) ?? absent
    const converted = this.#convertValue(node, position, depth)
    const { anchor } = node as Scalar
    // Only now, so that an alias within the value itself finds nothing: a tree has no cycles.
    if (anchor !== undefined) this.#anchors.set(anchor, converted)
    return converted
  }

  #convertValue(node: Node, position: Position, depth: number): Anchored {
    if (isScalar(node)) return this.#counted({ tree: scalarTree(node, position), ...one })
    this.#values++
    return isMap(node) ? this.#convertMap(node, position, depth) : this.#convertList(node as YAMLSeq, position, depth)
  }

  #counted(value: Anchored): Anchored {
    this.#values += value.size
    return value
  }

  #expand(anchor: string, position: Position, depth: number): Anchored | undefined {
    const target = this.#anchors.get(anchor)
    if (target === undefined) {
      const message = 'An alias (`*…`) names an anchor (`&…`) that does not stand before it in this document.'
      const fix = 'Mend the name, move the anchor up, or put quotes around a value that begins with `*`.'
      this.#reportBroken(position, { message, fix })
      return undefined
    }
    if (this.#values + target.size > this.#limits.maxValues) {
      const message = `With its aliases expanded the document has more than ${this.#limits.maxValues} values.`
      this.#reportBroken(position, { message, fix: 'Split the document, or use fewer aliases of aliases.' })
      return undefined
    }
    if (depth + target.depth - 1 > this.#limits.maxDepth) {
      this.#reportBroken(position, tooDeepMessage)
      return undefined
    }
    return this.#counted(target)
  }

  #convertList(node: YAMLSeq, position: Position, depth: number): Anchored {
    const items = node.items.map((item) => this.#convert(item as Node | null, position, depth + 1))
    return sum({ kind: 'list', items: items.map(({ tree }) => tree), ...position }, items)
  }

  #convertMap(node: YAMLMap, position: Position, depth: number): Anchored {
    const entries = new Map<string, MapEntry>()
    const parts: Anchored[] = []
    const merges: { readonly merged: Anchored; readonly at: Position }[] = []
    for (const pair of node.items as Pair<Node | null, Node | null>[]) {
      const at = this.#positionOf(pair.key, position)
      if (isMergeKey(pair.key)) {
        merges.push({ merged: this.#convert(pair.value, at, depth + 1), at })
        continue
      }
      const key = this.#keyOf(pair.key, at)
      const value = this.#convert(pair.value, at, depth + 1)
      if (key === undefined) continue
      const first = entries.get(key)
      if (first !== undefined) {
        const name = isWord(key) ? `The key \`${key}\`` : 'A key'
        const message = `${name} stands twice in one map: first in line ${first.line}.`
        this.#report(at, { message, fix: 'Keep one of them, or put `---` between two documents.' })
        this.#hasTwiceAtRoot ||= depth === 1
        continue
      }
      entries.set(key, { key, value: value.tree, ...at })
      parts.push(value)
    }
    for (const { merged, at } of merges) {
      this.#merge(entries, merged.tree, at)
      parts.push(merged)
    }
    return sum({ kind: 'map', entries: [...entries.values()], ...position }, parts)
  }

  /** What the map says itself wins over what it merges, and of a list of maps the earlier one. */
  #merge(entries: Map<string, MapEntry>, tree: Tree, at: Position): void {
    for (const source of tree.kind === 'list' ? tree.items : [tree]) {
      if (source.kind !== 'map') {
        const message = '`<<` merges a map, or a list of maps, and this is none.'
        this.#reportBroken(at, { message, fix: 'Write `<<: *anchor`, with the anchor at a map.' })
        return
      }
      for (const entry of source.entries) if (!entries.has(entry.key)) entries.set(entry.key, entry)
    }
  }

  #keyOf(node: Node | null, at: Position): string | undefined {
    const anchored = this.#convert(node, at, 1)
    const { tree } = anchored
    // A key is part of its entry, and counts no further.
    this.#values -= anchored.size
    if (tree.kind === 'scalar' && tree.value !== null) return tree.source ?? String(tree.value)
    const message = tree.kind === 'scalar' ? 'A key is empty.' : 'A key is a map or list.'
    this.#reportBroken(at, { message, fix: 'Write a word before the `:`, or quotes around the key.' })
    return undefined
  }
}

function sum(tree: Tree, parts: readonly Anchored[]): Anchored {
  let size = 1
  let depth = 1
  for (const part of parts) {
    size += part.size
    depth = Math.max(depth, part.depth + 1)
  }
  return { tree, size, depth }
}

/** A quoted `"<<"` is a key like any other. */
function isMergeKey(node: Node | null): boolean {
  return isScalar(node) && node.value === '<<' && node.type === 'PLAIN'
}

function scalarTree(node: Scalar, position: Position): ScalarTree {
  const { value, source } = node
  const plain = typeof value === 'bigint' && Number.isSafeInteger(Number(value)) ? Number(value) : value
  // The schema makes nothing else than these.
  const scalar = (plain ?? null) as ScalarTree['value']
  const isNumber = typeof scalar === 'number' || typeof scalar === 'bigint'
  const hasSource = source !== undefined && (typeof scalar === 'bigint' || (isNumber && source !== String(scalar)))
  return { kind: 'scalar', value: scalar, ...(hasSource && { source }), ...position }
}
