/**
 * The nodes of a YAML file, read with their places. A mistake is remembered, and reading goes on with something empty: who
 * finds `problems` throws away what was read.
 */
import { isMap, isScalar, isSeq, LineCounter, type Node, type Pair, parseDocument, type YAMLMap } from 'yaml'
import { nearestName } from '../../src/resource/json/near-name.ts'
import type { Place } from './case.ts'

export interface Entry {
  readonly key: Node
  readonly value: Node | undefined
}
export type Entries = ReadonlyMap<string, Entry>

/** What `<name>` stands for. */
export type Variables = Readonly<Record<string, string>>

export class YamlReader {
  readonly problems: string[] = []
  protected readonly file: string
  protected readonly root: unknown
  protected readonly lines: LineCounter = new LineCounter()
  protected variables: Variables = {}

  constructor(file: string, text: string) {
    this.file = file
    const document = parseDocument(text, { lineCounter: this.lines, prettyErrors: false })
    for (const error of document.errors) {
      const { line, col } = this.lines.linePos(error.pos[0])
      this.problems.push(`${file}:${line}:${col}: ${error.message}`)
    }
    this.root = document.contents
  }

  protected entries(node: unknown, what: string, known?: readonly string[]): Entries {
    const entries = new Map<string, Entry>()
    if (!isMap(node)) {
      this.fail(node, `${what} is a map`)
      return entries
    }
    for (const { key, value } of (node as YAMLMap<Node, Node>).items as Pair<Node, Node>[]) {
      const name = this.key(key)
      if (known !== undefined && !known.includes(name)) {
        const near = nearestName(name, known)
        const instead = near === undefined ? `, but ${known.join(', ')}` : `; did you mean \`${near}\`?`
        this.fail(key, `${what} has no \`${name}\`${instead}`)
      }
      entries.set(name, { key, value: value ?? undefined })
    }
    return entries
  }

  protected items(node: unknown, what: string): readonly unknown[] {
    if (isSeq(node)) return node.items
    this.fail(node, `${what} is a list`)
    return []
  }

  protected text(node: unknown, what: string): string {
    if (isScalar(node) && node.value !== null) return this.substituted(plainText(node.value))
    this.fail(node, `${what} is missing`)
    return ''
  }

  protected key(node: unknown): string {
    return this.substituted(isScalar(node) ? plainText(node.value) : '')
  }

  /** One, or a list of them. */
  protected texts(node: unknown, what: string): readonly string[] {
    const items = isSeq(node) ? node.items : [node]
    return items.map((item) => this.text(item, what))
  }

  protected plain(node: unknown): unknown {
    if (isMap(node)) {
      return Object.fromEntries(
        node.items.flatMap(({ key, value }) => {
          return expandRange(this.key(key)).map((name): [string, unknown] => [name, this.plain(value)])
        }),
      )
    }
    if (isSeq(node)) {
      return node.items.flatMap((item): unknown[] => {
        const value = this.plain(item)
        return typeof value === 'string' ? [...expandRange(value)] : [value]
      })
    }
    if (!isScalar(node)) return undefined
    return typeof node.value === 'string' ? this.substituted(node.value) : node.value
  }

  protected substituted(text: string): string {
    return text.replace(/<(\w+)>/g, (whole, name: string) => this.variables[name] ?? whole)
  }

  protected place(node: unknown): Place {
    const at = (node as Node | undefined)?.range?.[0] ?? 0
    return { file: this.file, line: this.lines.linePos(at).line }
  }

  protected fail(node: unknown, message: string): void {
    const at = (node as Node | undefined | null)?.range?.[0] ?? 0
    const { line, col } = this.lines.linePos(at)
    this.problems.push(`${this.file}:${line}:${col}: ${message}`)
  }
}

export function isPresent(node: unknown): boolean {
  return node !== undefined && node !== null && !(isScalar(node) && node.value === null)
}

/** `c{1..3}`: c1, c2, c3. */
export function expandRange(text: string): readonly string[] {
  const [, before = '', from, to, after = ''] = /^(.*)\{(\d+)\.\.(\d+)\}(.*)$/.exec(text) ?? []
  if (from === undefined || to === undefined) return [text]
  const count = Number(to) - Number(from) + 1
  return Array.from({ length: Math.max(0, count) }, (_, index) => `${before}${Number(from) + index}${after}`)
}

/** Of a scalar: a text as it is, a number in digits. */
export function plainText(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value ?? '')
}
