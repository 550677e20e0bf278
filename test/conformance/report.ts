/** What people and programs are told of a run. */
import pc from 'picocolors'
import { type Level, levels } from './case.ts'
import type { Result } from './run-cases.ts'

export interface Score {
  readonly passed: number
  /** Without those that the server has no service for. */
  readonly of: number
  readonly unsupported: number
}

export function scores(results: readonly Result[]): Readonly<Record<Level, Score>> {
  const scoreOf = (level: Level): Score => {
    const mine = results.filter((result) => result.level === level)
    const passed = mine.filter(({ failure }) => failure === undefined).length
    const unsupported = mine.filter(({ failure }) => failure?.isUnsupported === true).length
    return { passed, of: mine.length - unsupported, unsupported }
  }
  return { must: scoreOf('must'), should: scoreOf('should'), ours: scoreOf('ours') }
}

/** One line, and of a failure two more. */
export function resultLines(result: Result, gap?: string): string {
  const { level, rules, title, protocol, failure } = result
  const isOk = failure === undefined
  const mark = markOf(result, gap)
  const line = `${mark}  ${level.toUpperCase().padEnd(6)}  ${rules.join(',').padEnd(6)}  ${protocol.padEnd(5)}  ${title}`
  if (isOk) return line
  const at = failure.file === '' ? [] : [`${failure.file}:${failure.line}  ${shortened(failure.turn)}`]
  const why = gap === undefined ? [] : [`known: ${gap}`]
  return [line, ...[...at, failure.reason, ...why].map((text) => pc.dim(`      ${text}`))].join('\n')
}

function markOf({ failure }: Result, gap: string | undefined): string {
  if (failure === undefined) return pc.green('ok  ')
  if (failure.isUnsupported) return pc.yellow('n/a ')
  return gap === undefined ? pc.red('FAIL') : pc.yellow('gap ')
}

export function scoreLines(results: readonly Result[]): string {
  const all = scores(results)
  return levels
    .filter((level) => all[level].of > 0)
    .map((level) => {
      const { passed, of, unsupported } = all[level]
      const text = `${level.toUpperCase().padEnd(6)}  ${String(passed).padStart(4)} of ${String(of).padStart(4)}`
      return `${passed === of ? pc.green(text) : text}  ${((100 * passed) / of).toFixed(0).padStart(3)} %${unsupported === 0 ? '' : `  (${unsupported} n/a)`}`
    })
    .join('\n')
}

function shortened(text: string): string {
  return text.length > 140 ? `${text.slice(0, 139)}…` : text
}
