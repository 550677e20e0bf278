import { judge, type RbacRules, readRbacRules } from '../filter/rbac-rules.ts'
import type { NetworkFilterKind } from './network-filter.ts'

interface NetworkRbacConfig {
  /** Undefined: everybody passes. */
  readonly rules: RbacRules | undefined
  /** Are only counted. */
  readonly shadow: RbacRules | undefined
  readonly statPrefix: string
  readonly shadowPrefix: string
}

/** Lets a connection pass, or closes it, by who it is from and where it goes. */
export const networkRbac: NetworkFilterKind<NetworkRbacConfig> = {
  type: 'envoy.extensions.filters.network.rbac.v3.RBAC',
  read(fields) {
    fields.choice('enforcement_type', ['ONE_TIME_ON_FIRST_BYTE'])
    return {
      rules: fields.message('rules', readRbacRules),
      shadow: fields.message('shadow_rules', readRbacRules),
      statPrefix: fields.string('stat_prefix').replace(/\.$/, ''),
      shadowPrefix: fields.string('shadow_rules_stat_prefix'),
    }
  },
  create({ rules, shadow, statPrefix, shadowPrefix }, owner) {
    const scope = owner.context.stats.scope(`${statPrefix}.rbac.`)
    owner.onClosed(() => scope.close())
    return {
      onConnection(connection) {
        const subject = {
          connection,
          remoteIp: connection.remoteAddress.ip,
          request: undefined,
          metadata: new Map<string, Record<string, unknown>>(),
        }
        if (shadow !== undefined) {
          scope.counter(`${shadowPrefix}shadow_${judge(shadow, subject).allowed ? 'allowed' : 'denied'}`).add()
        }
        if (rules === undefined) return true
        const { allowed } = judge(rules, subject)
        scope.counter(allowed ? 'allowed' : 'denied').add()
        if (!allowed) connection.stream.destroy()
        return allowed
      },
    }
  },
}
