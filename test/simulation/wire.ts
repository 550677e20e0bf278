/**
 * The discovery envelopes as the virtual Envoy writes and reads them: a reader and a writer of its own, which share no
 * line with src/. Field numbers are those of envoy/service/discovery/v3/discovery.proto.
 */

/** What both protocols' responses hold. */
export interface Response {
  readonly version: string
  readonly typeUrl: string
  readonly nonce: string
  readonly resources: readonly WireResource[]
  /** Delta only. */
  readonly removed: readonly string[]
}

export interface WireResource {
  /** Of the wrapper; '' in SotW, where the message itself has it. */
  readonly name: string
  /** Of the wrapper; '' in SotW. */
  readonly version: string
  readonly aliases: readonly string[]
  readonly typeUrl: string
  /** Undefined in a wrapper without a body. */
  readonly value: Buffer | undefined
}

export interface SotwRequest {
  readonly node?: Buffer | undefined
  readonly typeUrl: string
  readonly version: string
  /** Encoded `resource_names`. */
  readonly names: Buffer
  readonly nonce: string
  readonly error?: string | undefined
}

export interface DeltaRequest {
  readonly node?: Buffer | undefined
  readonly typeUrl: string
  readonly subscribe: readonly string[]
  readonly unsubscribe: readonly string[]
  readonly initialVersions: ReadonlyMap<string, string>
  readonly nonce: string
  readonly error?: string | undefined
}

export function encodeNode(id: string, cluster: string): Buffer {
  return Buffer.concat([text(1, id), text(2, cluster), text(6, 'envoy')])
}

export function encodeNames(names: readonly string[]): Buffer {
  return Buffer.concat(names.map((name) => text(3, name)))
}

export function encodeSotw({ node, typeUrl, version, names, nonce, error }: SotwRequest): Buffer {
  const parts = [text(1, version), names, text(4, typeUrl), text(5, nonce)]
  if (node !== undefined) parts.push(field(2, node))
  if (error !== undefined) parts.push(field(6, status(error)))
  return Buffer.concat(parts)
}

export function encodeDelta(request: DeltaRequest): Buffer {
  const { node, typeUrl, subscribe, unsubscribe, initialVersions, nonce, error } = request
  const parts = [text(2, typeUrl), text(6, nonce)]
  if (node !== undefined) parts.push(field(1, node))
  for (const name of subscribe) parts.push(text(3, name))
  for (const name of unsubscribe) parts.push(text(4, name))
  for (const [name, version] of initialVersions) parts.push(field(5, Buffer.concat([text(1, name), text(2, version)])))
  if (error !== undefined) parts.push(field(7, status(error)))
  return Buffer.concat(parts)
}

const internalError = 13

function status(message: string): Buffer {
  return Buffer.concat([Buffer.from([1 << 3, internalError]), text(2, message)])
}

function text(number: number, value: string): Buffer {
  return value === '' ? Buffer.alloc(0) : field(number, Buffer.from(value))
}

function field(number: number, value: Buffer): Buffer {
  const head = [(number << 3) | 2]
  let left = value.length
  while (left > 127) {
    head.push((left & 127) | 128)
    left >>>= 7
  }
  head.push(left)
  return Buffer.concat([Buffer.from(head), value])
}

const decoded = new WeakMap<Buffer, Response>()

/** Reads each buffer once: many clients are sent the same one. */
export function decodeResponse(bytes: Buffer, isDelta: boolean): Response {
  let response = decoded.get(bytes)
  if (response === undefined) {
    response = isDelta ? readDelta(bytes) : readSotw(bytes)
    decoded.set(bytes, response)
  }
  return response
}

function readSotw(bytes: Buffer): Response {
  const [resources, found] = [[] as WireResource[], { version: '', typeUrl: '', nonce: '' }]
  for (const [number, value] of fieldsOf(bytes)) {
    if (number === 1) found.version = value.toString()
    else if (number === 2) resources.push({ name: '', version: '', aliases: [], ...readAny(value) })
    else if (number === 4) found.typeUrl = value.toString()
    else if (number === 5) found.nonce = value.toString()
  }
  return { ...found, resources, removed: [] }
}

function readDelta(bytes: Buffer): Response {
  const [resources, removed] = [[] as WireResource[], [] as string[]]
  const found = { version: '', typeUrl: '', nonce: '' }
  for (const [number, value] of fieldsOf(bytes)) {
    if (number === 1) found.version = value.toString()
    else if (number === 2) resources.push(readResource(value))
    else if (number === 4) found.typeUrl = value.toString()
    else if (number === 5) found.nonce = value.toString()
    else if (number === 6) removed.push(value.toString())
  }
  return { ...found, resources, removed }
}

function readResource(bytes: Buffer): WireResource {
  const found = { name: '', version: '', typeUrl: '', value: undefined as Buffer | undefined }
  const aliases: string[] = []
  for (const [number, value] of fieldsOf(bytes)) {
    if (number === 1) found.version = value.toString()
    else if (number === 2) Object.assign(found, readAny(value))
    else if (number === 3) found.name = value.toString()
    else if (number === 4) aliases.push(value.toString())
  }
  return { ...found, aliases }
}

function readAny(bytes: Buffer): { readonly typeUrl: string; readonly value: Buffer } {
  let [typeUrl, message] = ['', bytes.subarray(0, 0)]
  for (const [number, value] of fieldsOf(bytes)) {
    if (number === 1) typeUrl = value.toString()
    else if (number === 2) message = value
  }
  return { typeUrl, value: message }
}

/** The length-delimited fields; all others are skipped. */
function fieldsOf(bytes: Buffer): [number: number, value: Buffer][] {
  const fields: [number, Buffer][] = []
  let at = 0
  const varint = (): number => {
    let [value, scale] = [0, 1]
    for (;;) {
      const byte = bytes[at++]
      if (byte === undefined) throw new Error('the message is cut off')
      value += (byte & 127) * scale
      if (byte < 128) return value
      scale *= 128
    }
  }
  while (at < bytes.length) {
    const tag = varint()
    const kind = tag & 7
    if (kind === 0) varint()
    else if (kind === 2) {
      const length = varint()
      if (at + length > bytes.length) throw new Error('the message is cut off')
      fields.push([Math.floor(tag / 8), bytes.subarray(at, at + length)])
      at += length
    } else throw new Error(`wire type ${kind} has no place in a discovery response`)
  }
  return fields
}
