/** One line of the result. */
export interface Row {
  readonly what: string
  /** With its unit. */
  readonly product: string
  /** What it is compared with; '' for a figure that stands alone. */
  readonly floor: string
  readonly ratio: number | undefined
  /** The highest ratio that is fine; undefined: for information. */
  readonly limit: number | undefined
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const [low, high] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]]
  return ((low ?? Number.NaN) + (high ?? Number.NaN)) / 2
}

export const isOver = ({ ratio, limit }: Row): boolean =>
  limit !== undefined && !(ratio !== undefined && ratio <= limit)

const head = ['what', 'product', 'floor', 'ratio', 'limit', '']

function cellsOf(row: Row): string[] {
  const { what, product, floor, ratio, limit } = row
  const mark = limit === undefined ? '' : isOver(row) ? 'OVER' : 'ok'
  return [what, product, floor, ratio?.toFixed(2) ?? '', limit?.toFixed(2) ?? '', mark]
}

/** For a terminal: columns aligned, numbers to the right. */
export function textTable(rows: readonly Row[]): string {
  const lines = [head, ...rows.map(cellsOf)]
  const widths = head.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)))
  return lines
    .map((line) =>
      line
        .map((cell, column) => pad(cell, widths[column] ?? 0, column))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

const pad = (cell: string, width: number, column: number): string =>
  column === 0 || column === head.length - 1 ? cell.padEnd(width) : cell.padStart(width)

export function markdownTable(rows: readonly Row[]): string {
  const lines = [head, ['---', '---:', '---:', '---:', '---:', '---'], ...rows.map(cellsOf)]
  return lines.map((line) => `| ${line.join(' | ')} |`).join('\n')
}
