import type { MethodDefinition } from '@grpc/grpc-js'
import type { Protocol } from './envelope.ts'

const identity = (bytes: Buffer): Buffer => bytes

function method(name: string): MethodDefinition<Buffer, Buffer> {
  return {
    path: `/envoy.service.discovery.v3.AggregatedDiscoveryService/${name}`,
    requestStream: true,
    responseStream: true,
    requestSerialize: identity,
    requestDeserialize: identity,
    responseSerialize: identity,
    responseDeserialize: identity,
  }
}

/** The aggregated streams, their messages left as bytes. */
export const adsMethods: Readonly<Record<Protocol, MethodDefinition<Buffer, Buffer>>> = {
  sotw: method('StreamAggregatedResources'),
  delta: method('DeltaAggregatedResources'),
}
