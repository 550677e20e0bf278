import { ControlPlaneError, formatOrigin, type Problem } from '../errors.ts'
import type { Log } from '../log.ts'
import { createFileSource } from '../source/file-source.ts'
import type { Document } from '../source/source.ts'

/** One complete reading of a directory or file, with the problems of reading itself. */
export interface Reading {
  readonly documents: readonly Document[]
  readonly problems: readonly Problem[]
}

/**
 * Reads a directory or file once, as `serve` would.
 * @throws ControlPlaneError `usage` when there is nothing to read at `path`.
 */
export async function readDocuments(path: string, log: Log, signal: AbortSignal): Promise<Reading> {
  const abort = new AbortController()
  for await (const update of createFileSource({ path, log }).watch(AbortSignal.any([signal, abort.signal]))) {
    abort.abort()
    if (update.kind === 'unreachable') {
      const { problem } = update
      throw new ControlPlaneError('usage', `${formatOrigin(problem.origin)}: ${problem.message}; ${problem.fix}`)
    }
    return { documents: update.upserted, problems: update.problems }
  }
  throw new ControlPlaneError('usage', 'interrupted')
}
