import type { ServiceProtocol } from '../../config/kinds/service-form.ts'

/** Whether its requests are looked into; what it says is else passed on as it is. */
export function speaksHttp(protocol: ServiceProtocol): boolean {
  return protocol !== 'tcp' && protocol !== 'tls'
}

export function speaksHttp2(protocol: ServiceProtocol): boolean {
  return protocol === 'http2' || protocol === 'grpc'
}
