import type { NodeSelector } from '../../resource/node-selector.ts'
import type { AccessLog, Address, Egress, NamedForm, RouteDefaults } from './common-form.ts'

export interface SidecarForm extends NamedForm<'Sidecar'> {
  /** Any of them; empty selects every node. */
  readonly nodes: readonly NodeSelector[]
  readonly service?: string
  readonly inbound: readonly Inbound[]
  readonly outbound?: Outbound
  readonly capture?: 'iptables' | 'ports'
  readonly accessLog?: AccessLog
  readonly defaults?: RouteDefaults
  /** Beside IPv4. */
  readonly ipv6?: boolean
}

export interface Inbound {
  readonly port: number
  readonly app: Address
  /** The Sidecar's where the entry does not say. */
  readonly service: string
}

export interface Outbound {
  readonly port?: number
  /** Absent: all. */
  readonly services?: readonly string[]
  readonly egress?: Egress
  readonly unknown?: 'deny' | 'allow'
}
