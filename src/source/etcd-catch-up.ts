import { setTimeout as delay } from 'node:timers/promises'
import { type EtcdClient, etcdFailure } from './etcd-client.ts'
import { type EtcdMark, type EtcdSeen, hasReached, readMark } from './etcd-read.ts'

/** A connection over which a watch tells what changes. */
export interface WatchSession {
  readonly client: EtcdClient
  /** Aborts when the session is over. */
  readonly signal: AbortSignal
  /** Ends it, so that everything is read anew. */
  end(reason: string): void
}

interface Waiter {
  /** What etcd held when it was asked; undefined until it has answered. */
  mark: EtcdMark | undefined
  readonly resolve: () => void
}

export interface CatchUpOptions {
  readonly prefix: string
  /** For so long etcd may hold more than its watch told, in milliseconds. */
  readonly patienceMs: number
}

/**
 * Knows whether everything was seen that etcd held at some moment (rule 87): asks etcd what that was, and waits until the
 * watch has told it, or until all was read by a read that began later.
 */
export class CatchUp {
  readonly #options: CatchUpOptions
  readonly #waiters = new Set<Waiter>()
  #seen: EtcdSeen | undefined
  /** Up to here nothing was written below the prefix that was not seen. */
  #known = 0n
  #session: WatchSession | undefined

  constructor(options: CatchUpOptions) {
    this.#options = options
  }

  /**
   * Resolves once everything was seen that had been written when it was called.
   * @throws the reason of `signal` when that aborts
   */
  async reached(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    await new Promise<void>((resolve, reject) => {
      const leave = (): void => {
        this.#waiters.delete(waiter)
        signal.removeEventListener('abort', onAbort)
      }
      const onAbort = (): void => {
        leave()
        reject(signal.reason as Error)
      }
      const waiter: Waiter = {
        mark: undefined,
        resolve: () => {
          leave()
          resolve()
        },
      }
      signal.addEventListener('abort', onAbort, { once: true })
      this.#waiters.add(waiter)
      if (this.#session !== undefined) void this.#ask(waiter, this.#session)
    })
  }

  /** Everything is about to be read. What is returned takes what came of it. */
  reading(): (seen: EtcdSeen) => void {
    const before = [...this.#waiters]
    return (seen) => {
      this.#seen = seen
      this.#known = seen.revision
      for (const waiter of before) if (this.#waiters.has(waiter)) waiter.resolve()
    }
  }

  /** What comes after what was read is told from now on. */
  begin(session: WatchSession): void {
    this.#session = session
    session.signal.addEventListener('abort', () => {
      if (this.#session === session) this.#session = undefined
    })
    for (const waiter of this.#waiters) void this.#ask(waiter, session)
  }

  /** The watch has told everything up to this revision. */
  change(revision: bigint, added: number): void {
    const keys = (this.#seen?.keys ?? 0) + added
    this.#seen = { revision, keys }
    if (revision > this.#known) this.#known = revision
    for (const waiter of this.#waiters) this.#settle(waiter)
  }

  async #ask(waiter: Waiter, session: WatchSession): Promise<void> {
    const { prefix, patienceMs } = this.#options
    const { client, signal } = session
    const isOver = (): boolean => signal.aborted || !this.#waiters.has(waiter)
    try {
      waiter.mark = await readMark(client, prefix, this.#known)
    } catch (error) {
      // A watch outlives the token that it began with, and an etcd that tells nothing more; a new session has what it needs.
      if (!isOver()) session.end(`it cannot be asked what is newest: ${etcdFailure(error)}`)
      return
    }
    if (isOver() || this.#settle(waiter)) return
    await delay(patienceMs, undefined, { signal, ref: false }).catch(() => {})
    if (!isOver()) session.end('etcd holds more than its watch has told')
  }

  /** True if it waits no longer. */
  #settle(waiter: Waiter): boolean {
    const { mark } = waiter
    if (mark === undefined || this.#seen === undefined || !hasReached(this.#seen, mark)) return false
    if (mark.revision > this.#known) this.#known = mark.revision
    waiter.resolve()
    return true
  }
}
