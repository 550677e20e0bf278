import type { Counter, StatScope, Text } from '../stats/stat-store.ts'

/** How a subscription fares, by Envoy's names. There are as many as clusters. */
export class UpdateStats {
  readonly #attempts: Counter
  readonly #successes: Counter
  readonly #rejections: Counter
  readonly #failures: Counter
  readonly #timeouts: Counter
  readonly #versionText: Text

  constructor(scope: StatScope) {
    this.#attempts = scope.counter('update_attempt')
    this.#successes = scope.counter('update_success')
    this.#rejections = scope.counter('update_rejected')
    this.#failures = scope.counter('update_failure')
    this.#timeouts = scope.counter('init_fetch_timeout')
    this.#versionText = scope.text('version_text')
  }

  /** It was asked for. */
  begun(): void {
    this.#attempts.add()
  }

  taken(version: string): void {
    this.#successes.add()
    this.#attempts.add()
    this.#versionText.set(version)
  }

  refused(): void {
    this.#rejections.add()
    this.#attempts.add()
  }

  /** The stream broke. */
  failed(): void {
    this.#failures.add()
    this.#attempts.add()
  }

  timedOut(): void {
    this.#timeouts.add()
  }
}
