import type { AdsDiscovery } from './create-discovery.ts'

/** Of a bootstrap that names no control plane: nothing ever comes. */
export function createNoDiscovery(): AdsDiscovery {
  const missing = (watcher: { onMissing(): void }): { cancel(): void } => {
    let isCancelled = false
    queueMicrotask(() => {
      if (!isCancelled) watcher.onMissing()
    })
    return {
      cancel() {
        isCancelled = true
      },
    }
  }
  return {
    watchAll: (_type, watcher) => missing(watcher),
    watch: (_type, _name, watcher) => missing(watcher),
    pause: () => () => undefined,
    held: () => [],
    stall: () => undefined,
    resume: () => undefined,
    disconnect: () => undefined,
    close: () => undefined,
  }
}
