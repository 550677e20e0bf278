import type { X509Certificate } from 'node:crypto'
import type { Socket } from 'node:net'
import {
  createSecureContext,
  createServer,
  type SecureContext,
  type Server,
  type TLSSocket,
  type TlsOptions,
} from 'node:tls'
import { ConfigRejection } from '../config/config-rejection.ts'
import type { DownstreamTls as TlsInfo } from '../network/network-filter.ts'
import type { Secrets } from '../secret/secrets.ts'
import type { StatScope } from '../stats/stat-store.ts'
import { namesOf } from '../tls/certificate-names.ts'
import { checkMaterial, leafOf, secureContextOptions } from '../tls/secure-context.ts'
import type { TlsCertificate } from '../tls/tls-certificate.ts'
import { type TlsMaterial, TlsMaterials } from '../tls/tls-material.ts'
import type { TlsSettings } from '../tls/tls-settings.ts'
import type { ValidationContext } from '../tls/validation-context.ts'
import { sha256Of, verifyPeer } from '../tls/verify-peer.ts'
import { readClientHello } from './client-hello.ts'
import type { DownstreamTlsConfig } from './downstream-tls-config.ts'
import { FirstBytes } from './first-bytes.ts'
import type { InspectedConnection } from './listener-filter.ts'

/** What one version of certificates and CAs makes of connections. */
interface Built {
  readonly server: Server
  /** For clients that offer no protocol which is known: to them nothing is said of it. */
  readonly serverWithoutAlpn: Server
  readonly validation: ValidationContext | undefined
}

/** A client's connection behind the handshake. */
export interface SecuredConnection {
  readonly socket: TLSSocket
  readonly alpn: string | undefined
  readonly serverName: string
  readonly info: TlsInfo
}

/**
 * TLS of one filter chain, towards clients. Certificates that change are shown to new connections; those that are open go
 * on with what they have.
 */
export class DownstreamTls {
  readonly #config: DownstreamTlsConfig
  readonly #stats: StatScope
  readonly #materials: TlsMaterials<Built>
  /** Who waits for the handshake, by the peer's address. */
  readonly #pending = new Map<string, (socket: TLSSocket) => void>()

  /** @throws ConfigRejection where a certificate that the configuration holds is of no use. */
  constructor(config: DownstreamTlsConfig, secrets: Secrets, stats: StatScope) {
    this.#config = config
    this.#stats = stats
    if (config.tls.certificates.length === 0 && config.tls.certificateSecrets.length === 0) {
      throw new ConfigRejection('No TLS certificates found for server context')
    }
    this.#materials = new TlsMaterials(config.tls, secrets, (material) => this.#build(material))
  }

  get ready(): Promise<void> {
    return this.#materials.ready
  }

  close(): void {
    this.#materials.close()
  }

  /** Undefined where nothing came of it; the socket is closed then. */
  async secure(socket: Socket, inspected: InspectedConnection): Promise<SecuredConnection | undefined> {
    const built = this.#materials.current
    if (built === undefined) {
      // A secret has not come: Envoy lets nobody in either.
      this.#stats.counter('server_ssl_socket_factory.downstream_context_secrets_not_ready').add()
      socket.destroy()
      return undefined
    }
    const { alpn } = this.#config.tls
    const offered = alpn.length === 0 ? [] : await offeredProtocols(socket, inspected)
    // Its client has gone, or closed its half, before there was anything to agree on.
    if (socket.destroyed || socket.readableEnded) {
      socket.destroy()
      return undefined
    }
    // Until hands are shaken nobody reads on behalf of a client that has closed its half.
    socket.allowHalfOpen = false
    const isAgreed = alpn.some((protocol) => offered.includes(protocol))
    const key = keyOf(socket)
    const secured = await new Promise<TLSSocket | undefined>((resolve) => {
      this.#pending.set(key, resolve)
      socket.once('close', () => resolve(undefined))
      const server = isAgreed ? built.server : built.serverWithoutAlpn
      server.emit('connection', socket)
    })
    this.#pending.delete(key)
    if (secured === undefined) return undefined
    secured.on('error', () => undefined)
    secured.allowHalfOpen = true
    return this.#check(secured, built.validation)
  }

  #check(socket: TLSSocket, validation: ValidationContext | undefined): SecuredConnection | undefined {
    const certificate = socket.getPeerX509Certificate()
    const { servername } = socket as TLSSocket & { readonly servername?: string | false }
    const serverName = typeof servername === 'string' ? servername.toLowerCase() : ''
    const fault =
      this.#config.requiresServerName && serverName === ''
        ? 'connection_error'
        : this.#faultOf(socket, certificate, validation)
    if (fault !== undefined) {
      this.#ssl(fault)
      socket.destroy()
      return undefined
    }
    this.#ssl('handshake')
    if (certificate === undefined) this.#ssl('no_certificate')
    if (socket.isSessionReused()) this.#ssl('session_reused')
    const version = socket.getProtocol() ?? ''
    const cipher = socket.getCipher().name
    this.#ssl(`versions.${version}`)
    this.#ssl(`ciphers.${cipher}`)
    return {
      socket,
      alpn: typeof socket.alpnProtocol === 'string' ? socket.alpnProtocol : undefined,
      serverName,
      info: { version, cipher, peer: certificate === undefined ? undefined : peerOf(certificate) },
    }
  }

  #faultOf(
    socket: TLSSocket,
    certificate: X509Certificate | undefined,
    validation: ValidationContext | undefined,
  ): string | undefined {
    if (certificate === undefined) {
      return this.#config.requiresClientCertificate ? 'fail_verify_no_cert' : undefined
    }
    return validation === undefined ? undefined : verifyPeer(socket, certificate, validation)
  }

  #build({ settings, certificates, validation }: TlsMaterial): Built {
    checkMaterial(settings, certificates, validation)
    const byName = new CertificatesByName(settings, certificates, validation)
    const { alpn } = settings
    const options: TlsOptions = {
      ...secureContextOptions(settings, byName.first, validation),
      SNICallback: (name, done) => done(null, byName.contextFor(name)),
      requestCert: this.#config.requiresClientCertificate || validation !== undefined,
      // Who comes without a certificate is told so by TLS itself. Otherwise it is decided behind the handshake, for Node
      // knows no exceptions.
      rejectUnauthorized: this.#config.requiresClientCertificate && !isLenient(validation),
      ...(this.#config.sessionTimeoutMs !== undefined && { sessionTimeout: this.#config.sessionTimeoutMs / 1000 }),
      // Envoy knows none but `transport_socket_connect_timeout`.
      handshakeTimeout: 2 ** 31 - 1,
    }
    const serverWithoutAlpn = this.#createServer(options)
    const server =
      alpn.length === 0
        ? serverWithoutAlpn
        : this.#createServer({
            ...options,
            ALPNCallback: ({ protocols }) => alpn.find((protocol) => protocols.includes(protocol)),
          })
    return { server, serverWithoutAlpn, validation }
  }

  #createServer(options: TlsOptions): Server {
    const server = createServer(options)
    server.on('secureConnection', (socket) => this.#pending.get(keyOf(socket))?.(socket))
    server.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
      if (error.code === 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE') this.#ssl('fail_verify_no_cert')
      else this.#ssl(socket.authorizationError ? 'fail_verify_error' : 'connection_error')
      socket.destroy()
    })
    return server
  }

  #ssl(name: string): void {
    this.#stats.counter(`ssl.${name}`).add()
  }
}

/** Whether certificates are let in that Node would refuse. */
function isLenient(validation: ValidationContext | undefined): boolean {
  if (validation === undefined) return true
  const { trustedCa, usesSystemRoots, acceptsUntrusted, allowsExpired } = validation
  return (trustedCa === undefined && !usesSystemRoots) || acceptsUntrusted || allowsExpired
}

/** By ALPN; looked for where no listener filter has. */
async function offeredProtocols(socket: Socket, inspected: InspectedConnection): Promise<readonly string[]> {
  if (inspected.transportProtocol === 'tls') return inspected.applicationProtocols
  const first = new FirstBytes(socket)
  let hello = readClientHello(first.bytes)
  while (hello === 'more' && (await first.more())) hello = readClientHello(first.bytes)
  first.release()
  return typeof hello === 'string' ? [] : hello.alpn
}

/** Each certificate for the names in it; one for each kind of key may have the same name. */
class CertificatesByName {
  /** Shown to who asks for no name, or for one that none has. */
  readonly first: readonly TlsCertificate[]
  readonly #settings: TlsSettings
  readonly #validation: ValidationContext | undefined
  readonly #byName = new Map<string, TlsCertificate[]>()
  readonly #contexts = new Map<string, SecureContext>()

  constructor(
    settings: TlsSettings,
    certificates: readonly TlsCertificate[],
    validation: ValidationContext | undefined,
  ) {
    this.#settings = settings
    this.#validation = validation
    this.first = oneForEachKey(certificates)
    for (const certificate of certificates) {
      for (const name of dnsNamesOf(certificate)) {
        this.#byName.set(name, [...(this.#byName.get(name) ?? []), certificate])
      }
    }
  }

  contextFor(serverName: string): SecureContext | undefined {
    const name = serverName.toLowerCase()
    const wildcard = name.replace(/^[^.]+/, '*')
    const known = this.#byName.has(name) ? name : wildcard
    const certificates = this.#byName.get(known)
    // One certificate for all is what the server shows anyhow.
    if (certificates === undefined || (certificates.length === 1 && this.first.includes(certificates[0] as never))) {
      if (this.first.length <= 1) return undefined
    }
    if (certificates === undefined) return undefined
    const before = this.#contexts.get(known)
    if (before !== undefined) return before
    const context = createSecureContext(
      secureContextOptions(this.#settings, oneForEachKey(certificates), this.#validation),
    )
    this.#contexts.set(known, context)
    return context
  }
}

function dnsNamesOf(certificate: TlsCertificate): readonly string[] {
  const leaf = leafOf(certificate)
  if (leaf === undefined) return []
  const names = namesOf(leaf).flatMap(({ type, value }) => (type === 'DNS' ? value.toLowerCase() : []))
  if (names.length > 0) return names
  const [, common] = /^CN=(.*)$/m.exec(leaf.subject) ?? []
  return common === undefined ? [] : [common.toLowerCase()]
}

function oneForEachKey(certificates: readonly TlsCertificate[]): readonly TlsCertificate[] {
  const kinds = new Map<string, TlsCertificate>()
  for (const certificate of certificates) {
    const kind = leafOf(certificate)?.publicKey.asymmetricKeyType ?? 'bundle'
    if (!kinds.has(kind)) kinds.set(kind, certificate)
  }
  return [...kinds.values()]
}

function peerOf(certificate: X509Certificate): NonNullable<TlsInfo['peer']> {
  const names = namesOf(certificate)
  const valuesOf = (wanted: string): readonly string[] =>
    names.flatMap(({ type, value }) => (type === wanted ? value : []))
  return {
    // RFC 2253 puts the most specific first.
    subject: certificate.subject.split('\n').reverse().join(','),
    uriNames: valuesOf('URI'),
    dnsNames: valuesOf('DNS'),
    sha256: sha256Of(certificate),
    pem: certificate.toString(),
  }
}

/** While both are open no other connection has it. */
function keyOf({ remoteAddress, remotePort, localPort }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localPort}`
}
