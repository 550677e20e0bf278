import { at, type EnvoyJson, within } from '../envoy-json.ts'
import { extension } from './extension.ts'
import type { PolicyLayers } from './policy-layers.ts'

/** What connections go through on their way out; undefined for plain TCP. */
export function transportSocket(layers: PolicyLayers): EnvoyJson | undefined {
  const layer = layers.find(({ policy }) => policy.proxyProtocol !== undefined)
  if (layer?.policy.proxyProtocol === undefined) return undefined
  const message = 'envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport'
  const json = extension('envoy.transport_sockets.upstream_proxy_protocol', message, {
    config: { version: layer.policy.proxyProtocol === 'v1' ? 'V1' : 'V2' },
    transport_socket: extension(
      'envoy.transport_sockets.raw_buffer',
      'envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer',
      {},
    ),
  })
  return at(within(layer.from, 'proxyProtocol'), json)
}
