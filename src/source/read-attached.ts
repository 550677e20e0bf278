import { closeSync, constants, fstatSync, openSync, readSync, realpathSync } from 'node:fs'
import { isAbsolute, relative, resolve, sep } from 'node:path'
import { messageOf } from '../errors.ts'

/** What a file that a document names held when it was read. */
export type AttachedFile =
  | { readonly kind: 'read'; readonly bytes: Uint8Array }
  | { readonly kind: 'failed'; readonly why: string; readonly fix: string }

/** Certificates are small; what is larger was named by mistake. */
const maxBytes = 1024 * 1024

/**
 * Reads a file that a document names, relative to `directory`. Wherever links lead, it must lie below that or one of
 * `allowed`: who may write documents could otherwise have any file of the server's sent.
 */
export function readAttached(file: string, directory: string | undefined, allowed: readonly string[]): AttachedFile {
  if (directory === undefined && !isAbsolute(file)) {
    const why = 'a document that is in no directory has nothing that the path is relative to'
    return { kind: 'failed', why, fix: 'Give the server a directory by `--config`, or write a path from `/` on.' }
  }
  const path = pathOf(file, directory)
  try {
    const real = realpathSync(path)
    const roots = [...(directory === undefined ? [] : [directory]), ...allowed]
    if (!roots.some((root) => isBelow(real, root))) {
      const fix = 'Put the file beside the document, or start the server with `--allow-file` and its directory.'
      return { kind: 'failed', why: 'it lies outside of the directory of the document', fix }
    }
    return readReal(real)
  } catch (error) {
    return failureOf(error)
  }
}

/** Where the path that a document names leads. */
export function pathOf(file: string, directory: string | undefined): string {
  return resolve(directory ?? sep, file)
}

function isBelow(real: string, root: string): boolean {
  try {
    const path = relative(realpathSync(root), real)
    return path !== '' && path !== '..' && !path.startsWith(`..${sep}`) && !isAbsolute(path)
  } catch {
    return false
  }
}

function readReal(real: string): AttachedFile {
  // The path was resolved: what is a link now was put there since. A pipe must not hold up the server.
  const descriptor = openSync(real, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    const stats = fstatSync(descriptor)
    if (!stats.isFile()) return { kind: 'failed', why: 'it is no file', fix: 'Name a file.' }
    const buffer = Buffer.alloc(maxBytes + 1)
    let length = 0
    for (;;) {
      const count = readSync(descriptor, buffer, length, buffer.length - length, null)
      length += count
      if (count === 0 || length === buffer.length) break
    }
    if (length > maxBytes) {
      return { kind: 'failed', why: 'it has more than 1 MiB', fix: 'Name the file with the certificate or key alone.' }
    }
    return { kind: 'read', bytes: buffer.subarray(0, length) }
  } finally {
    closeSync(descriptor)
  }
}

function failureOf(error: unknown): AttachedFile {
  const code = (error as NodeJS.ErrnoException).code
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return {
      kind: 'failed',
      why: 'it does not exist',
      fix: 'Write it, or correct the path: it is read as soon as it is there.',
    }
  }
  if (code === 'EACCES' || code === 'EPERM') {
    return {
      kind: 'failed',
      why: 'the server may not read it',
      fix: 'Give the user that the server runs as the right to read it.',
    }
  }
  return { kind: 'failed', why: messageOf(error).replace(/, \w+ '.*'$/s, ''), fix: 'Make it a readable file.' }
}
