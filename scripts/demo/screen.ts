import pc from 'picocolors'

/** What the demo prints to: a terminal, where a picture is redrawn in place, or a plain stream of lines. */
export interface Screen {
  readonly isLive: boolean
  line(text?: string): void
  /** `✓ two backends  blue on …`: a step that is done. */
  done(what: string, detail: string): void
  /** A further line of the last step. */
  detail(text: string): void
  /** On a terminal: draws these lines over those of the last call, until a line is printed. Elsewhere: nothing. */
  draw(lines: readonly string[]): void
  /** Gives the cursor back. */
  close(): void
}

type Output = NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number }

const labelWidth = 16
const escape = '\u001b['

export function createScreen(output: Output): Screen {
  const isLive = output.isTTY === true
  let drawn = 0
  const line = (text = ''): void => {
    drawn = 0
    output.write(`${text}\n`)
  }
  if (isLive) output.write(`${escape}?25l`)
  return {
    isLive,
    line,
    done: (what, detail) => line(`${pc.green('✓')} ${pc.bold(what.padEnd(labelWidth))} ${detail}`),
    detail: (text) => line(`${' '.repeat(labelWidth + 3)}${pc.dim(text)}`),
    draw(lines) {
      if (!isLive) return
      const up = drawn === 0 ? '' : `${escape}${drawn}A`
      output.write(up + lines.map((text) => `${escape}2K${text}\n`).join(''))
      drawn = lines.length
    },
    close() {
      if (isLive) output.write(`${escape}?25h`)
    },
  }
}

const eighths = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉']

/** A bar of `width` columns, filled to `share` (0 to 1). */
export function bar(share: number, width: number): string {
  const filled = Math.round(Math.min(1, Math.max(0, share)) * width * 8)
  const text = '█'.repeat(Math.floor(filled / 8)) + (eighths[filled % 8] ?? '')
  return text.padEnd(width)
}
