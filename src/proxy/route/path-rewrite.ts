import { replaceMatches } from '../../resource/regex.ts'
import type { FieldReader } from '../config/field-reader.ts'
import { readPattern } from '../config/string-matcher.ts'
import type { PathMatch } from './route-match.ts'

/** What a path becomes, its query kept. */
export type PathRewrite = (path: string) => string

/**
 * `prefix_rewrite` or `regex_rewrite`. The prefix stands for what the route matched: the prefix, or of any other match the
 * whole path.
 */
export function readPathRewrite(fields: FieldReader, match: PathMatch): PathRewrite | undefined {
  if (fields.string('prefix_rewrite') !== '') {
    const prefix = fields.string('prefix_rewrite')
    return (path) => prefix + path.slice(match.kind === 'prefix' ? match.length : endOfPath(path))
  }
  return fields.message('regex_rewrite', readRegexRewrite)
}

/** `envoy.type.matcher.v3.RegexMatchAndSubstitute`, of the path without its query. */
function readRegexRewrite(fields: FieldReader): PathRewrite {
  const replace = readSubstitution(fields)
  return (path) => {
    const end = endOfPath(path)
    return replace(path.slice(0, end)) + path.slice(end)
  }
}

/** `envoy.type.matcher.v3.RegexMatchAndSubstitute`. */
export function readSubstitution(fields: FieldReader): (text: string) => string {
  const pattern = fields.message('pattern', readPattern) ?? ''
  const substitution = fields.string('substitution')
  return (text) => replaceMatches(pattern, text, substitution)
}

/** Where the query or fragment begins. */
export function endOfPath(path: string): number {
  for (let at = 0; at < path.length; at += 1) if (path[at] === '?' || path[at] === '#') return at
  return path.length
}
