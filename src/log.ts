import { type Logger, pino } from 'pino'
import pretty from 'pino-pretty'

/** The logger that every room is passed: a pino child with fixed field names (`stream, node, group, type, version, nonce, ms`). */
export type Log = Pick<Logger, 'debug' | 'info' | 'warn' | 'error' | 'child' | 'isLevelEnabled'>

export interface LogOptions {
  readonly level: 'debug' | 'info' | 'warn' | 'error' | 'silent'
  /** `text` is for people at a terminal, `json` for collectors. */
  readonly format: 'json' | 'text'
  /** stderr: results own stdout. */
  readonly stream: NodeJS.WritableStream & { readonly isTTY?: boolean }
}

export function createLog({ level, format, stream }: LogOptions): Log {
  if (format === 'json') return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, stream)
  const colorize = stream.isTTY === true
  return pino(
    { level, base: null },
    pretty({
      destination: stream,
      colorize,
      translateTime: 'HH:MM:ss.l',
      sync: true,
      hideObject: true,
      messageFormat: (entry) => formatLogEntry(entry),
    }),
  )
}

/** What pino and pino-pretty show themselves, and the room, which a person need not know. */
const hidden: ReadonlySet<string> = new Set(['level', 'time', 'msg', 'room'])

/** One line for people: the message and its fields. A problem of the configuration is shown as `validate` shows it. */
function formatLogEntry(entry: Readonly<Record<string, unknown>>): string {
  const { msg, err, place, path, problem, fix, code, ...fields } = entry
  if (typeof problem === 'string') {
    const lines = [`${String(place)}: ${problem} (${String(code)})`]
    if (path !== '') lines.push(`  at ${String(path)}`)
    if (fix !== '') lines.push(`  fix: ${String(fix)}`)
    return lines.join('\n')
  }
  const rest = { ...(place !== undefined && { place }), ...(path !== undefined && { path }), ...fields }
  const pairs = Object.entries({ ...rest, ...(code !== undefined && { code }) })
    .filter(([key]) => !hidden.has(key))
    .map(([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
  const line = [String(msg), ...pairs].join('  ')
  const stack = (err as { readonly stack?: unknown } | undefined)?.stack
  return typeof stack === 'string' ? `${line}\n${stack}` : line
}

/** For commands and tests that have nothing to say but their result. */
export const silentLog: Log = pino({ level: 'silent' })
