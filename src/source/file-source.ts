import { basename, join } from 'node:path'
import type { Problem, ProblemCode } from '../errors.ts'
import type { Log } from '../log.ts'
import { type Feed, feedOf, noTrouble, type Trouble } from './feed.ts'
import {
  isDocumentName,
  isSameListing,
  type ListedFile,
  type Listing,
  type ListingFailure,
  listFiles,
  maxFileBytes,
} from './file-listing.ts'
import { createFileWatcher } from './file-watcher.ts'
import { createHint } from './hint.ts'
import type { Document, Source } from './source.ts'

export interface FileSourceOptions {
  /** A directory or one file, as a person wrote it. */
  readonly path: string
  /** How the id of every document begins; two sources need two. */
  readonly idPrefix?: string
  /** After so long without an event it looks anyway. */
  readonly pollMs?: number
  /** Between the two looks that must agree: a set of files that is written in less is one change. */
  readonly settleMs?: number
  readonly log: Log
}

/**
 * How the ids begin of the documents of one of several paths. The first has the same prefix whether there are others or
 * not: adding one must not rename every document.
 */
export function fileIdPrefix(index: number): string {
  return index === 0 ? 'file:' : `file${index + 1}:`
}

/** Files that never hold still must not hold up all others for longer... */
const maxUnsettledMs = 2_000

/** ...but it takes so many looks to see that: on a busy machine one may take all that time, and show half of a change. */
const minLooks = 3

/**
 * Every document at or below a path (docs/config.md, "Where documents come from"). Events only say when to look: a change is the
 * difference between two full listings, taken once two in a row agree (rule 92). A path that does not exist is unreachable
 * until it was read once; after that it is an empty source.
 */
export function createFileSource(options: FileSourceOptions): Source {
  return {
    name: options.path,
    watch: (signal) => feedOf(signal, async (feed, stopped) => await readFiles(options, feed, stopped)),
  }
}

async function readFiles(options: FileSourceOptions, feed: Feed, signal: AbortSignal): Promise<void> {
  const { path, pollMs = 5_000, settleMs = 25, log } = options
  const hint = createHint()
  const watcher = createFileWatcher(path, hint.give, log)
  const teller = createTeller(options, feed)
  let last: Listing | undefined
  try {
    // Before the first look, so that nothing can happen between the two.
    await watcher.aim(undefined)
    while (!signal.aborted) {
      const listing = await settledListing(path, last, settleMs, log, signal)
      if (signal.aborted) break
      if (!isSameListing(last, listing)) teller(listing)
      last = listing
      await watcher.aim(listing.kind === 'listed' ? listing.identity : undefined)
      await hint.wait(pollMs, signal)
    }
  } finally {
    await watcher.close()
  }
}

/** Looks until two looks in a row agree; one is enough when it shows what the last one did. */
async function settledListing(
  path: string,
  last: Listing | undefined,
  settleMs: number,
  log: Log,
  signal: AbortSignal,
): Promise<Listing> {
  const deadline = performance.now() + maxUnsettledMs + settleMs
  const never = createHint()
  let previous = last
  for (let looks = 1; ; looks++) {
    const listing = await listFiles(path, previous)
    if (signal.aborted || isSameListing(previous, listing)) return listing
    if (looks >= minLooks && performance.now() > deadline) {
      log.warn({ path }, 'files below the path change all the time: reading them as they are')
      return listing
    }
    previous = listing
    await never.wait(settleMs, signal)
  }
}

/** Turns listings into what the feed is told. */
function createTeller(options: FileSourceOptions, feed: Feed): (listing: Listing) => void {
  const { path: root, idPrefix = fileIdPrefix(0) } = options
  let wasRead = false
  /** Paths of documents that exist, readable or not, at the last look. */
  let known: readonly string[] = []

  const idOf = (path: string): string => `${idPrefix}${path === '' ? basename(root) : path}`
  const nameOf = (path: string): string => (path === '' ? root : join(root, path))
  const problem = (path: string, code: ProblemCode, message: string, fix: string): Problem => {
    return { severity: 'error', code, origin: { name: nameOf(path) }, path: '', message, fix }
  }

  const fileProblem = (file: ListedFile): Problem | undefined => {
    const { content, path } = file
    if (content.kind === 'text') return undefined
    if (content.kind === 'unreadable') {
      return problem(path, 'unreadable', `the file cannot be read: ${content.reason}`, 'make it a readable UTF-8 file')
    }
    const message = `the file has ${content.bytes} bytes, and at most ${maxFileBytes} are read`
    return problem(path, 'too-large', message, 'split it into several files')
  }

  const failureProblem = ({ path, reason, isLink }: ListingFailure, isKnown: boolean): Problem => {
    const found = problem(path, 'unreadable', `it cannot be read: ${reason}`, 'make it readable, or delete it')
    // A link that never led to a document may be none of ours.
    return isLink && !isKnown && !isDocumentName(path) ? { ...found, severity: 'warning' } : found
  }

  const tellListed = (files: readonly ListedFile[], failures: readonly ListingFailure[]): void => {
    const documents: Document[] = []
    const unreadable: string[] = []
    for (const { path, content } of files) {
      if (content.kind !== 'text') unreadable.push(path)
      else documents.push({ id: idOf(path), text: content.text, origin: { name: nameOf(path) } })
    }
    const listed = new Set(files.map((file) => file.path))
    const isAtOrBelow = (path: string, failure: ListingFailure): boolean =>
      path === failure.path || path.startsWith(`${failure.path}/`)
    const problems = failures.map((failure) => {
      const lost = known.filter((path) => !listed.has(path) && isAtOrBelow(path, failure))
      if (lost.length === 0 && isDocumentName(failure.path)) lost.push(failure.path)
      unreadable.push(...lost)
      return failureProblem(failure, lost.length > 0)
    })
    problems.push(...files.map(fileProblem).filter((found) => found !== undefined))
    known = [...new Set([...listed, ...unreadable])]
    const trouble: Trouble = {
      problems,
      unreadable: unreadable.map((path) => ({ id: idOf(path), origin: { name: nameOf(path) } })),
    }
    feed.replace(documents, trouble)
  }

  return (listing) => {
    switch (listing.kind) {
      case 'listed':
        tellListed(listing.files, listing.failures)
        wasRead = true
        break
      case 'missing':
        if (wasRead) feed.replace([], noTrouble)
        else {
          const fix = `create the directory, or start with another path; it is read as soon as it exists`
          feed.unreachable(problem('', 'source-unreachable', `${root} does not exist`, fix))
        }
        known = []
        break
      case 'failed':
        feed.unreachable(
          problem('', 'source-unreachable', `${root} cannot be read: ${listing.reason}`, 'make it readable'),
        )
        break
    }
  }
}
