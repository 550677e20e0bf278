/** Frames of HTTP/2 by hand, to be sent in whatever order no library would send them. */

const kinds = { headers: 1, settings: 4, goAway: 7 } as const
const [endStream, endHeaders] = [1, 4]

function frame(kind: keyof typeof kinds, flags: number, id: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = kinds[kind]
  head[4] = flags
  head.writeUInt32BE(id, 5)
  return Buffer.concat([head, payload])
}

/** What a client says first. */
export const preface: Buffer = Buffer.concat([
  Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  frame('settings', 0, 0, Buffer.alloc(0)),
])

export function goAway(code = 0): Buffer {
  const payload = Buffer.alloc(8)
  payload.writeUInt32BE(code, 4)
  return frame('goAway', 0, 0, payload)
}

/** A whole GET, without compression. */
export function get(id: number, authority: string, path: string): Buffer {
  // Those of HPACK's own table: `:method: GET`, `:scheme: http`.
  const block = [Buffer.from([0x82, 0x86]), literal(':authority', authority), literal(':path', path)]
  return frame('headers', endStream | endHeaders, id, Buffer.concat(block))
}

const literal = (name: string, value: string): Buffer =>
  Buffer.concat([Buffer.from([0, name.length]), Buffer.from(name), Buffer.from([value.length]), Buffer.from(value)])
