import type { Headers } from '../http/headers.ts'
import type { Http1Options } from './http-protocol-options.ts'

/** How the body of a request is told from what follows it. */
export type BodyFraming = 'none' | 'length' | 'chunked' | 'raw'

/** The head of a request as it goes out, in latin1, and how its body has to be written. */
export function buildRequestHead(
  headers: Headers,
  {
    isEnd,
    upgrade,
    options,
  }: { readonly isEnd: boolean; readonly upgrade: string | undefined; readonly options: Http1Options },
): { readonly head: string; readonly framing: BodyFraming } {
  const method = headers.get(':method') ?? 'GET'
  const caseOf = options.headerCase === 'proper' ? properCase : asIs
  let fields = ''
  let hasLength = false
  const list = headers.flat
  for (let at = 0; at < list.length; at += 2) {
    const name = list[at] as string
    const value = list[at + 1] as string
    if (name.charCodeAt(0) === colon) {
      if (name === ':authority') fields += `${caseOf('host')}: ${value}\r\n`
      continue
    }
    if (isHop(name)) continue
    if (name === 'content-length') {
      // It says nothing of what an upgraded connection carries.
      if (upgrade !== undefined) continue
      hasLength = true
    }
    fields += `${caseOf(name)}: ${value}\r\n`
  }
  const line = `${method} ${targetOf(headers, method, options)} HTTP/1.1\r\n`
  if (upgrade !== undefined) {
    const kept = headers.get('connection') ?? 'upgrade'
    fields += `${caseOf('connection')}: ${kept}\r\n${caseOf('upgrade')}: ${upgrade}\r\n`
    return { head: `${line}${fields}\r\n`, framing: 'raw' }
  }
  if (method === 'CONNECT') return { head: `${line}${fields}\r\n`, framing: 'raw' }
  if (isEnd) {
    if (!hasLength && !isBodiless(method)) fields += `${caseOf('content-length')}: 0\r\n`
    return { head: `${line}${fields}\r\n`, framing: 'none' }
  }
  if (hasLength) return { head: `${line}${fields}\r\n`, framing: 'length' }
  return { head: `${line}${fields}${caseOf('transfer-encoding')}: chunked\r\n\r\n`, framing: 'chunked' }
}

/** Behind the last chunk: `0\r\n`, trailers, and an empty line. */
export function buildLastChunk(trailers: Headers | undefined, options: Http1Options): string {
  if (trailers === undefined || !options.hasTrailers) return '0\r\n\r\n'
  const caseOf = options.headerCase === 'proper' ? properCase : asIs
  let fields = ''
  for (const [name, value] of trailers) fields += `${caseOf(name)}: ${value}\r\n`
  return `0\r\n${fields}\r\n`
}

const colon = 58

function targetOf(headers: Headers, method: string, options: Http1Options): string {
  const authority = headers.get(':authority') ?? ''
  if (method === 'CONNECT') return authority
  const path = headers.get(':path') ?? '/'
  return options.sendsFullUrl ? `${headers.get(':scheme') ?? 'http'}://${authority}${path}` : path
}

/** What concerns only the connection that the request came on; an upgrade's are written anew. */
function isHop(name: string): boolean {
  switch (name) {
    case 'connection':
    case 'host':
    case 'keep-alive':
    case 'proxy-connection':
    case 'transfer-encoding':
    case 'upgrade':
      return true
    default:
      return false
  }
}

/** Of which nobody expects a body, so that its absence need not be told. */
function isBodiless(method: string): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'DELETE' || method === 'TRACE' || method === 'CONNECT'
}

const asIs = (name: string): string => name

/** `content-type` → `Content-Type` */
function properCase(name: string): string {
  return name.replace(/(^|[^a-zA-Z0-9])([a-z])/g, (_, before: string, letter: string) => before + letter.toUpperCase())
}
