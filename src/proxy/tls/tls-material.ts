import type { Watching } from '../discovery/discovery.ts'
import type { SecretReference, Secrets, SecretWatcher } from '../secret/secrets.ts'
import type { TlsCertificate } from './tls-certificate.ts'
import type { TlsSettings } from './tls-settings.ts'
import { mergeValidationContexts, noValidation, type ValidationContext } from './validation-context.ts'

/** What one end of TLS shows and checks by. */
export interface TlsMaterial {
  readonly settings: TlsSettings
  readonly certificates: readonly TlsCertificate[]
  /** Undefined: the peer is not looked at. */
  readonly validation: ValidationContext | undefined
}

/**
 * What is built of certificates and CAs, those of secrets among them: built anew when one is another, for connections
 * to come.
 */
export class TlsMaterials<Built> {
  readonly #settings: TlsSettings
  readonly #build: (material: TlsMaterial) => Built
  readonly #certificates = new Map<SecretReference, TlsCertificate | undefined>()
  readonly #watching: Watching[] = []
  #validation: ValidationContext | undefined
  #isValidationThere: boolean
  #built: Built | undefined
  readonly #awaited = new Set<SecretReference>()
  #resolveReady: () => void = () => undefined
  /** When all secrets have come, or are known not to. */
  readonly ready: Promise<void>

  /** @throws ConfigRejection of `build`, where no secret is waited for. */
  constructor(settings: TlsSettings, secrets: Secrets, build: (material: TlsMaterial) => Built) {
    this.#settings = settings
    this.#build = build
    this.#validation = settings.validation
    this.#isValidationThere = settings.validationSecret === undefined
    const { certificateSecrets, validationSecret } = settings
    for (const reference of certificateSecrets) this.#awaited.add(reference)
    if (validationSecret !== undefined) this.#awaited.add(validationSecret)
    this.ready = new Promise((resolve) => {
      this.#resolveReady = resolve
    })
    if (this.#awaited.size === 0) this.#rebuild()
    for (const reference of certificateSecrets) {
      this.#watching.push(secrets.watchCertificate(reference, this.#watcher(reference, this.#onCertificate)))
    }
    if (validationSecret !== undefined) {
      this.#watching.push(
        secrets.watchValidation(validationSecret, this.#watcher(validationSecret, this.#onValidation)),
      )
    }
    this.#settle()
  }

  /** Undefined while a secret has not come. */
  get current(): Built | undefined {
    return this.#built
  }

  close(): void {
    for (const watching of this.#watching) watching.cancel()
    this.#awaited.clear()
    this.#settle()
  }

  #watcher<Content>(
    reference: SecretReference,
    take: (reference: SecretReference, content: Content) => void,
  ): SecretWatcher<Content> {
    const arrive = (): void => {
      this.#awaited.delete(reference)
      this.#settle()
    }
    return {
      onSecret: (content) => {
        take(reference, content)
        arrive()
      },
      onMissing: arrive,
    }
  }

  readonly #onCertificate = (reference: SecretReference, certificate: TlsCertificate): void => {
    const before = this.#certificates.get(reference)
    this.#certificates.set(reference, certificate)
    try {
      this.#rebuild()
    } catch (error) {
      if (before === undefined) this.#certificates.delete(reference)
      else this.#certificates.set(reference, before)
      throw error
    }
  }

  readonly #onValidation = (_: SecretReference, secret: ValidationContext): void => {
    const before = { validation: this.#validation, isThere: this.#isValidationThere }
    this.#validation = mergeValidationContexts(this.#settings.validation ?? noValidation, secret)
    this.#isValidationThere = true
    try {
      this.#rebuild()
    } catch (error) {
      this.#validation = before.validation
      this.#isValidationThere = before.isThere
      throw error
    }
  }

  #rebuild(): void {
    const { certificates, certificateSecrets } = this.#settings
    const secret = certificateSecrets.flatMap((reference) => this.#certificates.get(reference) ?? [])
    const material = {
      settings: this.#settings,
      certificates: [...certificates, ...secret],
      validation: this.#validation,
    }
    // Built though another one is still to come: a bad one is refused when it arrives.
    const built = this.#build(material)
    if (secret.length === certificateSecrets.length && this.#isValidationThere) this.#built = built
  }

  #settle(): void {
    if (this.#awaited.size === 0) this.#resolveReady()
  }
}
