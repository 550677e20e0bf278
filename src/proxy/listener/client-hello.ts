/** What a TLS client asks for in its first message. */
export interface ClientHello {
  /** In lower case; empty where it names none. */
  readonly serverName: string
  readonly alpn: readonly string[]
}

/** Reads lengths and bytes from where it stands; reading past the end is `RangeError`. */
class Cursor {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length
  }

  number(size: 1 | 2 | 3): number {
    const value = this.#bytes.readUIntBE(this.#at, size)
    this.#at += size
    return value
  }

  take(count: number): Buffer {
    if (this.#at + count > this.#bytes.length) throw new RangeError('too short')
    this.#at += count
    return this.#bytes.subarray(this.#at - count, this.#at)
  }

  /** Behind its own length. */
  vector(size: 1 | 2 | 3): Buffer {
    return this.take(this.number(size))
  }
}

const handshakeRecord = 0x16
const clientHelloMessage = 1
const serverNameExtension = 0
const alpnExtension = 16

/**
 * Reads the ClientHello that a connection begins with: `more` where it is not whole yet, `none` where this is no TLS.
 */
export function readClientHello(bytes: Buffer): ClientHello | 'more' | 'none' {
  const message: Buffer[] = []
  let at = 0
  let length = 0
  // A message may be cut over several records.
  for (;;) {
    if (bytes.length > at && bytes[at] !== handshakeRecord) return 'none'
    if (bytes.length > at + 1 && bytes[at + 1] !== 3) return 'none'
    if (bytes.length < at + 5) return 'more'
    const end = at + 5 + bytes.readUInt16BE(at + 3)
    message.push(bytes.subarray(at + 5, Math.min(end, bytes.length)))
    length += Math.min(end, bytes.length) - at - 5
    if (length > 0 && Buffer.concat(message)[0] !== clientHelloMessage) return 'none'
    if (length >= 4) {
      const whole = Buffer.concat(message)
      const needed = whole.readUIntBE(1, 3)
      if (length >= 4 + needed) return parse(whole.subarray(4, 4 + needed))
    }
    if (bytes.length < end) return 'more'
    if (end === at + 5) return 'none'
    at = end
  }
}

function parse(body: Buffer): ClientHello | 'none' {
  try {
    const cursor = new Cursor(body)
    // Version and random.
    cursor.take(34)
    cursor.vector(1)
    cursor.vector(2)
    cursor.vector(1)
    if (cursor.isAtEnd) return { serverName: '', alpn: [] }
    return readExtensions(new Cursor(cursor.vector(2)))
  } catch (error) {
    if (error instanceof RangeError) return 'none'
    throw error
  }
}

function readExtensions(cursor: Cursor): ClientHello {
  let serverName = ''
  let alpn: readonly string[] = []
  while (!cursor.isAtEnd) {
    const type = cursor.number(2)
    const content = new Cursor(cursor.vector(2))
    if (type === serverNameExtension && !content.isAtEnd) serverName = readServerName(new Cursor(content.vector(2)))
    else if (type === alpnExtension) alpn = readProtocols(new Cursor(content.vector(2)))
  }
  return { serverName, alpn }
}

function readServerName(names: Cursor): string {
  while (!names.isAtEnd) {
    const isHostName = names.number(1) === 0
    const name = names.vector(2)
    if (isHostName) return name.toString('latin1').toLowerCase()
  }
  return ''
}

function readProtocols(list: Cursor): readonly string[] {
  const protocols: string[] = []
  while (!list.isAtEnd) protocols.push(list.vector(1).toString('latin1'))
  return protocols
}
