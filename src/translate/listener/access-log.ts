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
  const format = { log_format: { json_format: log?.fields ?? fields } }
  const stream = streams.get(log?.path ?? '/dev/stdout')
  if (stream === undefined) return [logger('file', 'file.v3.FileAccessLog', { path: log?.path, ...format })]
  return [logger(stream.name, `stream.v3.${stream.message}`, format)]
}

/** Opened as a file, a standard stream that is a socket, as it is below systemd, fails the listener (measured). */
const streams: ReadonlyMap<string, { readonly name: string; readonly message: string }> = new Map([
  ['/dev/stdout', { name: 'stdout', message: 'StdoutAccessLog' }],
  ['/dev/stderr', { name: 'stderr', message: 'StderrAccessLog' }],
])

function logger(name: string, message: string, config: Readonly<Record<string, EnvoyJson | undefined>>): EnvoyJson {
  return {
    name: `envoy.access_loggers.${name}`,
    typed_config: { '@type': `type.googleapis.com/envoy.extensions.access_loggers.${message}`, ...config },
  }
}
