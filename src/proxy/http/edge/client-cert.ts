import type { FieldReader } from '../../config/field-reader.ts'
import type { DownstreamConnection, PeerCertificate } from '../../network/network-filter.ts'
import type { Headers } from '../headers.ts'

/** What becomes of `x-forwarded-client-cert`. */
export interface ClientCertPolicy {
  readonly forwards: 'SANITIZE' | 'FORWARD_ONLY' | 'APPEND_FORWARD' | 'SANITIZE_SET' | 'ALWAYS_FORWARD_ONLY'
  /** Beside the hash: what is told of the client's certificate. */
  readonly tells: ReadonlySet<'subject' | 'cert' | 'dns' | 'uri'>
}

export function readClientCertPolicy(fields: FieldReader): ClientCertPolicy {
  const details = fields.message('set_current_client_cert_details', (set) =>
    (['subject', 'cert', 'dns', 'uri'] as const).filter((name) => set.flag(name)),
  )
  return {
    forwards: fields.choice('forward_client_cert_details', [
      'SANITIZE',
      'FORWARD_ONLY',
      'APPEND_FORWARD',
      'SANITIZE_SET',
      'ALWAYS_FORWARD_ONLY',
    ]),
    tells: new Set(details),
  }
}

const header = 'x-forwarded-client-cert'

/** Without a certificate of the client's nothing is told, and nothing that the client says of one is believed. */
export function forwardClientCert(
  request: Headers,
  { tls }: DownstreamConnection,
  { forwards, tells }: ClientCertPolicy,
): void {
  if (forwards === 'ALWAYS_FORWARD_ONLY') return
  const peer = tls?.peer
  if (forwards === 'SANITIZE' || peer === undefined) {
    request.remove(header)
    return
  }
  if (forwards === 'FORWARD_ONLY') return
  const own = describe(peer, tells)
  const before = forwards === 'APPEND_FORWARD' ? request.get(header) : undefined
  request.set(header, before === undefined ? own : `${before},${own}`)
}

function describe(peer: PeerCertificate, tells: ClientCertPolicy['tells']): string {
  const parts = [`Hash=${peer.sha256}`]
  if (tells.has('cert')) parts.push(`Cert="${encodeURIComponent(peer.pem)}"`)
  if (tells.has('subject')) parts.push(`Subject="${peer.subject}"`)
  if (tells.has('uri')) parts.push(...orEmpty(peer.uriNames).map((name) => `URI=${name}`))
  if (tells.has('dns')) parts.push(...peer.dnsNames.map((name) => `DNS=${name}`))
  return parts.join(';')
}

/** The key is there even where there is no such name. */
const orEmpty = (names: readonly string[]): readonly string[] => (names.length === 0 ? [''] : names)
