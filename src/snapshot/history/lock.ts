import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import type { HistoryFs } from './fs.ts'
import { giveSignOfLife, isAlive, removeSignOfLife } from './sign-of-life.ts'

export interface Lock {
  release(): Promise<void>
}

/** The lock is another server's. */
export interface Holder {
  readonly pid: number
}

interface LockContent {
  readonly pid: number
  /** Tells a process from a later one with the same pid; '' where the system does not say. */
  readonly started: string
  /** By its sign of life, which counts for more. */
  readonly sign?: string
}

/**
 * Takes the lock file at `path`, or tells who holds it. A lock whose process is gone is taken over. Processes of
 * other machines that share the directory cannot be told from dead ones; nor, where there are no sockets, those of other containers.
 * @throws Error of the file system.
 */
export async function takeLock(fs: HistoryFs, path: string): Promise<Lock | Holder> {
  const sign = await giveSignOfLife(dirname(path))
  const me = { pid: process.pid, started: startOf(process.pid), ...(sign && { sign: sign.name }) }
  let taken: Lock | Holder
  try {
    taken = await takeAs(fs, path, me)
  } catch (error) {
    await sign?.close()
    throw error
  }
  if (!('release' in taken)) {
    await sign?.close()
    return taken
  }
  const lock = taken
  return {
    async release() {
      try {
        await lock.release()
      } finally {
        await sign?.close()
      }
    },
  }
}

async function takeAs(fs: HistoryFs, path: string, me: LockContent): Promise<Lock | Holder> {
  const mine = JSON.stringify(me)
  for (;;) {
    try {
      await fs.writeFile(path, mine, { flag: 'wx', mode: 0o600 })
      break
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error
    }
    const found = await readIfThere(fs, path)
    if (found === undefined) continue
    const holder = await holderOf(path, found)
    if (holder !== undefined) return holder
    const usurper = await removeStale(fs, path, found)
    if (usurper !== undefined) return usurper
  }
  // Somebody who judged the former lock stale may have removed this one an instant ago.
  const now = await readIfThere(fs, path)
  if (now !== mine) return (await holderOf(path, now ?? '')) ?? { pid: 0 }
  return {
    release: async (): Promise<void> => {
      if ((await readIfThere(fs, path)) === mine) await fs.unlink(path)
    },
  }
}

/** Moves the stale lock away and looks at what was moved: it may be a fresh lock that took its place meanwhile. */
async function removeStale(fs: HistoryFs, path: string, stale: string): Promise<Holder | undefined> {
  // Not by the pid: in containers on one volume it is the same one.
  const aside = `${path}.aside.${randomBytes(6).toString('hex')}`
  try {
    await fs.rename(path, aside)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
  const moved = await readIfThere(fs, aside)
  const holder = moved === undefined || moved === stale ? undefined : await holderOf(path, moved)
  if (holder === undefined) {
    await fs.unlink(aside)
    await removeSignOfLife(dirname(path), contentOf(moved ?? '').sign)
  } else await fs.rename(aside, path)
  return holder
}

/** Who took the lock at `path` with that content, and lives. */
async function holderOf(path: string, text: string): Promise<Holder | undefined> {
  const { pid = 0, started = '', sign } = contentOf(text)
  if (!Number.isInteger(pid) || pid <= 0) return undefined
  const isThere = (await isAlive(dirname(path), sign)) ?? isRunning(pid, started)
  return isThere ? { pid } : undefined
}

function contentOf(text: string): Partial<LockContent> {
  try {
    return (JSON.parse(text) as LockContent | null) ?? {}
  } catch {
    return {}
  }
}

/** Among the processes that are seen from here. */
function isRunning(pid: number, started: string): boolean {
  if (!isThere(pid)) return false
  const running = startOf(pid)
  // Without a start time, a lock with this very pid is a former life's: in a container the pid is the same each time.
  return running === '' || started === '' ? pid !== process.pid : running === started
}

function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return codeOf(error) === 'EPERM'
  }
}

/** When a process started, in Linux's words: the boot, and ticks since then. */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The second field is the command in parentheses and may hold anything; the 22nd is the start.
    const ticks = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()}/${ticks}`
  } catch {
    return ''
  }
}

async function readIfThere(fs: HistoryFs, path: string): Promise<string | undefined> {
  try {
    return await fs.readFile(path, 'utf8')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

function codeOf(error: unknown): unknown {
  return (error as { code?: unknown } | undefined)?.code
}
