import { type BigIntStats, type FSWatcher, realpathSync, statSync, watch } from 'node:fs'
import { realpath, stat } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { createHint } from './hint.ts'

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
      const left = before.filter((path) => !paths.includes(path))
      if (left.length > 0) {
        const all = new Set([...named.values()].flat())
        for (const path of left) if (!all.has(path)) seen.delete(path)
      }
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
            // The directory itself may be replaced: a watch that outlives it sees nothing. Linux tells by its own name.
            if (event === 'rename' && (name === null || name === basename(directory))) end(directory)
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
      for (const directory of watchers.keys()) end(directory)
    },
  }
}
