import { statSync } from 'node:fs'
import { ControlPlaneError, formatOrigin, messageOf, type Problem } from '../errors.ts'
import { silentLog } from '../log.ts'
import { createFileSource, fileIdPrefix } from '../source/file-source.ts'
import type { Document } from '../source/source.ts'

/** One complete reading of a directory or file, with the problems of reading itself. */
export interface Reading {
  readonly documents: readonly Document[]
  readonly problems: readonly Problem[]
}

/**
 * Reads a directory or file once, as `serve` would. Documents that are used together need an `idPrefix` for each path.
 * @throws ControlPlaneError `usage` when there is nothing to read at `path`.
 */
export async function readDocuments(
  path: string,
  signal: AbortSignal,
  idPrefix: string = fileIdPrefix(0),
): Promise<Reading> {
  assertThere(path)
  const abort = new AbortController()
  const source = createFileSource({ path, idPrefix, log: silentLog })
  for await (const update of source.watch(AbortSignal.any([signal, abort.signal]))) {
    abort.abort()
    if (update.kind === 'unreachable') {
      const { problem } = update
      throw new ControlPlaneError('usage', `${formatOrigin(problem.origin)}: ${problem.message}; ${problem.fix}`)
    }
    const { upserted: documents, problems } = update
    if (documents.length === 0 && problems.length === 0) {
      throw new ControlPlaneError('usage', `${path} holds no document: *.yaml, *.yml and *.json files are read`)
    }
    return { documents, problems }
  }
  throw new ControlPlaneError('usage', 'interrupted')
}

/** A server waits for a directory to come; a command that is run once does not. */
function assertThere(path: string): void {
  try {
    statSync(path)
  } catch (error) {
    const isAbsent = (error as NodeJS.ErrnoException).code === 'ENOENT'
    const why = isAbsent ? 'does not exist: give a directory or a file' : `cannot be read: ${messageOf(error)}`
    throw new ControlPlaneError('usage', `${path} ${why}`, { cause: error })
  }
}
