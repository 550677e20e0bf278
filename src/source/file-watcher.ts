import { type FSWatcher, watch as watchDirectory } from 'node:fs'
import { basename, dirname, relative, resolve, sep } from 'node:path'
import { watch as watchTree } from 'chokidar'
import { messageOf } from '../errors.ts'
import type { Log } from '../log.ts'
import { isIgnoredName } from './file-listing.ts'

/** Tells when it may be worth to look at a root again. It may miss a change, and tells of much that is none. */
export interface FileWatcher {
  /** Watches anew when `identity` (the root's device and inode; undefined while it cannot be read) is another than before. */
  aim(identity: string | undefined): Promise<void>
  close(): Promise<void>
}

export function createFileWatcher(root: string, onHint: () => void, log: Log): FileWatcher {
  const absolute = resolve(root)
  let parent: FSWatcher | undefined
  let tree: ReturnType<typeof watchTree> | undefined
  let aimedAt: string | undefined
  let hasWarned = false

  // Out of inotify watches, say. Without events a change is still seen, by the regular look.
  const warn = (error: unknown): void => {
    if (hasWarned) return
    hasWarned = true
    log.warn(
      { path: root, error: messageOf(error) },
      'cannot watch all files: changes are seen by the regular look only',
    )
  }

  /** The root itself may be replaced: a link that is swapped, a directory that is deleted and made again. */
  const aimAtParent = (): void => {
    if (parent !== undefined) return
    try {
      parent = watchDirectory(dirname(absolute), (_, name) => {
        if (name === null || name === basename(absolute)) onHint()
      })
    } catch {
      return // The parent does not exist either.
    }
    parent.on('error', () => {
      parent?.close()
      parent = undefined
      onHint()
    })
  }

  const aimAtTree = (): void => {
    tree = watchTree(absolute, {
      ignoreInitial: true,
      atomic: false,
      ignored: (path) =>
        relative(absolute, path)
          .split(sep)
          .some((name) => name !== '..' && isIgnoredName(name)),
    })
    // `raw` tells of ignored names too: the `..data` link of a ConfigMap is one.
    tree.on('raw', onHint).on('all', onHint).on('ready', onHint).on('error', warn)
  }

  return {
    async aim(identity): Promise<void> {
      aimAtParent()
      if (identity === aimedAt) return
      aimedAt = identity
      await tree?.close()
      tree = undefined
      // What was replaced may have taken the parent with it: then the old watch is of a directory that nobody can reach.
      parent?.close()
      parent = undefined
      aimAtParent()
      if (identity === undefined) onHint()
      else aimAtTree()
    },
    async close(): Promise<void> {
      parent?.close()
      await tree?.close()
    },
  }
}
