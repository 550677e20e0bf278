import type { ChannelCredentials, ChannelOptions } from '@grpc/grpc-js'

/** Where the control plane is, and how it is spoken to. */
export interface XdsServer {
  /** `ipv4:10.0.0.1:18000`, `dns:cp.example:18000`; one is tried after the other. */
  readonly targets: readonly string[]
  readonly credentials: ChannelCredentials
  readonly options: ChannelOptions
}
