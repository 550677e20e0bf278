import type { Position } from '../../resource/tree.ts'
import { formatPath, type PathSegment } from '../../resource/tree-path.ts'

/** Where a value of a form was written. */
export interface WrittenPlace extends Position {
  /** As its author wrote it: `backends.service` where the form has `backends[0].service`. */
  readonly path: string
}

/** Finds where in its document a value of a form was written. */
export interface Places {
  /**
   * The place of a path of the form (`rules[0].action`'s parts by the document's names: `rules[0].backends[0].service`);
   * of the nearest value around it where nothing was written there. Undefined when the document was not read in this run.
   */
  at(path: string): WrittenPlace | undefined
}

/** Of a document restored from the history. */
export const noPlaces: Places = { at: () => undefined }

/** Collects places while a document is read. */
export interface PlacesBuilder {
  add(canonical: readonly PathSegment[], written: readonly PathSegment[], at: Position): void
  build(): Places
}

/**
 * Places are asked for seldom and kept for every document in force, so they are one text of a few bytes a value:
 * `\n<path>\t<line>:<column>[\t<written>]`, searched when asked.
 */
export function createPlacesBuilder(): PlacesBuilder {
  const lines: string[] = []
  return {
    add(canonical, written, at) {
      const path = formatPath('', canonical)
      const other = formatPath('', written)
      lines.push(`\n${path}\t${at.line}:${at.column}${other === path ? '' : `\t${other}`}`)
    },
    build() {
      const text = lines.join('')
      return { at: (path) => find(text, path) }
    },
  }
}

function find(text: string, path: string): WrittenPlace | undefined {
  for (let around = path; ; around = parentOf(around)) {
    const start = text.indexOf(`\n${around}\t`)
    if (start >= 0) {
      const from = start + around.length + 2
      const end = text.indexOf('\n', from)
      const [position = '', written = around] = text.slice(from, end < 0 ? undefined : end).split('\t')
      const [line = '1', column = '1'] = position.split(':')
      return { line: Number(line), column: Number(column), path: joined(written, path.slice(around.length)) }
    }
    if (around === '') return undefined
  }
}

function joined(written: string, rest: string): string {
  return written === '' && rest.startsWith('.') ? rest.slice(1) : written + rest
}

function parentOf(path: string): string {
  const quoted = /\["(?:[^"\\]|\\.)*"\]$/.exec(path)
  if (quoted !== null) return path.slice(0, quoted.index)
  return path.slice(0, Math.max(0, path.lastIndexOf('.'), path.lastIndexOf('[')))
}
