import type { AccessLog, Egress, NamedForm, RouteDefaults, Tracing } from './common-form.ts'
import type { ServicePolicy } from './service-form.ts'

export interface MeshForm extends NamedForm<'Mesh'> {
  readonly accessLog?: AccessLog
  readonly tracing?: Tracing
  readonly defaults?: RouteDefaults & { readonly service?: ServicePolicy }
  /** What a sidecar does with a host of no Service. */
  readonly outbound?: 'deny' | 'allow'
  readonly egress?: Egress
  /** Regions in order, for services without their own. */
  readonly failover?: readonly string[]
}
