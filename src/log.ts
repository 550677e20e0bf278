import { type Logger, pino } from 'pino'
import pretty from 'pino-pretty'

/** The logger that every room is passed: a pino child with fixed field names (`stream, node, group, type, version, nonce, ms`). */
export type Log = Pick<Logger, 'debug' | 'info' | 'warn' | 'error' | 'child'>

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
  return pino({ level, base: null }, pretty({ destination: stream, colorize, translateTime: 'HH:MM:ss.l', sync: true }))
}

/** For commands and tests that have nothing to say but their result. */
export const silentLog: Log = pino({ level: 'silent' })
