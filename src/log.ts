import type { Logger } from 'pino'

/** The logger that every room is passed: a pino child with fixed field names (`stream, node, group, type, version, nonce, ms`). */
export type Log = Pick<Logger, 'debug' | 'info' | 'warn' | 'error' | 'child'>
