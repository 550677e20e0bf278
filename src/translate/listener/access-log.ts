import type { AccessLog } from '../../config/kinds/common-form.ts'
import type { EnvoyJson } from '../envoy-json.ts'

type Fields = Readonly<Record<string, string>>

/** What a person who was woken up asks of one request. */
const requestFields: Fields = {
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

/** And of one connection. */
const connectionFields: Fields = {
  time: '%START_TIME%',
  client: '%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%',
  server_name: '%REQUESTED_SERVER_NAME%',
  flags: '%RESPONSE_FLAGS%',
  received: '%BYTES_RECEIVED%',
  sent: '%BYTES_SENT%',
  duration: '%DURATION%',
  cluster: '%UPSTREAM_CLUSTER%',
  upstream: '%UPSTREAM_HOST%',
}

/** The access loggers of HTTP; a line of JSON a request on the standard output where nothing else is said. */
export function accessLoggers(log: AccessLog | undefined): readonly EnvoyJson[] {
  return loggers(log, requestFields, log?.minStatus)
}

/** The same for connections, of which none has a status. */
export function connectionLoggers(log: AccessLog | undefined): readonly EnvoyJson[] {
  return loggers(log, connectionFields, undefined)
}

function loggers(log: AccessLog | undefined, fields: Fields, minStatus: number | undefined): readonly EnvoyJson[] {
  if (log?.off === true) return []
  const format = { log_format: formatOf(log, fields) }
  const filter = minStatus === undefined ? {} : { filter: fromStatus(minStatus) }
  const stream = streams.get(log?.path ?? '/dev/stdout')
  if (stream === undefined) {
    return [{ ...logger('file', 'file.v3.FileAccessLog', { path: log?.path, ...format }), ...filter }]
  }
  return [{ ...logger(stream.name, `stream.v3.${stream.message}`, format), ...filter }]
}

function formatOf(log: AccessLog | undefined, fields: Fields): EnvoyJson {
  if (log?.format !== 'text') return { json_format: log?.fields ?? fields }
  const line = log.text ?? Object.values(fields).join(' ')
  return { text_format_source: { inline_string: line.endsWith('\n') ? line : `${line}\n` } }
}

function fromStatus(status: number): EnvoyJson {
  const value = { default_value: status, runtime_key: 'fairlead.access_log.min_status' }
  return { status_code_filter: { comparison: { op: 'GE', value } } }
}

/** Opened as a file, a standard stream that is a socket, as it is below systemd, fails the listener (measured). */
const streams: ReadonlyMap<string, { readonly name: string; readonly message: string }> = new Map([
  ['/dev/stdout', { name: 'stdout', message: 'StdoutAccessLog' }],
  ['/dev/stderr', { name: 'stderr', message: 'StderrAccessLog' }],
])

function logger(
  name: string,
  message: string,
  config: Readonly<Record<string, EnvoyJson | undefined>>,
): Readonly<Record<string, EnvoyJson>> {
  return {
    name: `envoy.access_loggers.${name}`,
    typed_config: { '@type': `type.googleapis.com/envoy.extensions.access_loggers.${message}`, ...config },
  }
}
