import pc from 'picocolors'
import { formatOrigin, isError, type Problem } from '../errors.ts'
import { counted } from './io.ts'

/**
 * Problems as people read them: place first, so that editors and terminals link it, then what is wrong, then the fix.
 * ```
 * config/cart.yaml:14:5 error: unknown field "clustr" (unknown-field)
 *   at resources[1].clustr
 *   fix: did you mean "cluster"?
 * ```
 */
export function formatProblems(problems: readonly Problem[], options: { readonly color: boolean }): string {
  const color = pc.createColors(options.color)
  return problems
    .map((problem) => {
      const severity = isError(problem) ? color.red('error') : color.yellow('warning')
      const lines = [
        `${color.bold(formatOrigin(problem.origin))} ${severity}: ${problem.message} ${color.dim(`(${problem.code})`)}`,
      ]
      if (problem.path !== '') lines.push(`  at ${problem.path}`)
      if (problem.fix !== '') lines.push(`  fix: ${problem.fix}`)
      return lines.join('\n')
    })
    .join('\n')
}

/** `2 errors, 1 warning`. */
export function countProblems(problems: readonly Problem[]): string {
  const errors = problems.filter(isError).length
  return `${counted(errors, 'error')}, ${counted(problems.length - errors, 'warning')}`
}
