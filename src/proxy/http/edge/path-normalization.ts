import type { Headers } from '../headers.ts'
import type { EdgeRules } from '../manager-config.ts'

/** `redirect`: the client is to ask again, for the path that it has now. */
export type PathVerdict = 'ok' | 'reject' | 'redirect'

type PathRules = Pick<EdgeRules, 'normalizesPath' | 'mergesSlashes' | 'escapedSlashes'>

/** Brings the path of a request into its normal form, as far as the rules say. A path with a fragment is refused. */
export function normalizePath(request: Headers, rules: PathRules): PathVerdict {
  const whole = request.get(':path')
  if (whole === undefined) return 'ok'
  if (whole.includes('#')) return 'reject'
  const end = whole.indexOf('?')
  const query = end < 0 ? '' : whole.slice(end)
  const asked = end < 0 ? whole : whole.slice(0, end)
  let path = asked
  let verdict: PathVerdict = 'ok'
  if (rules.escapedSlashes !== 'KEEP_UNCHANGED' && path.includes('%')) {
    path = path.replaceAll(/%2f/gi, '/').replaceAll(/%5c/gi, '\\')
    if (path !== asked) {
      if (rules.escapedSlashes === 'REJECT_REQUEST') {
        request.set(':path', path + query)
        return 'reject'
      }
      if (rules.escapedSlashes === 'UNESCAPE_AND_REDIRECT') verdict = 'redirect'
    }
  }
  if (rules.normalizesPath && needsWork.test(path)) {
    const normal = canonical(path)
    if (normal === undefined) return 'reject'
    path = normal
  }
  if (rules.mergesSlashes && path.includes('//')) path = merged(path)
  if (path !== asked) request.set(':path', path + query)
  return verdict
}

/** A path of nothing but slashes keeps two, the first and the last, as in Envoy. */
const merged = (path: string): string => (/^\/+$/.test(path) ? '//' : path.replaceAll(/\/{2,}/g, '/'))

/** What is not in its normal form yet; for most paths this is the whole work. */
const needsWork = /[%\\]|\/\.|[^!-~]|["<>`{}|^]/

/** RFC 3986, 6.2.2, as browsers do it; undefined for a path that holds a zero byte. */
function canonical(path: string): string | undefined {
  if (/%00/.test(path)) return undefined
  const slashed = path.replaceAll('\\', '/')
  // Unreserved characters need no escape; what is not allowed in a path gets one.
  const decoded = slashed.replaceAll(/%([\da-f]{2})/gi, (escape, hex: string) => {
    const letter = String.fromCharCode(Number.parseInt(hex, 16))
    return /[\w.~-]/.test(letter) ? letter : escape
  })
  return withoutDots(decoded.replaceAll(/[^!-~]|["<>`{}|^]/g, escaped))
}

const escaped = (letter: string): string => `%${letter.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`

function withoutDots(path: string): string {
  const kept: string[] = []
  const segments = path.split('/')
  for (const [at, segment] of segments.entries()) {
    const isLast = at === segments.length - 1
    if (segment === '..') {
      if (kept.length > 1) kept.pop()
      if (isLast) kept.push('')
    } else if (segment === '.') {
      if (isLast) kept.push('')
    } else kept.push(segment)
  }
  return kept.join('/')
}
