import type { TextMatch } from '../../config/kinds/route-form.ts'
import type { EnvoyJson } from '../envoy-json.ts'

/** For a text that stands in an RE2 expression for itself. */
export function escapeRegex(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
}

/**
 * An RE2 expression for the whole of a text.
 * @param separator stands around the text in what is searched, and so cannot be in it
 */
export function regexOf(text: TextMatch, separator?: ';' | '&'): string {
  const any = separator === undefined ? '.*' : `[^${separator}]*`
  if ('exact' in text) return escapeRegex(text.exact)
  if ('prefix' in text) return escapeRegex(text.prefix) + any
  if ('suffix' in text) return any + escapeRegex(text.suffix)
  return `(?:${separator === undefined ? text.regex : confine(text.regex, separator)})`
}

/** One expression for any of several. */
export function anyOf(texts: readonly TextMatch[]): string {
  const parts = texts.map((text) => regexOf(text))
  return parts.length === 1 ? (parts[0] as string) : `(?:${parts.join('|')})`
}

/** Envoy's StringMatcher. */
export function stringMatch(texts: readonly TextMatch[]): EnvoyJson {
  const [text, ...others] = texts
  if (text === undefined || others.length > 0) return { safe_regex: { regex: anyOf(texts) } }
  if ('regex' in text) return { safe_regex: { regex: text.regex } }
  return { ...text }
}

/** A quotation, an escape, a class, or one character. */
const tokens = /\\Q[\s\S]*?(?:\\E|$)|\\[pP]\{[^}]*\}|\\[\s\S]|\[\^?\]?(?:\[:\^?\w+:\]|\\[\s\S]|[^\]\\])*\]|[\s\S]/g

/** The same expression, whose dots and negations do not match a separator. A class that has it in a range still does. */
function confine(regex: string, separator: ';' | '&'): string {
  return regex.replace(tokens, (token) => {
    if (token === '.') return `[^${separator}]`
    if (/^\\[DWS]$/.test(token)) return `[^${token.toLowerCase()}${separator}]`
    if (token.startsWith('[^]')) return `[^${separator}\\]${token.slice(3)}`
    return token.startsWith('[^') ? `[^${separator}${token.slice(2)}` : token
  })
}
