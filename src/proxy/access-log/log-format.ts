import { ConfigRejection } from '../config/config-rejection.ts'
import { readDataSource } from '../config/data-source.ts'
import type { FieldReader, JsonObject } from '../config/field-reader.ts'
import { compileFormat, compileJsonFormat, type Format } from './format.ts'
import type { FormatSubject } from './format-subject.ts'

/** What Envoy writes where nothing is said. */
const defaultFormat = `[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" \
%RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \
"%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%"
`

type JsonValue = (subject: FormatSubject) => unknown

/** The line of an access log, of a logger that writes to a file or stream. */
export function readLogFormat(fields: FieldReader): Format {
  const inner = fields.message('log_format', readSubstitutionFormat)
  if (inner !== undefined) return inner
  if (fields.has('format')) return compiled(fields, 'format', () => compileFormat(fields.string('format'), '-'))
  if (fields.has('json_format'))
    return compiled(fields, 'json_format', () => textualJson(fields.struct('json_format') ?? {}))
  if (fields.has('typed_json_format'))
    return compiled(fields, 'typed_json_format', () => jsonLine(fields.struct('typed_json_format') ?? {}, false))
  return compileFormat(defaultFormat, '-')
}

/** `envoy.config.core.v3.SubstitutionFormatString`. */
function readSubstitutionFormat(fields: FieldReader): Format {
  const omitsEmpty = fields.flag('omit_empty_values')
  fields.ignore('content_type', 'an access log has none')
  if (fields.has('json_format')) {
    fields.message('json_format_options', (options) => options.ignore('sort_properties', 'they are sorted anyway'))
    return compiled(fields, 'json_format', () => jsonLine(fields.struct('json_format') ?? {}, omitsEmpty))
  }
  const source = fields.message('text_format_source', readDataSource)?.toString()
  const text = source ?? fields.string('text_format')
  return compiled(fields, 'text_format_source', () => compileFormat(text, omitsEmpty ? '' : '-'))
}

function compiled(fields: FieldReader, name: string, compile: () => Format): Format {
  try {
    return compile()
  } catch (error) {
    if (!(error instanceof ConfigRejection)) throw error
    fields.refuse(name, error.message)
    return () => ''
  }
}

function jsonLine(template: JsonObject, omitsEmpty: boolean): Format {
  const value = compileJson(template, omitsEmpty)
  return (subject) => `${JSON.stringify(value(subject))}\n`
}

/** The older field: every value is a text. */
function textualJson(template: JsonObject): Format {
  const entries = Object.entries(template).map(
    ([key, text]) => [key, compileFormat(typeof text === 'string' ? text : JSON.stringify(text), '-')] as const,
  )
  entries.sort(byKey)
  return (subject) => `${JSON.stringify(Object.fromEntries(entries.map(([key, format]) => [key, format(subject)])))}\n`
}

const byKey = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number => (a < b ? -1 : 1)

/** Keys come in the order of the alphabet, as Envoy writes them. */
function compileJson(template: unknown, omitsEmpty: boolean): JsonValue {
  if (typeof template === 'string') return compileJsonFormat(template)
  if (Array.isArray(template)) {
    const items = template.map((item) => compileJson(item, omitsEmpty))
    return (subject) => items.map((item) => item(subject)).filter((item) => !omitsEmpty || item !== null)
  }
  if (typeof template !== 'object' || template === null) return () => template
  const entries = Object.entries(template).map(([key, value]) => [key, compileJson(value, omitsEmpty)] as const)
  entries.sort(byKey)
  return (subject) => {
    const line: Record<string, unknown> = {}
    for (const [key, value] of entries) {
      const content = value(subject)
      if (content !== null || !omitsEmpty) line[key] = content
    }
    return line
  }
}
