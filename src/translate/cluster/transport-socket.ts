import type { ServiceForm } from '../../config/kinds/service-form.ts'
import { at, type EnvoyJson, within } from '../envoy-json.ts'
import { extension } from './extension.ts'
import type { PolicyLayers } from './policy-layers.ts'
import { tlsSocket } from './upstream-tls.ts'

/** What connections go through on their way out; undefined for plain TCP. */
export function transportSocket(form: ServiceForm, layers: PolicyLayers): EnvoyJson | undefined {
  const tls = tlsSocket(form, layers)
  const layer = layers.find(({ policy }) => policy.proxyProtocol !== undefined)
  if (layer === undefined) return tls
  const message = 'envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport'
  const json = extension('envoy.transport_sockets.upstream_proxy_protocol', message, {
    config: { version: layer.policy.proxyProtocol === 'v1' ? 'V1' : 'V2' },
    transport_socket: tls ?? plainSocket(),
  })
  return at(within(layer.from, 'proxyProtocol'), json)
}

function plainSocket(): EnvoyJson {
  const message = 'envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer'
  return extension('envoy.transport_sockets.raw_buffer', message, {})
}
