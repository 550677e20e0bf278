import { readFileSync, realpathSync, statSync } from 'node:fs'
import { mkdir, open, readFile, realpath, rename, rm, stat, unlink } from 'node:fs/promises'
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from 'node:path'
import { documentIdOf } from '../config/document-key.ts'
import { ControlPlaneError, messageOf } from '../errors.ts'
import type { RevisionDocument } from '../snapshot/history/documents.ts'
import { isDocumentName, listFiles } from '../source/file-listing.ts'
import type { Document } from '../source/source.ts'
import type { TextChange } from './rollback-plan.ts'
import { changedMeanwhile, type FindTarget, type RollbackTarget } from './rollback-target.ts'

/**
 * A directory that `serve --config` reads, or one file of it.
 * @throws ControlPlaneError `usage` when there is nothing at `path`.
 */
export function findFiles(path: string): FindTarget {
  const isFile = isFileAt(path)
  const directories = isFile ? above(path) : [path]
  return (documents, base) => {
    const places = documents.flatMap((document) => placeIn(document) ?? [])
    for (const directory of directories) {
      const found = places.find((place) => isAt(place, directory, base))
      if (found === undefined) continue
      const only = isFile ? relative(resolve(directory), resolve(path)) : undefined
      return filesBelow(path, { prefix: found.prefix, root: found.root, directory, only })
    }
    return undefined
  }
}

/** The directories that a file may be read from, the nearest first. */
function above(path: string): readonly string[] {
  const found = [dirname(path)]
  for (let at = resolve(dirname(path)); at !== dirname(at); ) {
    at = dirname(at)
    found.push(at)
  }
  return found
}

/** Whether that is the directory that the source of the place reads. */
function isAt({ root, name, text }: Place, directory: string, base: string | undefined): boolean {
  if (isSameDirectory(resolve(base ?? '.', root), directory)) return true
  const isUnknown = base === undefined && !isAbsolute(root)
  return isUnknown && endsAlike(root, directory) && stands(text, join(directory, name))
}

interface Place {
  readonly prefix: string
  /** The directory that a source read, as it was given. */
  readonly root: string
  /** From there. */
  readonly name: string
  readonly text: string | undefined
}

/** Undefined for a document of no file, or where its name and its place do not go together. */
function placeIn({ key, origin, text }: RevisionDocument): Place | undefined {
  const id = documentIdOf(key)
  const prefix = /^file\d*:/.exec(id)?.[0]
  if (prefix === undefined) return undefined
  const name = id.slice(prefix.length)
  const root = rootOf(origin.name, name)
  return root === undefined ? undefined : { prefix, root, name, text: text?.content }
}

/** A file that is gone is a file all the same. */
function isFileAt(path: string): boolean {
  const found = statSync(path, { throwIfNoEntry: false })
  if (found !== undefined) return !found.isDirectory()
  const isLost = isDocumentName(path) && statSync(dirname(path), { throwIfNoEntry: false })?.isDirectory() === true
  if (!isLost) throw new ControlPlaneError('usage', `${path} does not exist: give a directory or a file`)
  return true
}

/** The directory that a source read, as it was given; undefined where the two do not go together. */
function rootOf(place: string, name: string): string | undefined {
  if (place === name) return '.'
  return place.endsWith(`/${name}`) ? place.slice(0, -name.length - 1) || '/' : undefined
}

function isSameDirectory(root: string, directory: string): boolean {
  const given = resolve(directory)
  return root === given || realpathOf(root) === realpathOf(given)
}

function endsAlike(root: string, directory: string): boolean {
  const end = root.replace(/^(\.\.?(\/|$))+/, '')
  return end === '' || resolve(directory).endsWith(`${sep}${end}`)
}

/** Many directories are called alike: it is the one where something stands as the history tells. */
function stands(text: string | undefined, path: string): boolean {
  if (text === undefined) return false
  try {
    return readFileSync(path, 'utf8').includes(text.trim())
  } catch {
    return false
  }
}

function realpathOf(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    return path
  }
}

interface Below {
  readonly prefix: string
  /** As the server was given it. */
  readonly root: string
  readonly directory: string
  /** One file alone, from there. */
  readonly only: string | undefined
}

function filesBelow(name: string, { prefix, root, directory, only }: Below): RollbackTarget {
  const holds = (id: string): boolean =>
    id.startsWith(prefix) && (only === undefined || id.slice(prefix.length) === only)
  const placeOf = (id: string): string => (only === undefined ? join(directory, id.slice(prefix.length)) : name)
  return {
    name,
    holds,
    placeOf,
    isOrigin: (origin) =>
      only === undefined
        ? !origin.startsWith('etcd:') && (root === '.' || origin.startsWith(root === '/' ? root : `${root}/`))
        : origin === join(root, only),
    async read() {
      const listing = await listFiles(name, undefined)
      if (listing.kind === 'missing' && only !== undefined) return []
      if (listing.kind !== 'listed') {
        const why = listing.kind === 'missing' ? 'it does not exist' : listing.reason
        throw new ControlPlaneError('usage', `${name} cannot be read: ${why}`)
      }
      const [failure] = listing.failures.filter(({ isLink }) => !isLink)
      if (failure !== undefined) throw unreadable(join(directory, failure.path), failure.reason)
      return listing.files
        .map(({ path, content }): Document => {
          const id = `${prefix}${only ?? path}`
          const place = placeOf(id)
          if (content.kind === 'too-large') throw unreadable(place, `it has ${content.bytes} bytes`)
          if (content.kind === 'unreadable') throw unreadable(place, content.reason)
          return { id, text: content.text, origin: { name: place } }
        })
        .filter(({ id }) => holds(id))
    },
    async write(changes, onProgress) {
      const ordered = [...changes].sort((a, b) => Number(a.after === undefined) - Number(b.after === undefined))
      const steps = ordered.map((change) => ({ ...change, path: placeOf(change.id) }))
      for (const { path } of steps) assertBelow(directory, path)
      // A change of one file is seen before any is written, so that mostly none is.
      for (const { path, before } of steps) await assertUnchanged(path, before, 0, steps.length)
      for (const [done, { path, before, after }] of steps.entries()) {
        await assertUnchanged(path, before, done, steps.length)
        await writeOne(path, after, done, steps.length)
        if ((done + 1) % 100 === 0) onProgress(`${done + 1} of ${steps.length} files`)
      }
      return `in ${steps.length} ${steps.length === 1 ? 'file' : 'files'}`
    },
  }
}

/** @throws ControlPlaneError `io`. */
async function writeOne(path: string, text: string | undefined, done: number, all: number): Promise<void> {
  try {
    if (text !== undefined) return await replace(path, text)
    await unlink(path)
    await syncDirectories(dirname(path))
  } catch (error) {
    const far = done === 0 ? 'nothing was written' : `${done} of ${all} were written`
    throw new ControlPlaneError('io', `${path} cannot be written (${far}): ${messageOf(error)}`, { cause: error })
  }
}

/** A reader sees the old text or the new one. What a link leads to is written, not the link. */
async function replace(path: string, text: string): Promise<void> {
  const created = await mkdir(dirname(path), { recursive: true })
  const real = await realpath(path).catch(() => path)
  const mode = await stat(real).then(
    (found) => found.mode & 0o777,
    () => 0o644,
  )
  // No source reads what begins with a dot.
  const unfinished = join(dirname(real), `.${basename(real)}.${process.pid}.tmp`)
  try {
    const handle = await open(unfinished, 'w', mode)
    try {
      await handle.writeFile(text)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(unfinished, real)
  } catch (error) {
    await rm(unfinished, { force: true })
    throw error
  }
  await syncDirectories(dirname(real), created && dirname(created))
}

/** Else a power loss may take back what was renamed or deleted: after the server has read it, and said so. */
async function syncDirectories(lowest: string, highest: string = lowest): Promise<void> {
  for (let at = resolve(lowest); ; at = dirname(at)) {
    // Not every file system can sync a directory; the file itself is safe.
    await syncDirectory(at).catch(() => undefined)
    if (at === resolve(highest) || at === dirname(at)) return
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

async function assertUnchanged(path: string, before: TextChange['before'], done: number, all: number): Promise<void> {
  if ((await textAt(path)) === before) return
  throw new ControlPlaneError('config', changedMeanwhile(path, done, all))
}

async function textAt(path: string): Promise<string | undefined> {
  try {
    // As the source reads it: without a byte order mark.
    return new TextDecoder().decode(await readFile(path))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new ControlPlaneError('io', `${path} cannot be read: ${messageOf(error)}`, { cause: error })
  }
}

/** A history is only as good as who wrote it. */
function assertBelow(directory: string, path: string): void {
  const root = resolve(directory)
  if (resolve(path).startsWith(root === '/' ? root : `${root}${sep}`)) return
  throw new ControlPlaneError('usage', `${path} is not below ${directory}`)
}

function unreadable(place: string, reason: string): ControlPlaneError {
  return new ControlPlaneError('config', `${place} cannot be read, so nothing was written: ${reason}`)
}
