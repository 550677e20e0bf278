import type { AccessLog } from '../../config/kinds/common-form.ts'
import type { EnvoyJson } from '../envoy-json.ts'

/** What a person who was woken up asks of one request. */
const fields: Readonly<Record<string, string>> = {
  time: '%START_TIME%',
  client: '%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%',
  method: '%REQ(:METHOD)%',
  authority: '%REQ(:AUTHORITY)%',
  path: '%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%',
  protocol: '%PROTOCOL%',
  status: '%RESPONSE_CODE%',
  flags: '%RESPONSE_FLAGS%',
  received: '%BYTES_RECEIVED%',
  sent: '%BYTES_SENT%',
  duration: '%DURATION%',
  route: '%ROUTE_NAME%',
  cluster: '%UPSTREAM_CLUSTER%',
  upstream: '%UPSTREAM_HOST%',
  request_id: '%REQ(X-REQUEST-ID)%',
}

/** The access loggers of a listener; a line of JSON a request on the standard output where nothing else is said. */
export function accessLoggers(log: AccessLog | undefined): readonly EnvoyJson[] {
  if (log?.off === true) return []
  return [
    {
      name: 'envoy.access_loggers.file',
      typed_config: {
        '@type': 'type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog',
        path: log?.path ?? '/dev/stdout',
        log_format: { json_format: log?.fields ?? fields },
      },
    },
  ]
}
