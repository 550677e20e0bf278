/** At most so many at once: after a stop of this process Envoy would rightly refuse the crowd of all that is overdue. */
const mostAtOnce = 20

/**
 * Calls `send` so often a second, by elapsed time and not by ticks, so that the rate holds on a busy machine.
 * @returns what ends it
 */
export function startPace(rate: number, send: () => void): () => void {
  let lastMs = performance.now()
  let due = 0
  const ticker = setInterval(() => {
    const nowMs = performance.now()
    due = Math.min(due + ((nowMs - lastMs) / 1000) * rate, mostAtOnce)
    lastMs = nowMs
    for (; due >= 1; due -= 1) send()
  }, 5)
  return () => clearInterval(ticker)
}
