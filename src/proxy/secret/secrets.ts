import type { ConfigSourceConfig } from '../config/config-source.ts'
import type { Watching } from '../discovery/discovery.ts'
import type { TlsCertificate } from '../tls/tls-certificate.ts'
import type { ValidationContext } from '../tls/validation-context.ts'

/** `envoy.extensions.transport_sockets.tls.v3.SdsSecretConfig`: read by `readSecretReference`. */
export interface SecretReference {
  readonly name: string
  /** Undefined: one of the bootstrap's `static_resources.secrets`. */
  readonly source: ConfigSourceConfig | undefined
}

export interface SecretWatcher<Content> {
  /**
   * It has come, or is another; soon after `watch…` has returned where it is known.
   * @throws ConfigRejection, and the secret is refused: what was there before stays in use.
   */
  onSecret(secret: Content): void
  /** The control plane says that there is none, or it has not come in time: nothing waits for it any longer. */
  onMissing(): void
}

/** The secrets of one proxy that are had by name: of its bootstrap, of its control plane (SDS), and of files. */
export interface Secrets {
  watchCertificate(reference: SecretReference, watcher: SecretWatcher<TlsCertificate>): Watching
  watchValidation(reference: SecretReference, watcher: SecretWatcher<ValidationContext>): Watching
  /** Whether a reference without a source names a secret that is there; where it does not, its owner is refused. */
  isStatic(name: string): boolean
}
