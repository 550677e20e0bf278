import { setTimeout as sleep } from 'node:timers/promises'

export interface PollOptions {
  /** 5 s by default. */
  readonly timeoutMs?: number
  /** 20 ms by default. */
  readonly intervalMs?: number
}

/**
 * Calls `attempt` until it neither throws nor gives false, and resolves to what it gave. For conditions of another
 * process, which tells nobody when they come true; within this process wait for the event itself.
 * @throws Error when the time is over, with the last attempt's error as its cause
 */
export async function eventually<T>(attempt: () => T | Promise<T>, options: PollOptions = {}): Promise<T> {
  const timeoutMs = options.timeoutMs ?? 5_000
  const deadline = performance.now() + timeoutMs
  for (;;) {
    let failure: unknown = 'it was false'
    try {
      const value = await attempt()
      if (value !== false) return value
    } catch (error) {
      failure = error
    }
    if (performance.now() >= deadline) {
      const reason = failure instanceof Error ? failure.message : String(failure)
      throw new Error(`not within ${timeoutMs} ms: ${reason}`, { cause: failure })
    }
    await sleep(options.intervalMs ?? 20)
  }
}
