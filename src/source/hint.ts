/** Remembers that it is time to look, until somebody does. */
export interface Hint {
  readonly give: () => void
  /** Resolves once a hint was given since the last wait, or `ms` passed, or `signal` aborted. */
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>
}

export function createHint(): Hint {
  let isGiven = false
  let wake: (() => void) | undefined
  return {
    give(): void {
      isGiven = true
      wake?.()
    },
    async wait(ms: number, signal: AbortSignal): Promise<void> {
      if (!isGiven && !signal.aborted) {
        await new Promise<void>((resolve) => {
          const end = (): void => {
            clearTimeout(timer)
            signal.removeEventListener('abort', end)
            resolve()
          }
          const timer = setTimeout(end, ms)
          signal.addEventListener('abort', end, { once: true })
          wake = end
        })
        wake = undefined
      }
      isGiven = false
    },
  }
}
