import type { FieldReader } from '../config/field-reader.ts'
import type { SocketAddress } from '../network/network-filter.ts'
import type { StatScope } from '../stats/stat-store.ts'
import type { FirstBytes } from './first-bytes.ts'

/** What listener filters find out of a connection. */
export interface InspectedConnection {
  localAddress: SocketAddress
  remoteAddress: SocketAddress
  readonly directRemoteAddress: SocketAddress
  serverName: string
  /** Empty: nobody has looked. */
  transportProtocol: string
  applicationProtocols: readonly string[]
}

/** Looks at a connection before its filter chain is chosen. */
export interface ListenerFilter {
  /** `false` where the connection has to be closed. */
  inspect(connection: InspectedConnection, first: FirstBytes): Promise<boolean>
}

export interface ListenerFilterKind {
  readonly type: string
  /** What it returns is called once for each listener. */
  read(fields: FieldReader): (stats: StatScope) => ListenerFilter
}
