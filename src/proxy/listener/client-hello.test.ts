import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { connect } from 'node:tls'
import { describe, expect, it } from 'vitest'
import { readClientHello } from './client-hello.ts'

/** What Node's client says first. */
async function helloOf(options: object): Promise<Buffer> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', ...options })
  client.on('error', () => undefined)
  const [socket] = (await once(server, 'connection')) as [Socket]
  const [first] = (await once(socket, 'data')) as [Buffer]
  client.destroy()
  server.close()
  return first
}

describe('a ClientHello', () => {
  it('tells whom it is for and what it would speak', async () => {
    const hello = await helloOf({ servername: 'A.Example', ALPNProtocols: ['h2', 'http/1.1'] })
    expect(readClientHello(hello)).toEqual({ serverName: 'a.example', alpn: ['h2', 'http/1.1'] })
    for (let size = 0; size < hello.length; size++) expect(readClientHello(hello.subarray(0, size))).toBe('more')
  })

  it('may tell nothing', async () => {
    expect(readClientHello(await helloOf({ maxVersion: 'TLSv1.2' }))).toEqual({ serverName: '', alpn: [] })
  })

  it('may be cut over several records', async () => {
    const hello = await helloOf({ servername: 'a.example' })
    const body = hello.subarray(5)
    const records: Buffer[] = []
    for (let at = 0; at < body.length; at += 50) {
      const part = body.subarray(at, at + 50)
      records.push(Buffer.from([22, 3, 1, 0, part.length]), part)
    }
    expect(readClientHello(Buffer.concat(records))).toEqual({ serverName: 'a.example', alpn: [] })
  })

  it.each([
    ['plain text', Buffer.from('GET / HTTP/1.1\r\n')],
    ['another record', Buffer.from([23, 3, 3, 0, 1, 0])],
    ['another version', Buffer.from([22, 2, 0, 0, 1, 1])],
    ['another message', Buffer.from([22, 3, 1, 0, 4, 2, 0, 0, 0])],
    ['an empty record', Buffer.from([22, 3, 1, 0, 0])],
    ['lengths that go past the end', Buffer.from([22, 3, 1, 0, 8, 1, 0, 0, 4, 3, 3, 0, 0])],
  ])('is not %s', (_, bytes) => {
    expect(readClientHello(bytes)).toBe('none')
  })
})
