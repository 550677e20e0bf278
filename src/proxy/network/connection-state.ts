import type { DownstreamConnection } from './network-filter.ts'

/** What filters before the TCP proxy have found out for it. */
export interface ConnectionState {
  /** In place of the cluster that its configuration names. */
  cluster?: string
  /** The port that a dynamic forward proxy goes to. */
  port?: number
}

const states = new WeakMap<DownstreamConnection, ConnectionState>()

export function stateOf(connection: DownstreamConnection): ConnectionState {
  const known = states.get(connection)
  if (known !== undefined) return known
  const created: ConnectionState = {}
  states.set(connection, created)
  return created
}
