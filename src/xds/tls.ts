import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createSecureContext } from 'node:tls'
import { experimental, type ServerCredentials } from '@grpc/grpc-js'
import { ControlPlaneError, messageOf } from '../errors.ts'
import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'

/** PEM files of the xDS server. */
export interface TlsFiles {
  readonly cert: string
  readonly key: string
  /** Given: every client must show a certificate that this bundle vouches for. */
  readonly clientCa?: string
}

export interface TlsCredentials {
  readonly credentials: ServerCredentials
  /** Looks at the files now. Also done every `pollMs`. */
  reload(): void
  close(): void
}

interface TlsContent {
  readonly cert: Buffer
  readonly key: Buffer
  readonly ca: Buffer | undefined
}

type CertificateProvider = Parameters<typeof experimental.createCertificateProviderServerCredentials>[0]
type IdentityListener = Parameters<CertificateProvider['addIdentityCertificateListener']>[0]
type CaListener = Parameters<CertificateProvider['addCaCertificateListener']>[0]

/**
 * Server credentials that follow their files: a renewed certificate is used for new connections without a restart. A
 * pair that does not fit together (a certificate replaced before its key) is left alone until it does.
 * @throws ControlPlaneError `usage` when the files cannot be used at the start.
 */
export function createTlsCredentials(
  files: TlsFiles,
  deps: { readonly log: Log; readonly metrics?: Metrics; readonly pollMs?: number },
): TlsCredentials {
  let current = read(files)
  deps.metrics?.certificateExpiry.from(() => new Map([[{}, expiryOf(current)]]))
  const identityListeners = new Set<IdentityListener>()
  const caListeners = new Set<CaListener>()
  const identity = (): { certificate: Buffer; privateKey: Buffer } => ({
    certificate: current.cert,
    privateKey: current.key,
  })
  // In a moment: what grpc-js is told while it adds its listener it passes on to nobody, and drops every connection.
  const provider: CertificateProvider = {
    addIdentityCertificateListener(listener) {
      identityListeners.add(listener)
      queueMicrotask(() => {
        if (identityListeners.has(listener)) listener(identity())
      })
    },
    removeIdentityCertificateListener(listener) {
      identityListeners.delete(listener)
    },
    addCaCertificateListener(listener) {
      caListeners.add(listener)
      queueMicrotask(() => {
        if (caListeners.has(listener) && current.ca !== undefined) listener({ caCertificate: current.ca })
      })
    },
    removeCaCertificateListener(listener) {
      caListeners.delete(listener)
    },
  }
  let lastFailure = ''
  const reload = (): void => {
    let next: TlsContent
    try {
      next = read(files)
    } catch (error) {
      if (messageOf(error) !== lastFailure)
        deps.log.error({ error: messageOf(error) }, 'certificate not reloaded; the last good one serves')
      lastFailure = messageOf(error)
      return
    }
    lastFailure = ''
    if (next.cert.equals(current.cert) && next.key.equals(current.key) && isSame(next.ca, current.ca)) return
    current = next
    const { ca } = current
    if (ca !== undefined) for (const listener of caListeners) listener({ caCertificate: ca })
    for (const listener of identityListeners) listener(identity())
    deps.log.info({ cert: files.cert }, 'certificate reloaded')
  }
  const timer = setInterval(reload, deps.pollMs ?? 5000)
  timer.unref()
  const hasCa = files.clientCa !== undefined
  const credentials = experimental.createCertificateProviderServerCredentials(
    // grpc-js names its parameters the other way round than it uses them: the first is the identity.
    provider,
    hasCa ? provider : null,
    hasCa,
  )
  return { credentials, reload, close: () => clearInterval(timer) }
}

/** Of the server's own, which comes first; in seconds since 1970. */
const expiryOf = ({ cert }: TlsContent): number => Date.parse(new X509Certificate(cert).validTo) / 1000

function isSame(a: Buffer | undefined, b: Buffer | undefined): boolean {
  return a === b || (a !== undefined && b !== undefined && a.equals(b))
}

function read(files: TlsFiles): TlsContent {
  const content: TlsContent = {
    cert: readPem('--tls-cert', files.cert),
    key: readPem('--tls-key', files.key),
    ca: files.clientCa === undefined ? undefined : readPem('--tls-client-ca', files.clientCa),
  }
  try {
    createSecureContext({ cert: content.cert, key: content.key, ...(content.ca && { ca: content.ca }) })
  } catch (error) {
    const reason = messageOf(error).replace(/^error:[0-9A-F]+:/, '')
    throw new ControlPlaneError('usage', `${files.cert} and ${files.key} cannot be used together: ${reason}`)
  }
  return content
}

function readPem(option: string, path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (error) {
    throw new ControlPlaneError('usage', `${option} ${path} cannot be read: ${messageOf(error)}`)
  }
}
