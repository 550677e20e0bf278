import { resourceTypes, type TypeUrl } from '../../resource/type-url.ts'

const maxLength = 500

/**
 * What a client says of a response that it rejected, fit for people (rule 102): without the resources that Envoy dumps
 * in it, which may hold keys, without any private key, and of bounded length. Of a secret only the reason is kept: what
 * the TLS library said, or else the last parenthesis.
 */
export function nackMessage(typeUrl: TypeUrl, message: string): string {
  const told = message.replace(privateKey, '***')
  const shown = typeUrl === resourceTypes.secret.typeUrl ? reasonAlone(told) : withoutDumps(told).trim()
  return shown.length <= maxLength ? shown : `${shown.slice(0, maxLength - 1)}…`
}

/** As PEM, to its end or that of the message: clients other than Envoy have messages of their own. */
const privateKey = /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g

/** Words in which neither a key nor a certificate has room. */
const tlsReasons: readonly RegExp[] = [
  /Failed to load [a-z ]{1,40} from <inline>(?:, Cause: error:[0-9a-f]{1,8}:[\w. ]{1,40}:OPENSSL_internal:\w{1,60})?/,
  /^Invalid path: \S{1,200}$/,
]

function reasonAlone(message: string): string {
  for (const reason of tlsReasons) {
    const [words] = reason.exec(message) ?? []
    if (words !== undefined) return words
  }
  return lastParenthesis(message) ?? 'rejected; the message is not shown, for it could hold the secret'
}

function lastParenthesis(message: string): string | undefined {
  const end = message.lastIndexOf(')')
  const start = message.lastIndexOf('(', end)
  return start === -1 || end < start ? undefined : message.slice(start + 1, end).split(')', 1)[0]
}

/**
 * A message as Envoy 1.38 and newer dump it within another text: a mark that differs from process to process
 * (`goo.gle/debugstr`, `goo.gle/debugproto`), and its fields in text form, a line each.
 */
const dump =
  /goo\.gle\/debug\w*\s*\n((?:[ \t]*(?:\w+: (?:"(?:[^"\\\n]|\\.)*"|-?[\d.][\w.+-]*|inf|nan|[A-Z][A-Z0-9_]*|true|false|\[REDACTED\])|(?:\w+|\[[^\]\n]+\]) \{|\})[ \t]*(?:\n|$))*)(?:: )?/g

/** Older ones: behind the failure, to the end. */
const dumpBehind = /(validation failed \(.*?\)):\s([\s\S]*)$/

export function withoutDumps(message: string): string {
  return message.replace(dump, '').replace(dumpBehind, '$1')
}

/** The text forms of messages that Envoy dumps in `message`, in order. */
export function dumpsIn(message: string): readonly string[] {
  const dumps = [...message.matchAll(dump)].map(([, text]) => text as string)
  const behind = dumpBehind.exec(message.replace(dump, ''))?.[2]
  return behind === undefined ? dumps : [...dumps, behind]
}
