import type { BigIntStats, Dirent } from 'node:fs'
import { open, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf } from '../errors.ts'

/** A file over this is not read, in bytes: no one writes such a document, and it would hold up every other. */
export const maxFileBytes: number = 16 * 1024 * 1024

/** So long after its last change may a file change again without its times telling, by the coarsest clock of a file system. */
const racyNs = 2_000_000_000n

/** As many files are open at once. */
const readsAtOnce = 32

/** One file of a listing. */
export interface ListedFile {
  /** From the root, with `/`; '' where the root itself is the file. */
  readonly path: string
  readonly content: FileContent
  /** Device, inode, size and times: equal means unchanged, when `isCertain`. */
  readonly stamp: string
  /** False for a file that changed so shortly before it was read that its times may not tell of the next change. */
  readonly isCertain: boolean
}

export type FileContent =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'too-large'; readonly bytes: bigint }
  | { readonly kind: 'unreadable'; readonly reason: string }

/** A place below the root that exists and cannot be looked into: a directory, or a link to nothing. */
export interface ListingFailure {
  /** From the root, with `/`. */
  readonly path: string
  readonly reason: string
  readonly isLink: boolean
}

/** All documents below a root at one look, sorted by path. */
export type Listing =
  | { readonly kind: 'missing' }
  | { readonly kind: 'failed'; readonly reason: string }
  | {
      readonly kind: 'listed'
      /** Device and inode of the root: another one means that what watches it watches something else. */
      readonly identity: string
      readonly files: readonly ListedFile[]
      readonly failures: readonly ListingFailure[]
    }

export function isDocumentName(name: string): boolean {
  return /\.(yaml|yml|json)$/.test(name)
}

/** What begins with a dot, and what editors leave while they write (docs/config.md). */
export function isIgnoredName(name: string): boolean {
  return name.startsWith('.') || /(~|\.swp|\.tmp)$/.test(name)
}

/**
 * Lists and reads every document at or below `root`. Follows links; a file or directory that is reached twice counts once,
 * by its real path when that lies below the root. `last` saves reading again what did not change since.
 */
export async function listFiles(root: string, last: Listing | undefined): Promise<Listing> {
  let stats: BigIntStats
  try {
    stats = await stat(root, { bigint: true })
  } catch (error) {
    return isAbsence(error) ? { kind: 'missing' } : { kind: 'failed', reason: reasonOf(error) }
  }
  const known = new Map(last?.kind === 'listed' ? last.files.map((file) => [file.path, file]) : [])
  const walk = new Walk(root)
  if (stats.isDirectory()) {
    try {
      await walk.directory({ path: '', stats })
    } catch (error) {
      return isAbsence(error) ? { kind: 'missing' } : { kind: 'failed', reason: reasonOf(error) }
    }
    await walk.links()
  } else {
    walk.found.push({ path: '', stats })
  }
  const files: ListedFile[] = []
  for (let from = 0; from < walk.found.length; from += readsAtOnce) {
    const batch = walk.found.slice(from, from + readsAtOnce)
    const read = await Promise.all(batch.map(async (entry) => await readEntry(root, entry, known.get(entry.path))))
    files.push(...read.filter((file) => file !== undefined))
  }
  const byPath = (a: { path: string }, b: { path: string }): number => (a.path < b.path ? -1 : 1)
  const identity = identityOf(stats)
  return { kind: 'listed', identity, files: files.sort(byPath), failures: walk.failures.sort(byPath) }
}

/** Whether two looks saw the same: by content, because on some file systems inodes and times are not steady. */
export function isSameListing(a: Listing | undefined, b: Listing): boolean {
  if (a?.kind === 'failed' && b.kind === 'failed') return a.reason === b.reason
  if (a?.kind !== 'listed' || b.kind !== 'listed') return a?.kind === b.kind
  return (
    a.files.length === b.files.length &&
    a.failures.length === b.failures.length &&
    a.files.every((file, index) => isSameFile(file, b.files[index])) &&
    a.failures.every((failure, index) => {
      const other = b.failures[index]
      return failure.path === other?.path && failure.reason === other.reason
    })
  )
}

function isSameFile(a: ListedFile, b: ListedFile | undefined): boolean {
  if (b === undefined || a.path !== b.path) return false
  if (a.content === b.content) return true
  const [left, right] = [a.content, b.content]
  if (left.kind === 'text') return right.kind === 'text' && left.text === right.text
  if (left.kind === 'unreadable') return right.kind === 'unreadable' && left.reason === right.reason
  return right.kind === 'too-large' && left.bytes === right.bytes
}

interface Entry {
  readonly path: string
  readonly stats: BigIntStats
}

class Walk {
  readonly found: Entry[] = []
  readonly failures: ListingFailure[] = []
  readonly #root: string
  readonly #links: string[] = []
  readonly #seen = new Set<string>()

  constructor(root: string) {
    this.#root = root
  }

  /** @throws when the directory cannot be read. */
  async directory(entry: Entry): Promise<void> {
    this.#seen.add(identityOf(entry.stats))
    const entries = await readdir(join(this.#root, entry.path), { withFileTypes: true })
    const wanted = entries.filter((dirent) => !isIgnoredName(dirent.name) && mayHoldDocuments(dirent))
    const paths = wanted.map((dirent) => (entry.path === '' ? dirent.name : `${entry.path}/${dirent.name}`))
    this.#links.push(...paths.filter((_, index) => wanted[index]?.isSymbolicLink()))
    const real = paths.filter((_, index) => !wanted[index]?.isSymbolicLink()).sort()
    const stats = await Promise.all(real.map(async (path) => await this.#stat(path, false)))
    for (const [index, path] of real.entries()) await this.#visit(path, stats[index], false)
  }

  /** After all that is real, so that a link never takes the place of the file that it points to. */
  async links(): Promise<void> {
    for (;;) {
      const path = this.#links.sort().shift()
      if (path === undefined) return
      await this.#visit(path, await this.#stat(path, true), true)
    }
  }

  async #visit(path: string, stats: BigIntStats | undefined, isLink: boolean): Promise<void> {
    if (stats === undefined || this.#seen.has(identityOf(stats))) return
    if (stats.isDirectory()) {
      try {
        await this.directory({ path, stats })
      } catch (error) {
        this.#fail(path, error, isLink)
      }
    } else if (stats.isFile() && isDocumentName(path)) {
      this.#seen.add(identityOf(stats))
      this.found.push({ path, stats })
    }
  }

  async #stat(path: string, isLink: boolean): Promise<BigIntStats | undefined> {
    try {
      return await stat(join(this.#root, path), { bigint: true })
    } catch (error) {
      this.#fail(path, error, isLink)
      return undefined
    }
  }

  #fail(path: string, error: unknown, isLink: boolean): void {
    if (!isAbsence(error)) this.failures.push({ path, reason: reasonOf(error), isLink })
    else if (isLink) this.failures.push({ path, reason: 'the link points to nothing', isLink })
    // Anything else that is absent went away since its directory was listed: the next look agrees.
  }
}

/** A file is opened only by its name; a link or directory may have any. */
function mayHoldDocuments(dirent: Dirent): boolean {
  return dirent.isDirectory() || dirent.isSymbolicLink() || (dirent.isFile() && isDocumentName(dirent.name))
}

/** Undefined when the file went away since it was listed. */
async function readEntry(root: string, entry: Entry, last: ListedFile | undefined): Promise<ListedFile | undefined> {
  const { path, stats } = entry
  const stamp = `${identityOf(stats)}:${stats.size}:${stats.mtimeNs}:${stats.ctimeNs}`
  if (last?.isCertain && last.stamp === stamp) return last
  const changedNs = stats.ctimeNs > stats.mtimeNs ? stats.ctimeNs : stats.mtimeNs
  const isCertain = BigInt(Date.now()) * 1_000_000n - changedNs > racyNs
  try {
    return { path, stamp, isCertain, content: await readContent(join(root, path), stats) }
  } catch (error) {
    if (isAbsence(error)) return undefined
    // The next look tries again: what made a read fail need not change the file.
    return { path, stamp, isCertain: false, content: { kind: 'unreadable', reason: reasonOf(error) } }
  }
}

async function readContent(file: string, stats: BigIntStats): Promise<FileContent> {
  if (!stats.isFile()) return { kind: 'unreadable', reason: 'it is neither a file nor a directory' }
  if (stats.size > BigInt(maxFileBytes)) return { kind: 'too-large', bytes: stats.size }
  const handle = await open(file)
  try {
    const bytes = await handle.readFile()
    if (bytes.length > maxFileBytes) return { kind: 'too-large', bytes: BigInt(bytes.length) }
    return { kind: 'text', text: new TextDecoder('utf-8', { fatal: true }).decode(bytes) }
  } catch (error) {
    if (error instanceof TypeError) return { kind: 'unreadable', reason: 'it is not UTF-8' }
    throw error
  } finally {
    await handle.close()
  }
}

function identityOf(stats: BigIntStats): string {
  return `${stats.dev}:${stats.ino}`
}

function isAbsence(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code
  return code === 'ENOENT' || code === 'ENOTDIR'
}

/** `EACCES: permission denied, scandir '/a'` without the path, which the problem names already. */
function reasonOf(error: unknown): string {
  return messageOf(error).replace(/, \w+ '.*'$/s, '')
}
