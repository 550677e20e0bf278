import type { Redirect } from '../../config/kinds/route-form.ts'
import { at, type EnvoyJson, type SourcePlace, within } from '../envoy-json.ts'
import type { Fields } from './match-json.ts'
import { prefixFields } from './rewrite-json.ts'

const statusWords: Readonly<Record<number, string>> = {
  301: 'MOVED_PERMANENTLY',
  302: 'FOUND',
  303: 'SEE_OTHER',
  307: 'TEMPORARY_REDIRECT',
  308: 'PERMANENT_REDIRECT',
}

/** A form of a redirect for some of the requests. */
export interface RedirectVariant {
  readonly headers: readonly EnvoyJson[]
  readonly redirect: EnvoyJson
}

/**
 * Envoy's RedirectAction. Another scheme has another port: where a request came with a port in its host, so does the answer;
 * where it came without, whoever stands before the gateway knows the port.
 * @param matched the prefix that matched, '' for every path
 */
export function redirectVariants(
  redirect: Redirect,
  matched: string | undefined,
  from: SourcePlace,
  httpsPort = 443,
): readonly RedirectVariant[] {
  const place = within(from, 'redirect')
  const { scheme, host, port, path, prefix, status } = redirect
  const fields: Fields = {
    scheme_redirect: scheme,
    host_redirect: host === undefined ? undefined : at(within(place, 'host'), host),
    port_redirect: port,
    path_redirect: path === undefined ? undefined : at(within(place, 'path'), path),
    ...(prefix !== undefined && prefixFields(prefix, matched ?? '', within(place, 'prefix'))),
    response_code: status === undefined ? undefined : statusWords[status],
  }
  const whole: RedirectVariant = { headers: [], redirect: at(place, fields) }
  if (scheme === undefined || host !== undefined || port !== undefined) return [whole]
  const withPort = { name: ':authority', string_match: { safe_regex: { regex: '.*:[0-9]+' } } }
  const other = { ...fields, port_redirect: scheme === 'https' ? httpsPort : 80 }
  return [{ headers: [at(place, withPort)], redirect: at(place, other) }, whole]
}
