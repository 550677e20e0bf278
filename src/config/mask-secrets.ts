/**
 * Makes a filter for the sentences `said` about `text`: no fragment of a private key that stands in the text, or of
 * another long piece of base64, passes. Broken YAML turns any line into a key, a name or a value, and those are quoted.
 */
export function createSecretMask(text: string, said: readonly string[]): (sentence: string) => string {
  const leaked = leakedPieces(secretsIn(text), said)
  return leaked.size === 0 ? (sentence) => sentence : (sentence) => mask(sentence, leaked)
}

/** In characters: less of a key is worth nothing, and less of it turns up in ordinary names. */
const pieceLength = 8

/** The pieces of `said` that stand in a secret. The secrets may be megabytes, and are gone through once. */
function leakedPieces(secrets: readonly string[], said: readonly string[]): ReadonlySet<string> {
  const pieces = new Set(said.flatMap(piecesOf))
  const leaked = new Set<string>()
  for (const secret of secrets) {
    for (const [, piece] of windows(secret)) if (pieces.has(piece)) leaked.add(piece)
  }
  return leaked
}

function* windows(text: string): Iterable<readonly [at: number, piece: string]> {
  for (let at = 0; at + pieceLength <= text.length; at++) yield [at, text.slice(at, at + pieceLength)]
}

function piecesOf(text: string): string[] {
  return Array.from(windows(text), ([, piece]) => piece).filter((piece) => onlyBase64.test(piece))
}

function mask(sentence: string, leaked: ReadonlySet<string>): string {
  let masked = ''
  let hiddenTo = 0
  let shownTo = 0
  for (const [at, piece] of windows(sentence)) {
    if (!leaked.has(piece)) continue
    if (at > hiddenTo || masked === '') masked += `${sentence.slice(shownTo, at)}***`
    hiddenTo = at + pieceLength
    shownTo = hiddenTo
  }
  return masked + sentence.slice(shownTo)
}

const onlyBase64 = /^[A-Za-z0-9+/=]+$/

/** Between its two markers everything is the key. */
const wholeKey = /BEGIN [A-Z0-9 ]*KEY[\s\S]{0,16384}?END [A-Z0-9 ]*KEY/g

const marker = /(?:BEGIN|END) [A-Z0-9 ]*KEY|PRIVATE/g

/** A key of 8192 bits is 6.4 kB of PEM. */
const reach = 8192

/** Where one marker is broken, what looks like a line of the key, or a part of one. */
const lineOfKey = /[A-Za-z0-9+/=]{16,}/g

/** Keys without PEM around them: `inline_bytes`, tokens. No name in Envoy's API has so many letters without a dot or underscore. */
const longRun = /[A-Za-z0-9+/=]{40,}/g

function secretsIn(text: string): string[] {
  const secrets = [...matches(text, wholeKey), ...matches(text, longRun)]
  let end = 0
  for (const { index } of text.matchAll(marker)) {
    if (index < end) continue
    end = index + reach
    secrets.push(...matches(text.slice(Math.max(0, index - reach), end), lineOfKey))
  }
  return secrets
}

function matches(text: string, pattern: RegExp): string[] {
  return Array.from(text.matchAll(pattern), ([match]) => match)
}
