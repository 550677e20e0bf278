import { RE2JS } from 're2js'

/** Whether Envoy (RE2) can compile it; Envoy refuses a whole resource that holds one that it cannot. */
export function isRegex(pattern: string): boolean {
  try {
    RE2JS.compile(pattern)
    return true
  } catch {
    return false
  }
}

/** How many groups it has that a substitution can name; undefined where RE2 cannot compile it. */
export function groupCount(pattern: string): number | undefined {
  try {
    return RE2JS.compile(pattern).groupCount()
  } catch {
    return undefined
  }
}

/** Compiled ones, so that a table of routes compiles each of its patterns once. */
const compiled = new Map<string, RE2JS>()
const compiledAtMost = 1_000

/** Whether the whole text is what the pattern says, as Envoy means every regex that it matches with. */
export function matchesWhole(pattern: string, text: string): boolean {
  return compile(pattern).matches(text)
}

/** Replaces every match as RE2 does; `\1` in the substitution is the first group, `\0` the whole match. */
export function replaceMatches(pattern: string, text: string, substitution: string): string {
  const matcher = compile(pattern).matcher(text)
  let result = ''
  let from = 0
  while (matcher.find()) {
    // An empty match right behind another one is none to RE2.
    if (matcher.end() === matcher.start() && matcher.start() === from && from > 0) continue
    result += text.slice(from, matcher.start())
    result += substitution.replaceAll(/\\(\d|\\)/g, (_, group: string) =>
      group === '\\' ? '\\' : (matcher.group(Number(group)) ?? ''),
    )
    from = matcher.end()
  }
  return result + text.slice(from)
}

function compile(pattern: string): RE2JS {
  const known = compiled.get(pattern)
  if (known !== undefined) return known
  const built = RE2JS.compile(pattern)
  const [oldest] = compiled.keys()
  if (compiled.size >= compiledAtMost && oldest !== undefined) compiled.delete(oldest)
  compiled.set(pattern, built)
  return built
}
