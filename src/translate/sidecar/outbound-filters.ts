import type { SidecarInput } from '../contract.ts'
import type { EnvoyJson, SourcePlace } from '../envoy-json.ts'
import { httpConnectionManager } from '../listener/http-connection-manager.ts'
import { accessLogOf } from '../listener/layers.ts'
import { tracerOf } from '../listener/tracing.ts'
import { tcpProxy } from './tcp-proxy.ts'

/** The filter through which a workload's HTTP requests go: on every listener the same routes. */
export function outboundHttp({ sidecar, outbound, mesh }: SidecarInput, name: string, from: SourcePlace): EnvoyJson {
  const { form } = sidecar
  return httpConnectionManager({
    statPrefix: name,
    side: 'outbound',
    routes: { rds: outbound.routes },
    filters: outbound.filters,
    accessLog: accessLogOf(mesh.accessLog, form.accessLog),
    tracing: tracerOf(mesh.tracing, 'mesh', form.service ?? form.name),
    listener: {},
    ...(outbound.egress !== undefined && { dnsCache: outbound.egress.cluster }),
    from,
  })
}

/** The filter through which a workload's connections go that are passed on as they are. */
export function outboundTcp({ sidecar, mesh }: SidecarInput, statPrefix: string, cluster: string): EnvoyJson {
  return tcpProxy(statPrefix, cluster, accessLogOf(mesh.accessLog, sidecar.form.accessLog))
}
