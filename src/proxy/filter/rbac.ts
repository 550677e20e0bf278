import type { FieldReader } from '../config/field-reader.ts'
import type { HttpFilterKind, HttpStream } from '../http/http-filter.ts'
import { judge, type RbacRules, type RbacSubject, readRbacRules } from './rbac-rules.ts'

interface RbacConfig {
  /** Undefined: everything passes. */
  readonly rules: RbacRules | undefined
  /** Are only counted. */
  readonly shadow: RbacRules | undefined
  readonly prefix: string
  readonly shadowPrefix: string
}

function readRbac(fields: FieldReader): RbacConfig {
  return {
    rules: fields.message('rules', readRbacRules),
    shadow: fields.message('shadow_rules', readRbacRules),
    prefix: fields.string('rules_stat_prefix'),
    shadowPrefix: fields.string('shadow_rules_stat_prefix'),
  }
}

/** Lets a request pass, or refuses it with 403, by who asks for what. */
export const rbacFilter: HttpFilterKind<RbacConfig> = {
  type: 'envoy.extensions.filters.http.rbac.v3.RBAC',
  read: readRbac,
  perRoute: {
    'envoy.extensions.filters.http.rbac.v3.RBACPerRoute': (fields): RbacConfig =>
      fields.message('rbac', readRbac) ?? { rules: undefined, shadow: undefined, prefix: '', shadowPrefix: '' },
  },
  create(config, name, { stats }) {
    return () => ({
      onRequest(stream) {
        const own = (stream.route()?.perFilter(name).at(-1) as RbacConfig | undefined) ?? config
        const subject = subjectOf(stream)
        if (own.shadow !== undefined) {
          const { allowed } = judge(own.shadow, subject)
          stats.counter(`rbac.${own.shadowPrefix}shadow_${allowed ? 'allowed' : 'denied'}`).add()
        }
        if (own.rules === undefined) return true
        const { allowed, policy } = judge(own.rules, subject)
        stats.counter(`rbac.${own.prefix}${allowed ? 'allowed' : 'denied'}`).add()
        if (allowed) return true
        stream.reply({
          status: 403,
          body: 'RBAC: access denied',
          // Names of policies may be any text; what is logged has no blanks.
          details: `rbac_access_denied_matched_policy[${(policy ?? 'none').replaceAll(/\s/g, '_')}]`,
        })
        return false
      },
    })
  },
}

function subjectOf({ connection, info, request }: HttpStream): RbacSubject {
  return {
    connection,
    remoteIp: info.clientAddress?.ip ?? connection.remoteAddress.ip,
    request,
    metadata: info.dynamicMetadata,
  }
}
