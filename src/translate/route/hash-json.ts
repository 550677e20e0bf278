import type { Hash } from '../../config/kinds/common-form.ts'
import { at, type EnvoyJson, type SourcePlace, within } from '../envoy-json.ts'
import { cookiePresence, type Fields } from './match-json.ts'

/** A form of a route for some of the requests that its rule matches. */
export interface Variant {
  /** Further conditions. */
  readonly headers: readonly EnvoyJson[]
  /** Of the RouteAction. */
  readonly action: Fields
  /** Headers that responses get. */
  readonly responseHeaders: readonly EnvoyJson[]
}

const plain: Variant = { headers: [], action: {}, responseHeaders: [] }

/**
 * What decides where requests of a rule go. A cookie that is made where a request has none takes two forms of the route:
 * Envoy's own way sends the first request to another arm than all later ones (measured), so the first one is hashed by
 * the request's id, which becomes the cookie.
 */
export function hashVariants(hash: Hash | undefined, from: SourcePlace): readonly Variant[] {
  if (hash === undefined) return [plain]
  const place = within(from, 'hash')
  const by = (policy: EnvoyJson): Fields => ({ hash_policy: [at(place, policy)] })
  if ('header' in hash) return [{ ...plain, action: by({ header: { header_name: hash.header } }) }]
  if ('query' in hash) return [{ ...plain, action: by({ query_parameter: { name: hash.query } }) }]
  if ('source' in hash) return [{ ...plain, action: by({ connection_properties: { source_ip: true } }) }]
  const known = by({ cookie: { name: hash.cookie } })
  if (hash.ttl === undefined) return [{ ...plain, action: known }]
  const value = `${hash.cookie.replaceAll('%', '%%')}=%REQ(X-REQUEST-ID)%; Path=/; Max-Age=${Math.ceil(hash.ttl / 1000)}; HttpOnly`
  const cookie = { header: { key: 'set-cookie', value }, append_action: 'APPEND_IF_EXISTS_OR_ADD' }
  return [
    { ...plain, headers: [at(place, cookiePresence(hash.cookie, true))], action: known },
    {
      headers: [at(place, cookiePresence(hash.cookie, false))],
      action: by({ header: { header_name: 'x-request-id' } }),
      responseHeaders: [at(place, cookie)],
    },
  ]
}
