import type { SecureContext } from 'node:tls'
import type { Secrets } from '../secret/secrets.ts'
import { buildClientContext } from '../tls/secure-context.ts'
import { type TlsMaterial, TlsMaterials } from '../tls/tls-material.ts'
import type { ValidationContext } from '../tls/validation-context.ts'
import type { UpstreamTransportConfig } from './transport-socket-config.ts'
import type { UpstreamTlsConfig } from './upstream-tls-config.ts'

/** What a new connection to an upstream speaks TLS with. */
export interface ClientTls {
  readonly context: SecureContext
  readonly validation: ValidationContext | undefined
}

/** The TLS of one cluster: each of its transport sockets with its own certificates, kept current. */
export class UpstreamTls {
  readonly #secrets: Secrets
  readonly #materials = new Map<UpstreamTlsConfig, TlsMaterials<ClientTls>>()

  constructor(secrets: Secrets) {
    this.#secrets = secrets
  }

  /** @throws ConfigRejection where what the configuration itself holds is of no use. */
  add(transport: UpstreamTransportConfig): Promise<void> {
    const config = tlsOf(transport)
    return config === undefined ? Promise.resolve() : this.#materialsOf(config).ready
  }

  /** Undefined while a secret is missing. */
  current(config: UpstreamTlsConfig): ClientTls | undefined {
    return this.#materialsOf(config).current
  }

  close(): void {
    for (const materials of this.#materials.values()) materials.close()
  }

  #materialsOf(config: UpstreamTlsConfig): TlsMaterials<ClientTls> {
    const known = this.#materials.get(config)
    if (known !== undefined) return known
    const created = new TlsMaterials(config.tls, this.#secrets, build)
    this.#materials.set(config, created)
    return created
  }
}

function build({ settings, certificates, validation }: TlsMaterial): ClientTls {
  return { context: buildClientContext(settings, certificates, validation), validation }
}

function tlsOf(transport: UpstreamTransportConfig): UpstreamTlsConfig | undefined {
  if (transport.kind === 'tls') return transport.tls
  return transport.kind === 'proxy_protocol' ? tlsOf(transport.inner) : undefined
}
