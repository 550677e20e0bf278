import { createPrivateKey } from 'node:crypto'

/** Finds pieces of secrets in whatever was written, in any of the encodings that something may have given them. */
export class LeakDetector {
  /** Which secret each piece is of. */
  readonly #pieces = new Map<string, string>()

  /**
   * @param name what a failing test calls it
   * @param secret a token, or a private key on an elliptic curve as PEM: of that only what no certificate shows, too
   */
  add(name: string, secret: string): void {
    const bytes = secret.includes('PRIVATE KEY') ? scalarOf(secret) : Buffer.from(secret)
    const written = inBase64(bytes)
    const forms = [bytes.toString('latin1'), bytes.toString('hex'), ...written]
    // PEM is base64 itself, and becomes that again as the bytes of a JSON field.
    forms.push(...written.flatMap((text) => inBase64(Buffer.from(text))))
    for (const form of forms) {
      for (let at = 0; at + pieceLength <= form.length; at++) this.#pieces.set(form.slice(at, at + pieceLength), name)
    }
  }

  /** Names of the secrets of which something stands in there. */
  foundIn(content: Uint8Array | string): readonly string[] {
    const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content
    const text = Buffer.from(bytes).toString('latin1')
    const found = new Set<string>()
    for (let at = 0; at + pieceLength <= text.length; at++) {
      const name = this.#pieces.get(text.slice(at, at + pieceLength))
      if (name !== undefined) found.add(name)
    }
    return [...found].sort()
  }
}

/** In characters: a line that is wrapped or cut still has one, and nothing else has one by chance. */
const pieceLength = 12

/** As they would read wherever in a longer text they stood. */
function inBase64(bytes: Buffer): string[] {
  return [0, 1, 2].map((shift) =>
    bytes.subarray(shift, shift + Math.floor((bytes.length - shift) / 3) * 3).toString('base64'),
  )
}

function scalarOf(pem: string): Buffer {
  const { d } = createPrivateKey(pem).export({ format: 'jwk' })
  if (d === undefined) throw new Error('no key on an elliptic curve')
  return Buffer.from(d, 'base64url')
}
