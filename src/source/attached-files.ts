import {
  type BigIntStats,
  closeSync,
  constants,
  type FSWatcher,
  fstatSync,
  openSync,
  readSync,
  realpathSync,
  statSync,
  watch,
} from 'node:fs'
import { realpath, stat } from 'node:fs/promises'
import { dirname, isAbsolute, relative, resolve, sep } from 'node:path'
import { messageOf } from '../errors.ts'
import { createHint } from './hint.ts'

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

/** Tells when files that documents name are others than they were when they were read. */
export interface AttachedFiles {
  /**
   * What a document names now, which is then about to be read; nothing is forgotten. What changes from this moment on is
   * told.
   */
  note(documentId: string, paths: readonly string[]): void
  /**
   * Ids of documents whose files changed, once they hold still, and of those that `due` returns: it is asked at every look.
   * For one consumer.
   */
  changes(signal: AbortSignal, due?: () => readonly string[]): AsyncIterable<readonly string[]>
}

export interface AttachedFilesOptions {
  /** After so long without an event it looks anyway. */
  readonly pollMs?: number
  /** Between the two looks that must agree: a certificate and its key that are written in less are one change. */
  readonly settleMs?: number
}

/** Files that never hold still must not hold up others for longer. */
const maxUnsettledMs = 2_000

export function createAttachedFiles({ pollMs = 5_000, settleMs = 100 }: AttachedFilesOptions = {}): AttachedFiles {
  const named = new Map<string, readonly string[]>()
  /** By path: how it looked when who names it was last told; undefined until the first look. */
  const seen = new Map<string, string>()
  const hint = createHint()

  const look = async (): Promise<ReadonlyMap<string, string>> => {
    const paths = [...new Set([...named.values()].flat())]
    return new Map(await Promise.all(paths.map(async (path) => [path, await lookAt(path)] as const)))
  }

  const changedSince = (looks: ReadonlyMap<string, string>): readonly string[] =>
    [...looks].filter(([path, now]) => seen.has(path) && seen.get(path) !== now).map(([path]) => path)

  return {
    note(documentId, paths) {
      const before = named.get(documentId) ?? []
      if (paths.length === 0) named.delete(documentId)
      else named.set(documentId, paths)
      for (const path of paths) if (!seen.has(path)) seen.set(path, lookNow(path))
      // Those that nobody names any more are looked at no more.
      const all = new Set([...named.values()].flat())
      for (const path of before) if (!all.has(path)) seen.delete(path)
      if (paths.some((path) => !before.includes(path))) hint.give()
    },
    async *changes(signal, due = () => []) {
      const directories = watchDirectories(hint.give)
      try {
        while (!signal.aborted) {
          directories.aim([...seen.keys()].map((path) => dirname(path)))
          let looks = await look()
          if (changedSince(looks).length > 0) looks = await settled(looks, look, settleMs, signal)
          const changed = new Set(changedSince(looks))
          if (signal.aborted) return
          for (const path of changed) seen.set(path, looks.get(path) as string)
          const ids = [...named].filter(([, paths]) => paths.some((path) => changed.has(path))).map(([id]) => id)
          const told = new Set([...ids, ...due()])
          if (told.size > 0) yield [...told]
          else await hint.wait(pollMs, signal)
        }
      } finally {
        directories.close()
      }
    },
  }
}

/** Looks until two looks in a row agree. */
async function settled(
  first: ReadonlyMap<string, string>,
  look: () => Promise<ReadonlyMap<string, string>>,
  settleMs: number,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, string>> {
  const deadline = performance.now() + maxUnsettledMs
  const never = createHint()
  let last = first
  for (;;) {
    await never.wait(settleMs, signal)
    const next = await look()
    const isSame = [...next].every(([path, now]) => last.get(path) === now)
    if (isSame || signal.aborted || performance.now() > deadline) return next
    last = next
  }
}

/** What tells one content of a path from another without reading it. */
async function lookAt(path: string): Promise<string> {
  try {
    const real = await realpath(path)
    return lookOf(real, await stat(real, { bigint: true }))
  } catch (error) {
    return `failed ${(error as NodeJS.ErrnoException).code}`
  }
}

function lookNow(path: string): string {
  try {
    const real = realpathSync(path)
    return lookOf(real, statSync(real, { bigint: true }))
  } catch (error) {
    return `failed ${(error as NodeJS.ErrnoException).code}`
  }
}

/** Where links lead is part of it: a ConfigMap is swapped by one. */
function lookOf(real: string, { dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return `${real}:${dev}:${ino}:${size}:${mtimeNs}:${ctimeNs}`
}

/** Events only say when to look. Where they cannot be had (no such directory, too many watches), the regular look is there. */
function watchDirectories(onHint: () => void): { aim(directories: readonly string[]): void; close(): void } {
  const watchers = new Map<string, FSWatcher>()
  const end = (directory: string): void => {
    watchers.get(directory)?.close()
    watchers.delete(directory)
  }
  return {
    aim(directories) {
      const wanted = new Set(directories)
      for (const directory of watchers.keys()) if (!wanted.has(directory)) end(directory)
      for (const directory of wanted) {
        if (watchers.has(directory)) continue
        try {
          const watcher = watch(directory, (event, name) => {
            // The directory itself may be replaced: a watch that outlives it sees nothing.
            if (event === 'rename' && name === null) end(directory)
            onHint()
          })
          watcher.on('error', () => end(directory))
          watchers.set(directory, watcher)
        } catch {
          // Seen by the regular look.
        }
      }
    },
    close() {
      for (const directory of [...watchers.keys()]) end(directory)
    },
  }
}
