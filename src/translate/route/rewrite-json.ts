import type { Rewrite } from '../../config/kinds/route-form.ts'
import { at, type EnvoyJson, type SourcePlace, within } from '../envoy-json.ts'
import type { Fields } from './match-json.ts'
import { escapeRegex } from './text-pattern.ts'

/**
 * What of Envoy's RouteAction changes the path and host.
 * @param matched the prefix that matched, '' for every path; undefined where it was no prefix
 */
export function rewriteFields(rewrite: Rewrite | undefined, matched: string | undefined, from: SourcePlace): Fields {
  if (rewrite === undefined) return {}
  const place = within(from, 'rewrite')
  const { prefix, path, regex, host } = rewrite
  return {
    ...(prefix !== undefined && prefixFields(prefix, matched ?? '', within(place, 'prefix'))),
    ...(path !== undefined && { regex_rewrite: at(within(place, 'path'), wholePath(path)) }),
    ...(regex !== undefined && {
      regex_rewrite: at(within(place, 'regex'), { pattern: { regex: regex.pattern }, substitution: regex.with }),
    }),
    ...(host !== undefined && { host_rewrite_literal: at(within(place, 'host'), host) }),
  }
}

/** What stands in place of the prefix that matched, with one `/` between it and the rest: both messages that can do it have these fields. */
export function prefixFields(prefix: string, matched: string, place: SourcePlace): Fields {
  const bare = prefix.replace(/\/+$/, '')
  if (matched === '') return { prefix_rewrite: at(place, `${bare}/`) }
  if (bare !== '') return { prefix_rewrite: at(place, bare) }
  // As a prefix, `/` in place of `/api` makes `//x` of `/api/x`.
  return { regex_rewrite: at(place, { pattern: { regex: `^${escapeRegex(matched)}/?` }, substitution: '/' }) }
}

/** Envoy keeps the query. */
function wholePath(path: string): EnvoyJson {
  return { pattern: { regex: '^.*$' }, substitution: path.replaceAll('\\', '\\\\') }
}
