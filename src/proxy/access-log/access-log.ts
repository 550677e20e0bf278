import type { FieldReader } from '../config/field-reader.ts'
import type { StreamInfo } from '../http/stream-info.ts'
import type { AccessLogger, DownstreamConnection, LoggedHttp } from '../network/network-filter.ts'
import type { ProxyContext } from '../proxy-context.ts'
import { type AccessLogFilter, readAccessLogFilter } from './access-log-filter.ts'
import type { Format } from './format.ts'
import type { FormatSubject } from './format-subject.ts'
import { type LogSink, logFile } from './log-file.ts'
import { readLogFormat } from './log-format.ts'

/** What one access log writes, where, and of which streams. */
export interface AccessLogConfig {
  readonly filter: AccessLogFilter | undefined
  readonly format: Format
  readonly sink: (context: ProxyContext) => LogSink
}

interface Output {
  readonly format: Format
  readonly sink: (context: ProxyContext) => LogSink
}

const outputs: Readonly<Record<string, (fields: FieldReader) => Output>> = {
  'envoy.extensions.access_loggers.file.v3.FileAccessLog': (fields) => {
    const path = fields.string('path')
    return { format: readLogFormat(fields), sink: (context) => fileOrStream(context, path) }
  },
  'envoy.extensions.access_loggers.stream.v3.StdoutAccessLog': (fields) => ({
    format: readLogFormat(fields),
    sink: (context) => context.stdout ?? process.stdout,
  }),
  'envoy.extensions.access_loggers.stream.v3.StderrAccessLog': (fields) => ({
    format: readLogFormat(fields),
    sink: (context) => context.stderr ?? process.stderr,
  }),
}

function fileOrStream(context: ProxyContext, path: string): LogSink {
  if (path === '/dev/stdout') return context.stdout ?? process.stdout
  if (path === '/dev/stderr') return context.stderr ?? process.stderr
  return logFile(context, path)
}

/** `envoy.config.accesslog.v3.AccessLog`; undefined where it was refused. */
export function readAccessLog(fields: FieldReader): AccessLogConfig | undefined {
  fields.ignore('name', 'the type says what it is')
  const filter = fields.message('filter', readAccessLogFilter)
  const output = fields.any('typed_config', outputs)
  return output && { filter, ...output }
}

/** All access logs of one connection manager, TCP proxy or listener. */
export function createAccessLogger(
  configs: readonly (AccessLogConfig | undefined)[],
  context: ProxyContext,
): AccessLogger {
  const logs = configs
    .filter((config) => config !== undefined)
    .map(({ filter, format, sink }) => ({ filter, format, sink: sink(context) }))
  return {
    log(info: StreamInfo, connection: DownstreamConnection, http?: LoggedHttp) {
      if (logs.length === 0) return
      const subject: FormatSubject = {
        info,
        connection,
        nowMs: context.clock.now(),
        request: http?.request,
        response: http?.response,
        trailers: http?.trailers,
      }
      for (const { filter, format, sink } of logs) {
        if (filter === undefined || filter(subject, context)) sink.write(format(subject))
      }
    },
  }
}
