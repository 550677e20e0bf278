import { isGrpc } from '../route/route-match.ts'
import { grpcStatusOfHttp } from './grpc-status.ts'
import { Headers } from './headers.ts'
import type { LocalReply } from './http-filter.ts'

export interface LocalResponse {
  readonly headers: Headers
  /** Undefined where the response ends with its headers. */
  readonly text: string | undefined
}

/** An answer of this proxy's own. A gRPC client is told by status 200 and `grpc-status`, the body as its message. */
export function localResponse(request: Headers, reply: LocalReply): LocalResponse {
  const { body = '' } = reply
  if (isGrpc(request)) {
    const headers = Headers.of({
      ':status': '200',
      'content-type': 'application/grpc',
      'grpc-status': String(reply.grpcStatus ?? grpcStatusOfHttp(reply.status)),
    })
    if (body !== '') headers.append('grpc-message', percentEncoded(body))
    addAll(headers, reply.headers)
    return { headers, text: undefined }
  }
  const headers = Headers.of({ ':status': String(reply.status) })
  addAll(headers, reply.headers)
  if (body !== '') {
    headers.set('content-length', String(Buffer.byteLength(body)))
    if (!headers.has('content-type')) headers.append('content-type', 'text/plain')
  }
  const hasBody = body !== '' && request.get(':method') !== 'HEAD'
  return { headers, text: hasBody ? body : undefined }
}

function addAll(headers: Headers, more: Headers | undefined): void {
  if (more !== undefined) for (const [name, value] of more) headers.append(name, value)
}

/** As gRPC wants its messages: printable ASCII but for the percent sign stays. */
function percentEncoded(text: string): string {
  let encoded = ''
  for (const byte of Buffer.from(text)) {
    const isPlain = byte >= 32 && byte <= 126 && byte !== 37
    encoded += isPlain ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  }
  return encoded
}
