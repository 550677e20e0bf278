import { constants } from 'node:fs'
import * as nodeFs from 'node:fs/promises'
import { join } from 'node:path'
import type { HistoryFs } from './fs.ts'
import { type Holder, type Lock, takeLock } from './lock.ts'
import type { HistoryPlace } from './place.ts'
import type { RevisionRecord } from './record.ts'
import { type Segment, type SegmentContent, sizeOf } from './segment.ts'

type FileHandle = nodeFs.FileHandle

const segmentName = /^\d{8}\.log$/
const unfinishedName = /^\d{8}\.log\.tmp$/

/** The directory that the segments are in. Files that are not the history's are left alone. */
export class HistoryDirectory implements HistoryPlace {
  readonly name: string
  readonly advice = 'make the directory writable and give it room; it is tried again every few seconds'
  readonly aside = 'set aside as .corrupt'
  readonly #fs: HistoryFs
  #lock: Lock | undefined
  #lastNumber = 0

  constructor(path: string, fs: HistoryFs = nodeFs) {
    this.name = path
    this.#fs = fs
  }

  get isLocked(): boolean {
    return this.#lock !== undefined
  }

  /**
   * Creates the directory where it is absent and takes its lock, or tells who holds that.
   * @throws Error of the file system.
   */
  async open(): Promise<Holder | undefined> {
    await this.#fs.mkdir(this.name, { recursive: true, mode: 0o700 })
    const lock = await takeLock(this.#fs, join(this.name, 'lock'))
    if (!('release' in lock)) return lock
    this.#lock = lock
    return undefined
  }

  /**
   * Names of the segment files, oldest first.
   * @throws Error of the file system.
   */
  async list(): Promise<readonly string[]> {
    const names = await this.#fs.readdir(this.name)
    for (const name of names) {
      // A name that was used is not used again, be the file set aside or not.
      const number = /^(\d{8})\.log/.exec(name)?.[1]
      if (number !== undefined) this.#lastNumber = Math.max(this.#lastNumber, Number(number))
    }
    return names.filter((name) => segmentName.test(name)).sort()
  }

  /** Removes segments that a crash kept from being finished; nothing in them was promised to anybody. */
  async removeUnfinished(): Promise<void> {
    for (const name of await this.#fs.readdir(this.name)) {
      if (unfinishedName.test(name)) await this.#fs.unlink(join(this.name, name))
    }
  }

  read(name: string): Promise<Uint8Array> {
    return this.#fs.readFile(join(this.name, name))
  }

  /** Keeps a file that cannot be used for whoever wants to look at it. */
  setAside(name: string): Promise<void> {
    return this.#fs.rename(join(this.name, name), join(this.name, `${name}.corrupt`))
  }

  /** A segment that is there: its file is opened when something is appended. */
  existing(name: string, content: Omit<SegmentContent, 'chunks'> & { readonly size: number }): Segment {
    return new FileSegment(this.#fs, join(this.name, name), content, content.size)
  }

  /**
   * Writes a new segment: whole and on the disk, or not there.
   * @throws Error of the file system.
   */
  async create(content: SegmentContent): Promise<Segment> {
    const path = join(this.name, `${String(this.#lastNumber + 1).padStart(8, '0')}.log`)
    const unfinished = `${path}.tmp`
    const handle = await this.#fs.open(unfinished, 'ax', 0o600)
    try {
      for (const chunk of content.chunks) await handle.appendFile(chunk)
      await handle.sync()
      await this.#fs.rename(unfinished, path)
    } catch (error) {
      await quietly(() => handle.close())
      await quietly(() => this.#fs.unlink(unfinished))
      throw error
    }
    this.#lastNumber++
    // Not every file system can sync a directory; the file itself is safe.
    await quietly(() => this.#syncDirectory())
    return new FileSegment(this.#fs, path, content, sizeOf(content.chunks), handle)
  }

  async close(): Promise<void> {
    const lock = this.#lock
    this.#lock = undefined
    await lock?.release()
  }

  async #syncDirectory(): Promise<void> {
    const directory = await this.#fs.open(this.name, 'r')
    try {
      await directory.sync()
    } finally {
      await directory.close()
    }
  }
}

class FileSegment implements Segment {
  readonly isInMemory = false
  readonly revisions: RevisionRecord[]
  readonly blobKeys: Set<string>
  readonly baseSize: number
  readonly #fs: HistoryFs
  readonly #path: string
  #handle: FileHandle | undefined
  size: number

  constructor(fs: HistoryFs, path: string, content: Omit<SegmentContent, 'chunks'>, size: number, handle?: FileHandle) {
    this.#fs = fs
    this.#path = path
    this.#handle = handle
    this.revisions = [...content.revisions]
    this.blobKeys = new Set(content.blobKeys)
    this.baseSize = content.baseSize
    this.size = size
  }

  async append(chunks: readonly Uint8Array[]): Promise<void> {
    // Without O_CREAT: an empty file in the place of a deleted one would have no base.
    this.#handle ??= await this.#fs.open(this.#path, constants.O_WRONLY | constants.O_APPEND)
    // Writing to a file that somebody deleted succeeds and keeps nothing.
    if ((await this.#handle.stat()).nlink === 0) throw new Error(`${this.#path} was deleted while in use`)
    try {
      for (const chunk of chunks) await this.#handle.appendFile(chunk)
      this.size += sizeOf(chunks)
    } catch (error) {
      await quietly(async () => this.#handle?.truncate(this.size))
      throw error
    }
  }

  read(): Promise<Uint8Array> {
    return this.#fs.readFile(this.#path)
  }

  async sync(): Promise<void> {
    await this.#handle?.sync()
  }

  async close(): Promise<void> {
    const handle = this.#handle
    this.#handle = undefined
    await handle?.close()
  }

  async remove(): Promise<void> {
    await this.close()
    await this.#fs.unlink(this.#path)
  }
}

/** For a step that tidies up after a failure, or that may be impossible without harm. */
async function quietly(step: () => Promise<unknown>): Promise<void> {
  try {
    await step()
  } catch {
    return
  }
}
