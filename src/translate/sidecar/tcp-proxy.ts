import type { AccessLog } from '../../config/kinds/common-form.ts'
import { listenerDefaults as defaults } from '../defaults.ts'
import { durationJson } from '../duration-json.ts'
import type { EnvoyJson } from '../envoy-json.ts'
import { connectionLoggers } from '../listener/access-log.ts'

/** The network filter that passes a connection on as it is. */
export function tcpProxy(statPrefix: string, cluster: string, accessLog: AccessLog | undefined): EnvoyJson {
  return {
    name: 'envoy.filters.network.tcp_proxy',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy',
      stat_prefix: statPrefix,
      cluster,
      idle_timeout: durationJson(defaults.idleTimeoutMs.value),
      max_connect_attempts: defaults.connectAttempts.value,
      access_log: connectionLoggers(accessLog),
    },
  }
}
