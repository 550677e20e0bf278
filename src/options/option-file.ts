import { isMap, isScalar, LineCounter, parseDocument } from 'yaml'
import type { Origin, Problem } from '../errors.ts'

export interface OptionFile {
  /** As a person wrote it. */
  readonly path: string
  readonly text: string
}

/** A key of the options file, with its plain value and where it stands. */
export interface FileEntry {
  readonly key: string
  readonly value: unknown
  readonly origin: Origin
}

/** Reads the options file: one YAML map. What is wrong with it as YAML is a Problem. */
export function readOptionFile({ path, text }: OptionFile): {
  readonly entries: readonly FileEntry[]
  readonly problems: readonly Problem[]
} {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, version: '1.2', logLevel: 'silent' })
  const at = (offset: number): Origin => {
    const { line, col } = lines.linePos(offset)
    return { name: path, line: Math.max(1, line), column: Math.max(1, col) }
  }
  const problem = (offset: number, message: string, fix: string): Problem => {
    return { severity: 'error', code: 'usage', origin: at(offset), path: '', message, fix }
  }
  const { contents, errors } = document
  if (errors.length > 0) {
    const fix = 'Mend the YAML: one `key: value` in a line.'
    return { entries: [], problems: errors.map(({ pos, message }) => problem(pos[0], `${message}.`, fix)) }
  }
  if (contents === null || (isScalar(contents) && contents.value === null)) return { entries: [], problems: [] }
  if (!isMap(contents)) {
    const message = 'The options file is a map of option names to values.'
    return { entries: [], problems: [problem(contents.range[0], message, 'Write lines such as `listen: :18000`.')] }
  }
  // `toJS` resolves aliases, and refuses the ones that grow without bound.
  let plain: ReadonlyMap<unknown, unknown>
  try {
    plain = document.toJS({ mapAsMap: true, maxAliasCount: 100 }) as ReadonlyMap<unknown, unknown>
  } catch {
    return { entries: [], problems: [problem(0, 'An alias names no anchor before it.', 'Write the value itself.')] }
  }
  const entries = contents.items.map(({ key }, index): FileEntry => {
    const [name, value] = Array.from(plain)[index] ?? []
    const isText = isScalar(key) && typeof key.value === 'string'
    return { key: isText ? String(name) : '', value: plainObject(value), origin: at(key.range[0]) }
  })
  return { entries, problems: [] }
}

/** The library's Maps as objects; keys that are no texts become texts. */
function plainObject(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plainObject)
  if (!(value instanceof Map)) return value
  return Object.fromEntries(Array.from(value, ([key, item]: [unknown, unknown]) => [String(key), plainObject(item)]))
}
