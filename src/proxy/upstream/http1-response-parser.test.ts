import { describe, expect, it } from 'vitest'
import { Http1ResponseParser, type ResponseLimits } from './http1-response-parser.ts'

const usual: ResponseLimits = { maxHeaderBytes: 1000, maxHeaderCount: 10, allowsChunkedLength: false }

interface Read {
  readonly events: string[]
  readonly parser: Http1ResponseParser
  readonly error: string | undefined
}

/** What a response turns out to be, when it comes in pieces of so many bytes. */
function read(
  wire: string,
  { piece = wire.length, method = 'GET', isUpgrade = false, limits = usual, ends = false } = {},
): Read {
  const events: string[] = []
  let body = ''
  const flush = (): void => {
    if (body !== '') events.push(`body ${body}`)
    body = ''
  }
  const parser = new Http1ResponseParser(
    {
      onInterim: (headers) => events.push(`interim ${headers.flat.join('|')}`),
      onHeaders: (headers, isEnd) => events.push(`${isEnd ? 'whole' : 'headers'} ${headers.flat.join('|')}`),
      onBody: (chunk) => {
        body += chunk.toString('latin1')
      },
      onEnd: (trailers) => {
        flush()
        events.push(trailers === undefined ? 'end' : `end ${trailers.flat.join('|')}`)
      },
    },
    limits,
  )
  parser.expect(method, isUpgrade)
  const bytes = Buffer.from(wire, 'latin1')
  let error: string | undefined
  try {
    for (let at = 0; at < bytes.length; at += piece) parser.feed(bytes.subarray(at, at + piece))
    if (ends) parser.finish()
  } catch (thrown) {
    error = (thrown as Error).message
  }
  flush()
  return { events, parser, error }
}

const ok = 'HTTP/1.1 200 OK\r\n'

describe('a response', () => {
  const cases: readonly [
    what: string,
    wire: string,
    events: readonly string[],
    options?: Parameters<typeof read>[1],
  ][] = [
    ['with a length', `${ok}Content-Length: 3\r\n\r\nabc`, ['headers :status|200|content-length|3', 'body abc', 'end']],
    ['of no length', `${ok}content-length: 0\r\n\r\n`, ['whole :status|200|content-length|0', 'end']],
    [
      'in chunks',
      `${ok}transfer-encoding: Chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n`,
      ['headers :status|200', 'body abc0123456789', 'end'],
    ],
    [
      'in chunks with trailers',
      `${ok}transfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Sum: 1\r\ny:2\r\n\r\n`,
      ['headers :status|200', 'body a', 'end x-sum|1|y|2'],
    ],
    ['until the connection ends', `${ok}\r\nabc`, ['headers :status|200', 'body abc', 'end'], { ends: true }],
    ['to HEAD', `${ok}content-length: 5\r\n\r\n`, ['whole :status|200|content-length|5', 'end'], { method: 'HEAD' }],
    ['204', 'HTTP/1.1 204\r\ncontent-length: 0\r\n\r\n', ['whole :status|204', 'end']],
    ['304', 'HTTP/1.1 304 Not Modified\r\n\r\n', ['whole :status|304', 'end']],
    [
      'with a folded line',
      `${ok}a: b\r\n \tc\r\ncontent-length: 0\r\n\r\n`,
      ['whole :status|200|a|b c|content-length|0', 'end'],
    ],
    [
      'behind an interim one',
      `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 x\r\na: b\r\n\r\n${ok}content-length: 0\r\n\r\n`,
      ['interim :status|100', 'interim :status|103|a|b', 'whole :status|200|content-length|0', 'end'],
    ],
    [
      'that upgrades',
      'HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: ws\r\n\r\nraw',
      ['headers :status|101|connection|Upgrade|upgrade|ws', 'body raw', 'end'],
      { isUpgrade: true, ends: true },
    ],
    [
      'that does not upgrade',
      `${ok}content-length: 1\r\n\r\nx`,
      ['headers :status|200|content-length|1', 'body x', 'end'],
      { isUpgrade: true },
    ],
    ['to CONNECT', `${ok}\r\nraw`, ['headers :status|200', 'body raw', 'end'], { method: 'CONNECT', ends: true }],
    [
      'without what concerns the connection only',
      `${ok}Connection: close\r\nKeep-Alive: timeout=5\r\ncontent-length: 0\r\nx:   y \t\r\n\r\n`,
      ['whole :status|200|content-length|0|x|y', 'end'],
    ],
    [
      'with a length beside chunks, where that is allowed',
      `${ok}content-length: 9\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
      ['headers :status|200', 'end'],
      { limits: { ...usual, allowsChunkedLength: true } },
    ],
  ]
  it.each(cases)('%s', (_, wire, events, options = {}) => {
    expect(read(wire, options)).toMatchObject({ events, error: undefined })
    for (const piece of [1, 2, 3, 7])
      expect(read(wire, { ...options, piece })).toMatchObject({ events, error: undefined })
  })

  it.each([
    [`${ok}content-length: 0\r\n\r\n`, true],
    [`${ok}connection: close\r\ncontent-length: 0\r\n\r\n`, false],
    [`${ok}connection: foo, Close\r\ncontent-length: 0\r\n\r\n`, false],
    ['HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n', false],
    ['HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 0\r\n\r\n', true],
    [`${ok}\r\nabc`, false],
  ])('%j leaves the connection open: %s', (wire, keepsAlive) => {
    expect(read(wire).parser.keepsAlive).toBe(keepsAlive)
  })
})

describe('what is refused', () => {
  it.each([
    ['no status line', 'SSH-2.0-OpenSSH\r\n\r\n', 'http1.codec_error'],
    ['another version', 'HTTP/2.0 200 OK\r\n\r\n', 'http1.codec_error'],
    ['a status of two digits', 'HTTP/1.1 20 OK\r\n\r\n', 'http1.codec_error'],
    ['a name with a blank', `${ok}a : b\r\n\r\n`, 'http1.codec_error'],
    ['a folded line behind no other', 'HTTP/1.1 200 OK\r\n a: b\r\n\r\n', 'http1.codec_error'],
    ['no content with a length', 'HTTP/1.1 204 x\r\ncontent-length: 1\r\n\r\n', 'http1.content_length_not_allowed'],
    [
      'no content in chunks',
      'HTTP/1.1 204 x\r\ntransfer-encoding: chunked\r\n\r\n',
      'http1.transfer_encoding_not_allowed',
    ],
    ['a line without a colon', `${ok}abc\r\n\r\n`, 'http1.codec_error'],
    ['a control character', `${ok}a: \0b\r\n\r\n`, 'http1.codec_error'],
    ['a line feed alone', `${ok}a: b\nc: d\r\n\r\n`, 'http1.codec_error'],
    ['two lengths', `${ok}content-length: 1\r\ncontent-length: 2\r\n\r\n`, 'http1.invalid_content_length'],
    ['a length that is none', `${ok}content-length: +1\r\n\r\n`, 'http1.invalid_content_length'],
    [
      'a length beside chunks',
      `${ok}content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n`,
      'http1.content_length_and_chunked_not_allowed',
    ],
    ['another encoding', `${ok}transfer-encoding: gzip, chunked\r\n\r\n`, 'http1.invalid_transfer_encoding'],
    ['a chunk size that is none', `${ok}transfer-encoding: chunked\r\n\r\nxyz\r\n`, 'http1.codec_error'],
    ['a chunk that is longer than it says', `${ok}transfer-encoding: chunked\r\n\r\n1\r\nabc\r\n`, 'http1.codec_error'],
    ['too many headers', `${ok}${'a: b\r\n'.repeat(11)}\r\n`, 'http1.too_many_headers'],
    ['too long headers', `${ok}a: ${'b'.repeat(1001)}\r\n\r\n`, 'http1.headers_too_large'],
    ['204 with a length', 'HTTP/1.1 204\r\ncontent-length: 5\r\n\r\n', 'http1.content_length_not_allowed'],
    ['an upgrade that nobody asked for', 'HTTP/1.1 101 x\r\n\r\n', 'http1.invalid_upgrade'],
    ['more than was asked for', `${ok}content-length: 0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n`, 'http1.codec_error'],
  ])('%s', (_, wire, error) => {
    expect(read(wire).error).toBe(error)
    expect(read(wire, { piece: 1 }).error).toBe(error)
  })
})
