import { resourceTypes, type TypeUrl } from '../resource/type-url.ts'

const maxLength = 500

/**
 * What a client says of a response that it rejected, fit for people (rule 102): without the resource that Envoy dumps
 * behind a failed validation, which may hold keys, without any private key, and of bounded length. Of a secret only
 * the reason is kept: what the TLS library said, or else the last parenthesis.
 */
export function nackMessage(typeUrl: TypeUrl, message: string): string {
  const told = message.replace(privateKey, '***')
  const shown = typeUrl === resourceTypes.secret.typeUrl ? reasonAlone(told) : withoutDump(told)
  return shown.length <= maxLength ? shown : `${shown.slice(0, maxLength - 1)}…`
}

/** As PEM, to its end or that of the message: clients other than Envoy have messages of their own. */
const privateKey = /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g

/** Words in which no key has room. */
const tlsReason =
  /Failed to load [a-z ]{1,40} from <inline>, Cause: error:[0-9a-f]{1,8}:[\w. ]{1,40}:OPENSSL_internal:\w{1,60}/

function reasonAlone(message: string): string {
  const [reason] = tlsReason.exec(message) ?? []
  return (
    reason ?? /.*\(([^()]*)\)/s.exec(message)?.[1] ?? 'rejected; the message is not shown, for it could hold the secret'
  )
}

function withoutDump(message: string): string {
  return message.replace(/(validation failed \(.*?\)):\s[\s\S]*$/, '$1')
}

/** The clusters that Envoy names in `Error adding/updating cluster(s) a: …, b: …`, of those that were sent. */
export function rejectedNames(message: string, sent: Iterable<string>): string[] {
  if (!message.startsWith('Error adding/updating')) return []
  const rejected: string[] = []
  for (const name of sent) {
    const quoted = name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
    if (new RegExp(`(?:^|[\\s,(])${quoted}:`).test(message)) rejected.push(name)
  }
  return rejected
}
