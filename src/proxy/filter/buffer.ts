import { Readable } from 'node:stream'
import type { FieldReader } from '../config/field-reader.ts'
import type { HttpFilterKind, HttpStream } from '../http/http-filter.ts'

/** 0: nothing is buffered here. */
type Limit = number

const readLimit = (fields: FieldReader): Limit => fields.number('max_request_bytes') ?? 0

/** Takes a request in whole before it goes on; one that is too large is refused with 413. */
export const bufferFilter: HttpFilterKind<Limit> = {
  type: 'envoy.extensions.filters.http.buffer.v3.Buffer',
  read: readLimit,
  perRoute: {
    'envoy.extensions.filters.http.buffer.v3.BufferPerRoute': (fields): Limit =>
      fields.flag('disabled') ? 0 : (fields.message('buffer', readLimit) ?? 0),
  },
  create(limit, name) {
    return () => ({
      async onRequest(stream) {
        const own = (stream.route()?.perFilter(name).at(-1) as Limit | undefined) ?? limit
        if (own === 0 || stream.body === undefined) return true
        const chunks = await readWhole(stream.body, own)
        if (chunks === 'too large') return refuse(stream)
        if (chunks === 'broken off') return false
        const body = Buffer.concat(chunks)
        if (!stream.request.has('content-length') && stream.requestTrailers() === undefined) {
          stream.request.set('content-length', `${body.length}`)
          stream.request.remove('transfer-encoding')
        }
        stream.body = Readable.from([body], { objectMode: false })
        return true
      },
    })
  },
}

function refuse(stream: HttpStream): false {
  // What is still to come is nobody's any more.
  stream.body?.resume()
  stream.reply({ status: 413, body: 'Payload Too Large', details: 'request_payload_too_large' })
  return false
}

function readWhole(body: Readable, limit: number): Promise<readonly Buffer[] | 'too large' | 'broken off'> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    let size = 0
    body.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size > limit) resolve('too large')
      else chunks.push(chunk)
    })
    body.once('end', () => resolve(chunks))
    body.once('error', () => resolve('broken off'))
    body.once('close', () => resolve('broken off'))
  })
}
