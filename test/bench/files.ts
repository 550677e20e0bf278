import { readFileSync } from 'node:fs'

/** What a process has open besides the connections of its clients. */
const others = 200

/**
 * That a process may have so many connections.
 * @throws Error where the limit of open files (which Node raises as far as it may) is below
 */
export function needFiles(connections: number): void {
  const [, limit] = /^Max open files\s+\d+\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? []
  if (limit === undefined || Number(limit) >= connections + others) return
  throw new Error(
    `${connections} clients need ${connections + others} open files, and the limit is ${limit}: ulimit -Hn`,
  )
}
