import type { FieldReader } from '../config/field-reader.ts'
import type { HttpFilterKind } from '../http/http-filter.ts'

/** Whom the name is taken from in place of the authority. */
type HostRewrite = { readonly literal: string } | { readonly header: string }

/** The cluster of the same cache has it, too, and looks names up. */
function readCache(fields: FieldReader): undefined {
  fields.ignore('dns_cache_config', "the cluster's says how names are looked up; both must be equal")
  return undefined
}

/** Looks the host of a request up before it goes on, so that a name that is not there is told apart from no host. */
export const dynamicForwardProxyFilter: HttpFilterKind<undefined> = {
  type: 'envoy.extensions.filters.http.dynamic_forward_proxy.v3.FilterConfig',
  read: readCache,
  perRoute: {
    'envoy.extensions.filters.http.dynamic_forward_proxy.v3.PerRouteConfig': (fields): HostRewrite =>
      fields.has('host_rewrite_header')
        ? { header: fields.string('host_rewrite_header').toLowerCase() }
        : { literal: fields.string('host_rewrite_literal') },
  },
  create(_, name) {
    return () => ({
      async onRequest(stream) {
        const rewrite = stream.route()?.perFilter(name).at(-1) as HostRewrite | undefined
        if (rewrite !== undefined) {
          const host = 'literal' in rewrite ? rewrite.literal : stream.request.get(rewrite.header)
          if (host !== undefined && host !== '') stream.request.set(':authority', host)
        }
        const clusterName = stream.route()?.cluster
        const cluster = clusterName === undefined ? undefined : stream.clusters.get(clusterName)
        if (cluster === undefined) return true
        if ((await cluster.chooseHost({ headers: stream.request })) !== undefined) return true
        stream.reply({
          status: 503,
          body: 'DNS resolution failure',
          flag: 'DF',
          details: 'dns_resolution_failure',
        })
        return false
      },
    })
  },
}
