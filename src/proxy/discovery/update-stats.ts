import type { StatScope } from '../stats/stat-store.ts'

/** How a subscription fares, by Envoy's names. */
export interface UpdateStats {
  /** It was asked for. */
  begun(): void
  taken(version: string): void
  refused(): void
  /** The stream broke. */
  failed(): void
  timedOut(): void
}

export function createUpdateStats(scope: StatScope): UpdateStats {
  const attempts = scope.counter('update_attempt')
  const successes = scope.counter('update_success')
  const rejections = scope.counter('update_rejected')
  const failures = scope.counter('update_failure')
  const timeouts = scope.counter('init_fetch_timeout')
  const versionText = scope.text('version_text')
  return {
    begun: () => attempts.add(),
    taken(version) {
      successes.add()
      attempts.add()
      versionText.set(version)
    },
    refused() {
      rejections.add()
      attempts.add()
    },
    failed() {
      failures.add()
      attempts.add()
    },
    timedOut: () => timeouts.add(),
  }
}

export const noUpdateStats: UpdateStats = {
  begun: () => undefined,
  taken: () => undefined,
  refused: () => undefined,
  failed: () => undefined,
  timedOut: () => undefined,
}
