import { groupCount, isRegex } from '../../../resource/regex.ts'
import type { Plain } from '../plain-message.ts'
import type { Match, NamedMatch, Redirect, Rewrite, RouteForm, Rule, TextMatch } from '../route-form.ts'
import { below, type Check, exactlyOne, given, named } from './check.ts'
import { checkBackend, checkBackends, checkHash, checkHeaderChange, checkRetry } from './check-common.ts'
import { checkHeaderName, checkHosts, checkMethods, checkName, checkUnique, isHost } from './check-names.ts'

/** @param actions what each rule was given of `backends`, `redirect` and `respond`, which its form no longer tells. */
export function checkRoute(check: Check, form: RouteForm, actions: readonly object[]): void {
  checkHosts(check, 'hosts', form.hosts, true)
  for (const [index, name] of (form.gateways ?? []).entries()) checkName(check, `gateways[${index}]`, name)
  for (const [index, rule] of form.rules.entries()) checkRule(check, `rules[${index}]`, rule, actions[index] ?? {})
  const names = form.rules.map(({ name }, index) => name ?? String(index))
  checkUnique(check, names, (index) => `rules[${index}].name`)
}

/** What is done on the way to a backend. */
const forwarding = [
  'timeout',
  'idleTimeout',
  'retry',
  'mirror',
  'rewrite',
  'hash',
  'fallback',
  'websocket',
  'maxRequestSize',
  'priority',
]

function checkRule(check: Check, path: string, rule: Rule, action: object): void {
  exactlyOne(check, path, action, ['backends', 'redirect', 'respond'])
  if (rule.name !== undefined) {
    checkName(check, `${path}.name`, rule.name)
    if (/^\d+$/.test(rule.name)) {
      const message = 'A number is what rules without a name are called.'
      check.error(`${path}.name`, message, 'Write a name with a letter.', 'invalid-name')
    }
  }
  for (const [index, match] of rule.match.entries()) {
    const plain = (action as { readonly match?: readonly Plain[] }).match?.[index] ?? {}
    checkMatch(check, `${path}.match[${index}]`, match, plain)
  }
  checkPartCount(check, path, rule)
  if (rule.action.kind === 'forward') {
    checkBackends(check, `${path}.backends`, rule.action.backends)
  } else {
    for (const field of given(rule, forwarding)) {
      const message = `\`${field}\` has no effect without \`backends\`.`
      check.error(`${path}.${field}`, message, `Remove it: \`${rule.action.kind}\` answers at once.`)
    }
    if (rule.action.kind === 'redirect') checkRedirect(check, `${path}.redirect`, rule, rule.action.redirect)
  }
  for (const [index, mirror] of (rule.mirror ?? []).entries()) checkBackend(check, `${path}.mirror[${index}]`, mirror)
  if (rule.fallback !== undefined) {
    checkBackend(check, `${path}.fallback`, rule.fallback)
    const { service, version } = rule.fallback
    const backends = rule.action.kind === 'forward' ? rule.action.backends : []
    if (backends.some((one) => one.service === service && one.version === version)) {
      check.error(`${path}.fallback`, 'It is a backend of the rule itself.', 'Name another, or remove it.')
    }
    for (const field of given(rule.fallback, ['weight', 'headers'])) {
      check.error(`${path}.fallback.${field}`, `\`${field}\` has no effect on a fallback.`, 'Remove it.')
    }
  }
  if (rule.websocket === true && rule.maxRequestSize !== undefined) {
    const message = '`websocket` and `maxRequestSize` exclude each other: what is sent in a WebSocket has no end.'
    check.error(`${path}.maxRequestSize`, message, 'Keep one of them, or make two rules.')
  }
  checkRetry(check, `${path}.retry`, rule.retry)
  checkHash(check, `${path}.hash`, rule.hash)
  checkHeaderChange(check, `${path}.headers.request`, rule.headers?.request)
  checkHeaderChange(check, `${path}.headers.response`, rule.headers?.response)
  checkFault(check, `${path}.fault`, rule)
  if (rule.rewrite !== undefined) checkRewrite(check, `${path}.rewrite`, rule, rule.rewrite)
  for (const [index, origin] of (rule.cors?.origins ?? []).entries()) {
    checkRegex(check, `${path}.cors.origins[${index}]`, origin)
  }
  if (
    rule.cors?.credentials === true &&
    rule.cors.origins.some((origin) => 'exact' in origin && origin.exact === '*')
  ) {
    const message = 'Every site could act with the cookies of whoever visits it.'
    check.error(`${path}.cors.credentials`, message, 'Name the origins, or remove `credentials`.')
  }
  checkMethods(check, `${path}.cors.methods`, rule.cors?.methods, true)
}

/** Each becomes a route, in the memory of every proxy. */
const mostParts = 256

function checkPartCount(check: Check, path: string, { match }: Rule): void {
  const count = match.reduce((sum, one) => sum + (one.path?.length ?? 1), 0)
  if (count <= mostParts) return
  const message = `The rule matches in ${count} ways, and ${mostParts} are the most.`
  check.error(`${path}.match`, message, 'Use prefixes or a regex, or make several rules.')
}

function checkMatch(check: Check, path: string, match: Match, plain: Plain): void {
  for (const [index, text] of (match.path ?? []).entries()) checkPath(check, `${path}.path[${index}]`, text)
  checkMethods(check, `${path}.methods`, match.methods)
  for (const kind of ['headers', 'query', 'cookies'] as const) {
    for (const [index, one] of (match[kind] ?? []).entries()) {
      const at = `${path}.${kind}[${index}]`
      exactlyOne(check, at, (plain[kind] as readonly object[] | undefined)?.[index] ?? {}, ['any', 'not'], true)
      checkNamedMatch(check, at, one, kind !== 'query')
    }
  }
  if (match.grpc !== undefined) {
    if (match.path !== undefined) {
      const message = '`path` and `grpc` exclude each other: a gRPC method is a path.'
      check.error(`${path}.path`, message, 'Keep one of them.')
    }
    if (match.grpc.method !== undefined && match.grpc.service === undefined) {
      check.error(`${path}.grpc.method`, '`method` needs the `service` that has it.', 'Add `service`.')
    }
  }
}

function checkPath(check: Check, path: string, text: TextMatch): void {
  checkRegex(check, path, text)
  const [how, value] = Object.entries(text)[0] ?? []
  if (how === undefined || value === undefined || how === 'regex') return
  if (how !== 'suffix' && !value.startsWith('/')) {
    check.error(`${path}.${how}`, 'A path begins with `/`.', 'Write the `/`.')
  }
  if (/[?#]/.test(value)) {
    check.error(`${path}.${how}`, 'A path has no query and no fragment.', 'Match the query by `query`.')
  }
}

function checkNamedMatch(check: Check, path: string, match: NamedMatch, isHeader: boolean): void {
  if (isHeader) checkHeaderName(check, path, match.name)
  if (match.any.length === 0) {
    check.error(path, 'It says no value.', 'Write a text, or `{present: true}`.')
  }
  const list = match.not === true ? 'not' : 'any'
  const lone = match.any.findIndex((text) => 'present' in text)
  if (lone >= 0 && match.any.length > 1) {
    const message = '`present` stands alone: beside other values it would say all or nothing.'
    check.error(`${path}.${list}[${lone}].present`, message, 'Write two items in `match`, of which any may hold.')
  }
  for (const [index, text] of match.any.entries()) {
    if (!('present' in text)) checkRegex(check, `${path}.${list}[${index}]`, text)
  }
}

function checkRegex(check: Check, path: string, text: TextMatch): void {
  if (!('regex' in text) || isRegex(text.regex)) return
  const fix = 'Mend it; RE2 has no look-around and no references to groups.'
  check.error(`${path}.regex`, 'RE2 cannot read this expression.', fix)
}

function checkRedirect(check: Check, path: string, rule: Rule, redirect: Redirect): void {
  const parts = ['scheme', 'host', 'port', 'path', 'prefix']
  if (given(redirect, parts).length === 0) {
    check.error(path, 'The redirect leads to where it came from.', `Add ${named(parts, 'or')}.`)
  }
  exactlyOne(check, path, redirect, ['path', 'prefix'], true)
  if (redirect.prefix !== undefined) checkPrefixed(check, `${path}.prefix`, rule)
  if (redirect.host !== undefined && !isHost(redirect.host)) {
    check.error(`${path}.host`, 'This is no host.', 'Write a name such as `shop.example`; a port goes to `port`.')
  }
}

function checkRewrite(check: Check, path: string, rule: Rule, rewrite: Rewrite): void {
  exactlyOne(check, path, rewrite, ['prefix', 'path', 'regex'], true)
  if (given(rewrite, ['prefix', 'path', 'regex', 'host']).length === 0) {
    check.error(path, 'The rewrite changes nothing.', `Add ${named(['prefix', 'path', 'regex', 'host'], 'or')}.`)
  }
  if (rewrite.prefix !== undefined) checkPrefixed(check, `${path}.prefix`, rule)
  if (rewrite.regex !== undefined) checkRegexRewrite(check, below(path, 'regex'), rewrite.regex)
}

/** Envoy refuses the whole table of routes for a substitution that RE2 does not take. */
function checkRegexRewrite(check: Check, path: string, { pattern, with: text }: NonNullable<Rewrite['regex']>): void {
  const groups = groupCount(pattern)
  if (groups === undefined) {
    const fix = 'Mend it; RE2 has no look-around and no references to groups.'
    check.error(`${path}.pattern`, 'RE2 cannot read this expression.', fix)
    return
  }
  for (const [, what = ''] of text.matchAll(/\\(.?)/gs)) {
    if (what === '\\' || (/\d/.test(what) && Number(what) <= groups)) continue
    const message = /\d/.test(what) ? `The pattern has no group ${what}.` : 'After `\\` stands no number of a group.'
    check.error(`${path}.with`, message, 'Write `\\1` for the first group, and `\\\\` for the character itself.')
    return
  }
}

/** What stands in place of a prefix needs one that matched; a rule without paths matches by `/`. */
function checkPrefixed(check: Check, at: string, rule: Rule): void {
  const isPrefixed = ({ path, grpc }: Match): boolean =>
    grpc === undefined && (path ?? []).every((text) => 'prefix' in text)
  if (rule.match.every(isPrefixed)) return
  const message = 'There is no prefix in whose place it could stand.'
  check.error(at, message, 'Match by `path: {prefix: …}` everywhere in `match`, or use `path`.')
}

function checkFault(check: Check, path: string, { fault }: Rule): void {
  if (fault === undefined) return
  if (given(fault, ['delay', 'abort']).length === 0) {
    check.error(path, 'The fault does nothing.', 'Add `delay` or `abort`.')
  }
  if (fault.abort !== undefined) exactlyOne(check, `${path}.abort`, fault.abort, ['status', 'grpcStatus'])
}
