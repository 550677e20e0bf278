import { nearestName } from '../../../resource/json/near-name.ts'
import type { AccessLog, Backend, Egress, Hash, HeaderChange, Retry, RouteDefaults, Tracing } from '../common-form.ts'
import { below, type Check, exactlyOne, given, named } from './check.ts'
import { checkHeaderName, checkHosts, checkMethods, checkNamesIn } from './check-names.ts'

export function checkAccessLog(check: Check, path: string, log: AccessLog | undefined): void {
  if (log === undefined) return
  const others = given(log, ['format', 'path', 'fields', 'text', 'minStatus'])
  if (log.off === true && others.length > 0) {
    check.error(below(path, others[0] as string), `With \`off\` ${named(others)} has no effect.`, 'Keep one of them.')
    return
  }
  if (log.text !== undefined && log.format !== 'text') {
    check.error(below(path, 'text'), '`text` needs the format `text`.', 'Add `format: text`.')
  }
  if (log.fields !== undefined && log.format === 'text') {
    check.error(below(path, 'fields'), '`fields` are of the format `json`.', 'Remove them, or write `format: json`.')
  }
}

export function checkTracing(check: Check, path: string, tracing: Tracing | undefined): void {
  if (tracing !== undefined) exactlyOne(check, path, tracing, ['otlp', 'zipkin'])
}

export function checkEgress(check: Check, path: string, egress: Egress | undefined): void {
  if (egress !== undefined) checkHosts(check, below(path, 'hosts'), egress.hosts, true)
}

export function checkRouteDefaults(check: Check, path: string, defaults: RouteDefaults | undefined): void {
  if (defaults !== undefined) checkRetry(check, below(path, 'retry'), defaults.retry)
}

/** Words that Envoy's router knows. */
const retryWords = [
  '5xx',
  'gateway-error',
  'reset',
  'reset-before-request',
  'connect-failure',
  'refused-stream',
  'retriable-4xx',
  'envoy-ratelimited',
  'http3-post-connect-failure',
  'cancelled',
  'deadline-exceeded',
  'internal',
  'resource-exhausted',
  'unavailable',
]

export function checkRetry(check: Check, path: string, retry: Retry | undefined): void {
  if (retry === undefined) return
  for (const [index, word] of (retry.retryOn ?? []).entries()) {
    if (retryWords.includes(word) || /^[1-5]\d\d$/.test(word)) continue
    const near = nearestName(word, retryWords)
    const fix = near === undefined ? `Write ${named(retryWords, 'or')}, or a status.` : `Did you mean \`${near}\`?`
    check.error(`${below(path, 'retryOn')}[${index}]`, 'Retries know no such condition.', fix)
  }
  checkMethods(check, below(path, 'methods'), retry.methods)
  const { base, max } = retry.backOff ?? {}
  if (base !== undefined && max !== undefined && max < base) {
    check.error(below(path, 'backOff.max'), '`max` is less than `base`.', 'Write a longer `max`, or remove it.')
  }
}

export function checkHash(check: Check, path: string, hash: Hash | undefined): void {
  if (hash !== undefined && !('cookie' in hash) && 'ttl' in hash) {
    check.error(below(path, 'ttl'), '`ttl` is of a cookie.', 'Remove it.')
  }
}

const kept = ['host', 'transfer-encoding', 'content-length', 'connection']

export function checkHeaderChange(check: Check, path: string, change: HeaderChange | undefined): void {
  if (change === undefined) return
  const seen = new Map<string, string>()
  const one = (at: string, name: string): void => {
    checkHeaderName(check, at, name)
    const lower = name.toLowerCase()
    if (kept.includes(lower)) {
      check.error(at, `Envoy keeps \`${lower}\` for itself.`, lower === 'host' ? 'Use `rewrite.host`.' : 'Remove it.')
    }
    const before = seen.get(lower)
    if (before !== undefined) check.error(at, `\`${lower}\` stands twice.`, 'Keep one of them.')
    seen.set(lower, at)
  }
  for (const name of Object.keys(change.set ?? {})) one(member(below(path, 'set'), name), name)
  for (const name of Object.keys(change.add ?? {})) one(member(below(path, 'add'), name), name)
  for (const [index, name] of (change.remove ?? []).entries()) one(`${below(path, 'remove')}[${index}]`, name)
}

const member = (path: string, key: string): string =>
  /^@?[A-Za-z_][\w-]*$/.test(key) ? `${path}.${key}` : `${path}[${JSON.stringify(key)}]`

export function checkBackend(check: Check, path: string, backend: Backend): void {
  checkNamesIn(check, path, backend, ['service', 'version'])
  checkHeaderChange(check, below(path, 'headers'), backend.headers)
}

export function checkBackends(check: Check, path: string, backends: readonly Backend[]): void {
  const seen = new Set<string>()
  for (const [index, backend] of backends.entries()) {
    const at = `${path}[${index}]`
    checkBackend(check, at, backend)
    const key = `${backend.service}/${backend.version ?? ''}`
    if (seen.has(key) && backend.headers === undefined)
      check.error(at, 'The same backend stands twice.', 'Add up their weights in one.')
    seen.add(key)
  }
}
