import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chmod, unlink } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'

/**
 * A socket in a directory, at which a process listens as long as it lives. The kernel knows, for everybody on this machine,
 * whatever container they are in: pids are each container's own, and the same ones come again.
 */
export interface SignOfLife {
  /** Of the file. */
  readonly name: string
  close(): Promise<void>
}

const nameForm = /^lock\.[0-9a-f]{12}$/
/** Of a socket's path. Node cuts off the rest of a longer one without a word, and takes another file. */
const maxPathBytes = process.platform === 'linux' ? 107 : 103

/** Undefined where none can be given: a file system without sockets, or a path that is longer than one may be. */
export async function giveSignOfLife(directory: string): Promise<SignOfLife | undefined> {
  const name = `lock.${randomBytes(6).toString('hex')}`
  if (isTooLong(join(directory, name))) return undefined
  const server = createServer((asked) => asked.destroy())
  try {
    server.listen(join(directory, name))
    await once(server, 'listening')
    await chmod(join(directory, name), 0o600)
  } catch {
    server.close()
    return undefined
  }
  // One that could not be taken has had its answer all the same.
  server.on('error', () => {}).unref()
  return {
    name,
    async close() {
      const closed = once(server, 'close')
      server.close()
      await closed
    },
  }
}

/** Undefined where there is no such sign. One that is there and cannot be asked, as by a longer path, may be alive. */
export async function isAlive(directory: string, name: unknown): Promise<boolean | undefined> {
  if (!isSign(name)) return undefined
  const path = join(directory, name)
  if (isTooLong(path)) return existsSync(path) ? true : undefined
  const asking = connect(path)
  try {
    await once(asking, 'connect')
    return true
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ECONNREFUSED') return false
    // EAGAIN, say: it has not taken those who asked before. It is stopped, and may go on.
    return code === 'ENOENT' ? undefined : true
  } finally {
    asking.destroy()
  }
}

/** Of a process that is gone. */
export async function removeSignOfLife(directory: string, name: unknown): Promise<void> {
  if (isSign(name)) await unlink(join(directory, name)).catch(() => {})
}

function isSign(name: unknown): name is string {
  return typeof name === 'string' && nameForm.test(name)
}

function isTooLong(path: string): boolean {
  return Buffer.byteLength(path) > maxPathBytes
}
