import type { FieldReader } from '../config/field-reader.ts'
import type { NetworkFilterKind } from './network-filter.ts'

interface ConnectionLimitConfig {
  readonly statPrefix: string
  readonly maxConnections: number
  /** How long one that is too many is held before it is closed. */
  readonly delayMs: number
  readonly runtimeKey: string
  readonly isEnabled: boolean
}

/** Closes connections of which there are too many in the filter chain. */
export const connectionLimit: NetworkFilterKind<ConnectionLimitConfig> = {
  type: 'envoy.extensions.filters.network.connection_limit.v3.ConnectionLimit',
  read(fields) {
    const enabled = fields.message('runtime_enabled', readFeatureFlag)
    return {
      statPrefix: fields.string('stat_prefix'),
      maxConnections: fields.number('max_connections') ?? Number.POSITIVE_INFINITY,
      delayMs: fields.durationMs('delay') ?? 0,
      runtimeKey: enabled?.key ?? '',
      isEnabled: enabled?.byDefault ?? true,
    }
  },
  create({ statPrefix, maxConnections, delayMs, runtimeKey, isEnabled }, owner) {
    const scope = owner.context.stats.scope(`connection_limit.${statPrefix}.`)
    owner.onClosed(() => scope.close())
    const active = scope.gauge('active_connections')
    const limited = scope.counter('limited_connections')
    let count = 0
    return {
      onConnection({ stream }) {
        if (runtimeKey === '' ? !isEnabled : !owner.context.runtime.flag(runtimeKey, isEnabled)) return true
        if (count < maxConnections) {
          count++
          active.add(1)
          stream.once('close', () => {
            count--
            active.add(-1)
          })
          return true
        }
        limited.add()
        if (delayMs === 0) stream.destroy()
        else owner.context.clock.after(delayMs, () => stream.destroy())
        return false
      },
    }
  },
}

function readFeatureFlag(fields: FieldReader): { readonly key: string; readonly byDefault: boolean } {
  return { key: fields.string('runtime_key'), byDefault: fields.flag('default_value', true) }
}
