/**
 * How long a caller waits goes on with its request as `x-envoy-expected-rq-timeout-ms`. Envoy takes that header out of every
 * request whose `x-forwarded-for` does not say that it comes from within, and between workloads nothing says so (measured).
 * It is kept under a name of ours while Envoy does that, and put back before the router looks.
 */
import type { EnvoyJson } from '../envoy-json.ts'

const header = 'x-envoy-expected-rq-timeout-ms'
const kept = 'x-fairlead-expected-rq-timeout-ms'

const copy = (from: string, to: string): EnvoyJson => ({
  append: {
    header: { key: to, value: `%REQ(${from})%` },
    append_action: 'OVERWRITE_IF_EXISTS_OR_ADD',
  },
})

/** What a client itself says by our name is not taken. */
export const keepDeadline: EnvoyJson = {
  name: 'envoy.http.early_header_mutation.header_mutation',
  typed_config: {
    '@type': 'type.googleapis.com/envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation',
    mutations: [{ remove: kept }, copy(header, kept)],
  },
}

/** The HTTP filter before the router. */
export const putBackDeadline: EnvoyJson = {
  name: 'envoy.filters.http.header_mutation',
  typed_config: {
    '@type': 'type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation',
    mutations: { request_mutations: [copy(kept, header), { remove: kept }] },
  },
}
