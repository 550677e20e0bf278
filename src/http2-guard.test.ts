import { once } from 'node:events'
import { type ClientHttp2Session, connect, constants, createServer, type ServerHttp2Session } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { atTestEnd } from '../test/support/at-test-end.ts'
import { guardClientSession, guardServerSession, guardStream } from './http2-guard.ts'

interface Pair {
  readonly client: ClientHttp2Session
  readonly server: ServerHttp2Session
}

async function startPair(): Promise<Pair> {
  const http2 = createServer()
  http2.on('session', guardServerSession)
  await new Promise<void>((resolve) => http2.listen(0, '127.0.0.1', resolve))
  const client = connect(`http://127.0.0.1:${(http2.address() as AddressInfo).port}`)
  guardClientSession(client)
  client.on('error', () => undefined)
  const [server] = (await once(http2, 'session')) as [ServerHttp2Session]
  server.on('error', () => undefined)
  atTestEnd(() => {
    client.destroy()
    server.destroy()
    http2.close()
  })
  return { client, server }
}

function ask({ client }: Pair, path: string): Promise<number | string> {
  const stream = client.request({ ':path': path })
  guardStream(stream)
  return new Promise((resolve) => {
    stream.once('response', (headers) => {
      stream.resume()
      stream.once('close', () => resolve(Number(headers[':status'])))
    })
    stream.once('error', () => resolve(`reset ${stream.rstCode}`))
  })
}

test('a session that is closed answers what was asked of it, takes nothing more, and ends', async () => {
  const pair = await startPair()
  const { client, server } = pair
  const closings: string[] = []
  let answer = (): void => undefined
  server.on('stream', (stream) => {
    server.close(() => closings.push('first'))
    server.close(() => closings.push('second'))
    answer = () => stream.respond({ ':status': 200 }, { endStream: true })
  })
  const [goAway, gone, asked] = [once(client, 'goaway'), once(server, 'close'), ask(pair, '/')]
  const [code] = await goAway
  expect(code).toBe(constants.NGHTTP2_NO_ERROR)
  expect(() => client.request({ ':path': '/' })).toThrow(/GOAWAY/)
  expect(server.destroyed).toBe(false)
  answer()
  expect(await asked).toBe(200)
  await gone
  expect(closings).toEqual(['first', 'second'])
})

test('a session that is closed while nothing is asked of it ends at once', async () => {
  const { client, server } = await startPair()
  const gone = Promise.all([once(client, 'close'), once(server, 'close')])
  server.close()
  await gone
  expect(server.destroyed).toBe(true)
})

test('a stream ends as it was told to, but not from within its own event', async () => {
  const pair = await startPair()
  const seen: unknown[] = []
  pair.server.on('stream', (stream, headers) => {
    stream.on('error', () => undefined)
    if (headers[':path'] === '/close') stream.close(constants.NGHTTP2_REFUSED_STREAM)
    else if (headers[':path'] === '/cancel') stream.close(constants.NGHTTP2_CANCEL)
    else stream.destroy(new Error('no'))
    seen.push(stream.closed || stream.destroyed)
  })
  expect(await ask(pair, '/close')).toBe(`reset ${constants.NGHTTP2_REFUSED_STREAM}`)
  expect(await ask(pair, '/destroy')).toBe(`reset ${constants.NGHTTP2_INTERNAL_ERROR}`)
  // Node waits itself.
  const cancelled = pair.client.request({ ':path': '/cancel' })
  await once(cancelled, 'close')
  expect(cancelled.rstCode).toBe(constants.NGHTTP2_CANCEL)
  expect(seen).toEqual([false, false, true])
})

test('a session that is destroyed ends its streams, but not from within an event of it', async () => {
  const pair = await startPair()
  let isEnded: boolean | undefined
  pair.server.on('stream', (stream) => {
    stream.on('error', () => undefined)
    pair.server.destroy()
    isEnded = pair.server.destroyed
  })
  const gone = once(pair.client, 'close')
  expect(await Promise.race([ask(pair, '/'), gone.then(() => 'gone')])).not.toBe(200)
  await gone
  expect(isEnded).toBe(false)
  expect(pair.server.destroyed).toBe(true)
})
