import type { HeaderMatchForm, QueryMatchForm, RouteMatchForm, StringMatchForm } from './envoy-form.ts'
import { stringMatchOf, stringMatchText } from './string-match.ts'

/** A path, for people: `prefix /api`. */
export function pathText(match: RouteMatchForm): string {
  const { path, path_separated_prefix: separated, safe_regex: regex, connect_matcher: connect, prefix } = match
  if (path !== undefined) return `path ${path}`
  if (separated !== undefined) return `prefix ${separated}`
  if (regex !== undefined) return `path matching ${regex.regex ?? ''}`
  if (connect !== undefined) return 'CONNECT'
  return `prefix ${prefix ?? ''}`
}

/** `header x-group: beta`; what stands for a method, a cookie or an absent query parameter is told as that. */
export function headerText(form: HeaderMatchForm): string {
  const { name = '', invert_match: isInverted = false, range_match: range } = form
  const text = stringMatchOf(form)
  if (name === ':method' && text !== undefined) return `method ${isInverted ? 'other than ' : ''}${methodsText(text)}`
  const regex = text?.safe_regex?.regex
  const special = regex === undefined ? undefined : name === 'cookie' ? cookieText(regex, isInverted) : undefined
  const absence = regex !== undefined && name === ':path' && isInverted ? queryAbsenceText(regex) : undefined
  if (special !== undefined || absence !== undefined) return (special ?? absence) as string
  const value = range === undefined ? text && stringMatchText(text) : `${range.start ?? 0} to below ${range.end ?? 0}`
  if (value === undefined) {
    return (form.present_match ?? true) === isInverted ? `no header ${name}` : `header ${name}`
  }
  return `header ${name}: ${isInverted ? 'not ' : ''}${value}`
}

/** The regexes by which fairlead asks for cookies; undefined for others. */
function cookieText(regex: string, isInverted: boolean): string | undefined {
  const [, name, any, values] =
    /^\(\?:\.\*;\\s\*\)\?([^=]+)=(?:(\.\*)|\(\?:(.*)\)\\s\*\(\?:;\.\*\)\?)$/.exec(regex) ?? []
  if (name === undefined) return undefined
  const cookie = `cookie ${plain(name)}`
  if (any !== undefined) return isInverted ? `no ${cookie}` : cookie
  return `${cookie}: ${isInverted ? 'not ' : ''}${alternatives(values ?? '')}`
}

/** The regexes by which fairlead asks that a query parameter is not there, or is something else. */
function queryAbsenceText(regex: string): string | undefined {
  const [, rest] = /^\[\^\?\]\*\\\?\(\?:\.\*&\)\?(.*)$/.exec(regex) ?? []
  if (rest === undefined) return undefined
  const [, gone] = /^(.*)\(\?:\[=&\]\.\*\)\?$/.exec(rest) ?? []
  if (gone !== undefined) return `no query parameter ${plain(gone)}`
  const [, name, values] = /^(.*?)\(\?:(.*)\)\(\?:&\.\*\)\?$/.exec(rest) ?? []
  if (name === undefined) return undefined
  return `query parameter ${plain(name)}: not ${alternatives((values ?? '').replaceAll(/(^|\|)=/g, '$1'))}`
}

const plain = (regex: string): string => regex.replaceAll(/\\(.)/g, '$1')
const alternatives = (regex: string): string => plain(regex).split('|').join(' or ')

const idempotent = ['DELETE', 'GET', 'HEAD', 'OPTIONS', 'PUT', 'TRACE']

/** `GET or HEAD` of the regex that stands for several. */
export function methodsText(form: StringMatchForm): string {
  if (form.safe_regex === undefined) return stringMatchText(form)
  const regex = form.safe_regex.regex ?? ''
  const methods = regex
    .replace(/^\^?(?:\((?:\?:)?)?/, '')
    .replace(/\)?\$?$/, '')
    .split('|')
  const isIdempotent = methods.length === idempotent.length && idempotent.every((method) => methods.includes(method))
  return isIdempotent ? 'what is idempotent' : methods.join(' or ')
}

/** `query parameter debug=1` */
export function queryText({ name = '', string_match: text }: QueryMatchForm): string {
  return text === undefined ? `query parameter ${name}` : `query parameter ${name}=${stringMatchText(text)}`
}
