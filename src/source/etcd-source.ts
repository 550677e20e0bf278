import type { Problem } from '../errors.ts'
import type { Log } from '../log.ts'
import { CatchUp } from './etcd-catch-up.ts'
import {
  connectEtcd,
  defaultPrefix,
  defaultTiming,
  type EtcdFolder,
  type EtcdOptions,
  etcdFailure,
  folderPrefix,
} from './etcd-client.ts'
import { type EtcdEntry, type EtcdState, readAll } from './etcd-read.ts'
import { type EtcdChange, watchChanges } from './etcd-watch.ts'
import { type Feed, feedOf, type Trouble } from './feed.ts'
import { createHint } from './hint.ts'
import type { Document, Source } from './source.ts'

export interface EtcdSourceOptions extends EtcdOptions {
  readonly log: Log
  /** Where the keys are; `config` unless given. */
  readonly folder?: EtcdFolder
  /** An etcd that went back to an older revision is believed after so long (rule 87). */
  readonly fenceMs?: number
}

/** A value over this is a Problem, in bytes; etcd itself takes 1.5 MiB by default. */
export const maxValueBytes: number = 1024 * 1024

const maxBackoffMs = 2_000

/**
 * Every key below `<prefix>config/`, or another folder: all of them at one revision, then a watch from the next one. When the watch ends, for
 * whatever reason, everything is read again and only the difference is told (rule 92). Unreachable is said when every endpoint
 * failed in a row.
 *
 * An etcd whose revision is behind what was read before (restored from a backup, or another one at the same address) counts as
 * unreachable until it caught up, or for `fenceMs`; then what it holds is taken, with a warning (rule 87).
 */
export function createEtcdSource(options: EtcdSourceOptions): Source {
  const catchUp = new CatchUp({
    prefix: folderPrefix(options, options.folder ?? 'config'),
    patienceMs: options.timing?.callMs ?? defaultTiming.callMs,
  })
  let newest: Feed | undefined
  return {
    name: `etcd ${options.endpoints.join(',')} ${options.folder === undefined ? (options.prefix ?? defaultPrefix) : folderPrefix(options, options.folder)}`,
    watch: (signal) =>
      feedOf(signal, async (feed, stopped) => {
        newest = feed
        await followEtcd(options, feed, catchUp, stopped)
      }),
    async caughtUp(signal) {
      await catchUp.reached(signal)
      await orAborted(newest?.told(), signal)
    },
  }
}

/** @throws the reason of `signal` when that aborts first */
async function orAborted(done: Promise<void> | undefined, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  let stop = (): void => {}
  const aborted = new Promise<void>((_resolve, reject) => {
    stop = () => reject(signal.reason as Error)
    signal.addEventListener('abort', stop, { once: true })
  })
  await Promise.race([done, aborted]).finally(() => signal.removeEventListener('abort', stop))
}

async function followEtcd(
  options: EtcdSourceOptions,
  feed: Feed,
  catchUp: CatchUp,
  signal: AbortSignal,
): Promise<void> {
  const { endpoints, log } = options
  const teller = createTeller(options, feed)
  const failures = new Map<string, string>()
  const never = createHint()
  let said: string | undefined
  let tries = 0

  const follow = async (endpoint: string): Promise<string> => {
    const client = await connectEtcd(options, endpoint, signal)
    const over = new AbortController()
    const stop = (): void => over.abort()
    signal.addEventListener('abort', stop, { once: true })
    try {
      const noteRead = catchUp.reading()
      const state = await readAll(client, folderPrefix(options, options.folder ?? 'config'))
      if (signal.aborted) return 'stopped'
      teller.replace(state)
      noteRead({ revision: state.revision, keys: state.entries.length })
      if (said !== undefined) log.info({ endpoint, revision: state.revision.toString() }, 'etcd can be read again')
      said = undefined
      failures.clear()
      let why: string | undefined
      catchUp.begin({
        client,
        signal: over.signal,
        end(reason) {
          why = reason
          over.abort()
        },
      })
      const { reason } = await watchChanges(
        client,
        {
          prefix: folderPrefix(options, options.folder ?? 'config'),
          from: state.revision + 1n,
          timeoutMs: options.timing?.callMs ?? defaultTiming.callMs,
          onChange(change) {
            teller.change(change)
            catchUp.change(change.revision, change.added)
          },
        },
        over.signal,
      )
      return why ?? reason
    } finally {
      over.abort()
      signal.removeEventListener('abort', stop)
      client.close()
    }
  }

  for (let turn = 0; !signal.aborted; turn++) {
    const endpoint = endpoints[turn % endpoints.length] as string
    const startedAt = performance.now()
    try {
      const reason = await follow(endpoint)
      if (!signal.aborted)
        log.info({ endpoint, reason: etcdFailure(reason) }, 'etcd watch ended: reading everything again')
    } catch (error) {
      if (signal.aborted) break
      failures.set(endpoint, etcdFailure(error))
    }
    // A watch that lived was no failure; one that ends at once, again and again, must not make a busy loop.
    const lived = performance.now() - startedAt > 1_000 && failures.size === 0
    tries = lived ? 0 : tries + 1
    if (signal.aborted || lived || (failures.size > 0 && failures.size < endpoints.length)) continue
    if (failures.size > 0) {
      const problem = unreachableProblem(options, endpoints, failures)
      if (problem.message !== said) log.warn({ error: problem.message }, 'etcd cannot be read')
      said = problem.message
      feed.unreachable(problem)
    }
    await never.wait(backoffMs(tries), signal)
  }
}

/** Doubles from 100 ms on; half of it is chance, so that a fleet of servers does not come back at once. */
function backoffMs(tries: number): number {
  return Math.min(maxBackoffMs, 50 * 2 ** tries) * (0.5 + Math.random() / 2)
}

function unreachableProblem(
  options: EtcdSourceOptions,
  endpoints: readonly string[],
  failures: ReadonlyMap<string, string>,
): Problem {
  const reasons = endpoints.map((endpoint) => `${endpoint}: ${failures.get(endpoint)}`)
  return {
    severity: 'error',
    code: 'source-unreachable',
    origin: { name: `etcd:${folderPrefix(options, options.folder ?? 'config')}` },
    path: '',
    message: `etcd cannot be read: ${reasons.join('; ')}`,
    fix: 'check that etcd runs and that its address, certificates and user are right; it is tried again all the time',
  }
}

/** Turns what etcd tells into what the feed is told, and knows which revision was seen. */
interface Teller {
  /** @throws while the state is older than what was seen. */
  readonly replace: (state: EtcdState) => void
  readonly change: (change: EtcdChange) => void
}

function createTeller(options: EtcdSourceOptions, feed: Feed): Teller {
  const { log, fenceMs = 60_000 } = options
  const bad = new Map<string, Problem>()
  let seen: { revision: bigint; clusterId: string } | undefined
  /** Of each key that was read last, when it was written. */
  const known = new Map<string, bigint>()
  let isBehindSince: number | undefined
  /** The revision that an etcd that went back has to reach to count as well. */
  let setback: bigint | undefined

  const trouble = (): Trouble => {
    const problems = [...bad.values()]
    if (setback !== undefined) problems.unshift(setbackProblem(options, setback))
    return { problems, unreadable: Array.from(bad, ([key, { origin }]) => ({ id: idOf(key), origin })) }
  }

  const documentOf = (entry: EtcdEntry): Document | undefined => {
    const document = decode(entry)
    if ('code' in document) {
      bad.set(entry.key, document)
      return undefined
    }
    bad.delete(entry.key)
    return document
  }

  /**
   * Rule 87. The revision of the store alone does not tell: others raise it, and so do the replicas by their own writes, as
   * soon as an etcd that was restored answers. But no key comes back as it was written earlier.
   */
  const isOlder = ({ revision, entries }: EtcdState): boolean => {
    if (seen === undefined) return false
    if (revision < seen.revision) return true
    const written = new Map(entries.map(({ key, modRevision }) => [key, BigInt(modRevision)]))
    // One that is gone may have been deleted, unless this etcd is one that went back.
    const ifGone = isBehindSince !== undefined
    return Array.from(known).some(([key, at]) => {
      const there = written.get(key)
      return there === undefined ? ifGone : there < at
    })
  }

  /** @throws while the state is older than what was seen. */
  const fence = (state: EtcdState): void => {
    const { revision, clusterId } = state
    if (seen !== undefined && seen.clusterId !== clusterId) {
      log.warn({ before: seen.clusterId, now: clusterId }, 'another etcd cluster answers at this address')
    }
    if (seen !== undefined && isOlder(state)) {
      isBehindSince ??= performance.now()
      if (performance.now() - isBehindSince < fenceMs) {
        const wait = `what it holds is taken if that is still so after ${Math.round(fenceMs / 1000)} s`
        throw new Error(`it went back behind revision ${seen.revision}, which was read before; ${wait}`)
      }
      log.warn({ before: seen.revision.toString(), now: revision.toString() }, 'etcd went back: taking what it holds')
      // Told until something is written there again.
      setback = seen.revision > revision ? seen.revision : revision + 1n
    }
    isBehindSince = undefined
    seen = { revision, clusterId }
    known.clear()
    for (const { key, modRevision } of state.entries) known.set(key, BigInt(modRevision))
    if (setback !== undefined && revision >= setback) setback = undefined
  }

  return {
    replace(state): void {
      fence(state)
      bad.clear()
      const documents = state.entries.map(documentOf).filter((document) => document !== undefined)
      feed.replace(documents, trouble())
    },
    change({ revision, changes }): void {
      if (seen !== undefined) seen.revision = revision
      if (setback !== undefined && revision >= setback) setback = undefined
      // The last word on a key counts, when several revisions come at once.
      const last = new Map(changes.map(({ key, entry }) => [key, entry]))
      const upserted: Document[] = []
      const removed: string[] = []
      for (const [key, entry] of last) {
        if (entry === undefined) known.delete(key)
        else known.set(key, BigInt(entry.modRevision))
        const document = entry && documentOf(entry)
        if (document !== undefined) upserted.push(document)
        if (entry !== undefined) continue
        bad.delete(key)
        removed.push(idOf(key))
      }
      feed.change(upserted, removed, trouble())
    },
  }
}

function idOf(key: string): string {
  return `etcd:${key}`
}

function decode({ key, value, modRevision }: EtcdEntry): Document | Problem {
  const origin = { name: idOf(key), revision: modRevision }
  if (value.length > maxValueBytes) {
    const message = `the value has ${value.length} bytes, and at most ${maxValueBytes} are read`
    return { severity: 'error', code: 'too-large', origin, path: '', message, fix: 'split it over several keys' }
  }
  try {
    return { id: idOf(key), text: new TextDecoder('utf-8', { fatal: true }).decode(value), origin }
  } catch {
    const message = 'the value is not UTF-8'
    return { severity: 'error', code: 'unreadable', origin, path: '', message, fix: 'write it as UTF-8 text' }
  }
}

function setbackProblem(options: EtcdSourceOptions, before: bigint): Problem {
  return {
    severity: 'warning',
    code: 'source-unreachable',
    origin: { name: `etcd:${folderPrefix(options, options.folder ?? 'config')}` },
    path: '',
    message: `etcd went back behind revision ${before}, which was read before: it was restored, or is another one`,
    fix: 'check that it holds what it should',
  }
}
