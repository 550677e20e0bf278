import { readFileSync } from 'node:fs'
import type { HistoryFs } from './fs.ts'

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
}

/**
 * Takes the lock file at `path`, or tells who holds it. A lock whose process is gone is taken over. Processes of
 * other machines (or containers with other pids) that share the directory cannot be told from dead ones.
 * @throws Error of the file system.
 */
export async function takeLock(fs: HistoryFs, path: string): Promise<Lock | Holder> {
  const mine = JSON.stringify({ pid: process.pid, started: startOf(process.pid) } satisfies LockContent)
  for (;;) {
    try {
      await fs.writeFile(path, mine, { flag: 'wx', mode: 0o600 })
      break
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error
    }
    const found = await readIfThere(fs, path)
    if (found === undefined) continue
    const holder = holderOf(found)
    if (holder !== undefined) return holder
    const usurper = await removeStale(fs, path, found)
    if (usurper !== undefined) return usurper
  }
  // Somebody who judged the former lock stale may have removed this one an instant ago.
  const now = await readIfThere(fs, path)
  if (now !== mine) return holderOf(now ?? '') ?? { pid: 0 }
  return {
    release: async (): Promise<void> => {
      if ((await readIfThere(fs, path)) === mine) await fs.unlink(path)
    },
  }
}

/** Moves the stale lock away and looks at what was moved: it may be a fresh lock that took its place meanwhile. */
async function removeStale(fs: HistoryFs, path: string, stale: string): Promise<Holder | undefined> {
  const aside = `${path}.${process.pid}`
  try {
    await fs.rename(path, aside)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
  const moved = await readIfThere(fs, aside)
  const holder = moved === undefined || moved === stale ? undefined : holderOf(moved)
  if (holder === undefined) await fs.unlink(aside)
  else await fs.rename(aside, path)
  return holder
}

function holderOf(text: string): Holder | undefined {
  let content: LockContent
  try {
    content = JSON.parse(text) as LockContent
  } catch {
    return undefined
  }
  const { pid, started } = content ?? {}
  if (!Number.isInteger(pid) || pid <= 0 || !isAlive(pid)) return undefined
  const running = startOf(pid)
  // Without a start time, a lock with this very pid is a former life's: in a container the pid is the same each time.
  const isSame = running === '' || started === '' ? pid !== process.pid : running === started
  return isSame ? { pid } : undefined
}

function isAlive(pid: number): boolean {
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
