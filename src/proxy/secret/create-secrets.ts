import { ConfigRejection } from '../config/config-rejection.ts'
import { FieldReader, type JsonObject, type Read } from '../config/field-reader.ts'
import type { Discovery } from '../discovery/discovery.ts'
import type { StatScope } from '../stats/stat-store.ts'
import { readTlsCertificate, type TlsCertificate } from '../tls/tls-certificate.ts'
import { readValidationContext, type ValidationContext } from '../tls/validation-context.ts'
import type { Secrets } from './secrets.ts'

export interface SecretsDeps {
  readonly discovery: Discovery
  readonly stats: StatScope
  /** `static_resources.secrets` of the bootstrap. */
  readonly secrets: readonly JsonObject[]
}

/** @throws ConfigRejection where a secret of the bootstrap is none that this proxy takes. */
export function createSecrets({ discovery, stats, secrets }: SecretsDeps): Secrets {
  const statics = new Map(
    secrets.map((content): [string, Secret] => {
      const secret = FieldReader.read(content, readSecret)
      return [secret.name, secret]
    }),
  )

  const watch =
    <Content>(pick: (secret: Secret) => Content | undefined, what: string) =>
    ({ name, source }: Parameters<Secrets['watchCertificate']>[0], watcher: SecretWatcherOf<Content>) => {
      const give = (secret: Secret): void => {
        const content = pick(secret)
        if (content === undefined) throw new ConfigRejection(`secret ${name} holds no ${what}`)
        watcher.onSecret(content)
      }
      if (source === undefined) return giveStatic(statics.get(name), give, watcher)
      const scope = stats.scope(`sds.${name}.`)
      const watching = discovery.watch(
        'secret',
        name,
        {
          onResource: ({ content }) => give(FieldReader.read(content, readSecret)),
          onMissing: () => watcher.onMissing(),
        },
        { ...source, stats: scope },
      )
      return {
        cancel() {
          watching.cancel()
          scope.close()
        },
      }
    }

  return {
    watchCertificate: watch((secret) => secret.certificate, 'TLS certificate'),
    watchValidation: watch((secret) => secret.validation, 'validation context'),
    isStatic: (name) => statics.has(name),
  }
}

interface SecretWatcherOf<Content> {
  onSecret(content: Content): void
  onMissing(): void
}

function giveStatic(
  secret: Secret | undefined,
  give: (secret: Secret) => void,
  watcher: { onMissing(): void },
): { cancel(): void } {
  let isCancelled = false
  queueMicrotask(() => {
    if (isCancelled) return
    if (secret === undefined) watcher.onMissing()
    else give(secret)
  })
  return {
    cancel() {
      isCancelled = true
    },
  }
}

interface Secret {
  readonly name: string
  readonly certificate: TlsCertificate | undefined
  readonly validation: ValidationContext | undefined
}

/** `envoy.extensions.transport_sockets.tls.v3.Secret` */
const readSecret: Read<Secret> = (fields) => ({
  name: fields.string('name'),
  certificate: fields.message('tls_certificate', readTlsCertificate),
  validation: fields.message('validation_context', readValidationContext),
})
