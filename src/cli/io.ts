import { ControlPlaneError, type ErrorCode } from '../errors.ts'

/** What a command may touch of the process: results go to `out`, everything else to `err`. */
export interface Io {
  readonly out: NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number }
  readonly err: NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number }
  readonly env: Readonly<Record<string, string | undefined>>
  /** Where the options file is looked for. */
  readonly cwd: string
  /** Aborts at SIGINT or SIGTERM. */
  readonly signal: AbortSignal
  /** Aborts at the second of these, which ends the process where nobody listens; the third does in any case. */
  readonly hurry: AbortSignal
}

/** The exit codes that scripts rely on (docs/cli.md). */
export const exitCodes: { readonly fine: 0; readonly config: 1; readonly usage: 2; readonly unreachable: 3 } = {
  fine: 0,
  config: 1,
  usage: 2,
  unreachable: 3,
}

const exitCodeOfError: Readonly<Record<ErrorCode, number>> = {
  config: exitCodes.config,
  usage: exitCodes.usage,
  api: exitCodes.usage,
  io: exitCodes.usage,
  unreachable: exitCodes.unreachable,
}

export function exitCodeOf(error: unknown): number {
  return error instanceof ControlPlaneError ? exitCodeOfError[error.code] : exitCodes.config
}

export function print(io: Io, text: string): void {
  io.out.write(text.endsWith('\n') ? text : `${text}\n`)
}

export function printJson(io: Io, value: unknown): void {
  print(io, JSON.stringify(value, null, 2))
}

/** `1 file`, `2 files`. */
export function counted(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? '' : 's'}`
}
