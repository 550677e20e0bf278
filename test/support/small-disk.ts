import { spawnSync } from 'node:child_process'
import { closeSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { describe } from 'vitest'
import { atTestEnd } from './at-test-end.ts'
import { notHere } from './needs.ts'
import { tempDir } from './temp.ts'

/** A file system of its own that can be full, or read-only. */
export interface SmallDisk {
  readonly path: string
  /** Writes a file into it until nothing more fits. */
  fill(): void
  /** Deletes that file. */
  empty(): void
  /** With `false`, nobody can write; only while no file is open there for writing. @throws Error where the kernel refuses it */
  setWritable(isWritable: boolean): void
}

const mount = (...args: readonly string[]): boolean => spawnSync('mount', args, { stdio: 'ignore' }).status === 0

/** A suite that needs leave to mount file systems. Without that it is skipped, and says so in its name. */
export function describeWithDisks(name: string, suite: () => void): void {
  if (canMount) describe(name, suite)
  else describe.skip(`${name} ${notHere('lets nobody mount a file system')}`, suite)
}

/** Tried in a namespace of its own, which goes with the process. */
export const canMount: boolean =
  process.getuid?.() === 0 &&
  spawnSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'none', '/mnt'], { stdio: 'ignore' }).status === 0

/** In memory, for one test. */
export function createSmallDisk(bytes: number): SmallDisk {
  const path = tempDir()
  if (!mount('-t', 'tmpfs', '-o', `size=${bytes},mode=0700`, 'tmpfs', path)) throw new Error(`cannot mount at ${path}`)
  // Lazily: a server that the test started may still have a file open.
  atTestEnd(() => void spawnSync('umount', ['--lazy', path]))
  const filler = join(path, 'filler')
  return {
    path,
    fill() {
      const file = openSync(filler, 'a')
      try {
        for (let size = 65_536; size >= 1; ) {
          try {
            writeSync(file, Buffer.alloc(size))
          } catch (error) {
            if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
            size = Math.floor(size / 2)
          }
        }
      } finally {
        closeSync(file)
      }
    },
    empty: () => rmSync(filler),
    setWritable(isWritable) {
      if (!mount('-o', `remount,${isWritable ? 'rw' : 'ro'}`, path)) throw new Error(`cannot remount ${path}`)
    },
  }
}
