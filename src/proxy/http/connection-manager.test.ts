import { Agent, createServer, type IncomingMessage, type RequestListener, request } from 'node:http'
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2'
import { type AddressInfo, connect } from 'node:net'
import { describe, expect, test } from 'vitest'
import { atTestEnd } from '../../../test/support/at-test-end.ts'
import { type ManagerBed, startManagerBed } from '../../../test/support/http-manager-bed.ts'
import { createBedCluster } from '../../../test/support/proxy-bed.ts'
import type { JsonObject } from '../config/field-reader.ts'

interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

interface Asked {
  readonly path?: string
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

/** An upstream that says what it was asked. */
async function startUpstream(listener?: RequestListener): Promise<number> {
  const echo: RequestListener = (message, response) => {
    let body = ''
    message.on('data', (chunk: Buffer) => {
      body += chunk
    })
    message.on('end', () => {
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify({ method: message.method, path: message.url, headers: message.headers, body }))
    })
  }
  const server = createServer({ keepAliveTimeout: 0 }, listener ?? echo)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  atTestEnd(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

async function startBed(config: JsonObject = {}, listener?: RequestListener): Promise<ManagerBed> {
  const port = await startUpstream(listener)
  return startManagerBed({ config, clusters: (context) => [createBedCluster(context, port)] })
}

const agent = new Agent({ keepAlive: true })
atTestEnd(() => agent.destroy())

function ask(bed: ManagerBed, { path = '/', method = 'GET', headers = {}, body = '' }: Asked = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request({ port: bed.port, host: '127.0.0.1', path, method, headers, agent }, (response) => {
      read(response).then(
        (text) =>
          resolve({
            status: response.statusCode as number,
            headers: response.headers as Record<string, string>,
            body: text,
          }),
        reject,
      )
    })
    asked.on('error', reject)
    asked.end(body)
  })
}

async function read(response: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of response) text += String(chunk)
  return text
}

function openHttp2(bed: ManagerBed): ClientHttp2Session {
  const session = connectHttp2(`http://127.0.0.1:${bed.port}`)
  session.on('error', () => undefined)
  atTestEnd(() => session.destroy())
  return session
}

function askHttp2(session: ClientHttp2Session, { path = '/', method = 'GET', headers = {}, body = '' }: Asked = {}) {
  return new Promise<Answer>((resolve, reject) => {
    const stream = session.request({ ':path': path, ':method': method, ...headers }, { endStream: body === '' })
    let found: Record<string, string> = {}
    let text = ''
    stream.on('response', (response) => {
      found = response as Record<string, string>
    })
    stream.setEncoding('utf8')
    stream.on('data', (chunk: string) => {
      text += chunk
    })
    stream.on('end', () => resolve({ status: Number(found[':status']), headers: found, body: text }))
    stream.on('error', reject)
    if (body !== '') stream.end(body)
  })
}

/** What comes back for bytes as they are, until the other side ends or nothing more is due. */
function raw(bed: ManagerBed, text: string, isEnough: (answer: string) => boolean = () => false): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(bed.port, '127.0.0.1', () => socket.write(text))
    let answer = ''
    socket.on('data', (chunk) => {
      answer += chunk
      if (isEnough(answer)) socket.destroy()
    })
    socket.on('close', () => resolve(answer))
    socket.on('error', reject)
  })
}

describe('a request', () => {
  test('goes to the upstream and its response comes back, in HTTP/1.1', async () => {
    const bed = await startBed()
    const answer = await ask(bed, { path: '/a?b=c', method: 'POST', body: 'hello' })
    expect(answer.status).toBe(200)
    expect(JSON.parse(answer.body)).toMatchObject({ method: 'POST', path: '/a?b=c', body: 'hello' })
    expect(answer.headers).toMatchObject({ server: 'envoy', 'content-type': 'application/json' })
    expect(answer.headers['x-envoy-upstream-service-time']).toMatch(/^\d+$/)
  })

  test('goes to the upstream and its response comes back, in HTTP/2', async () => {
    const bed = await startBed()
    const session = openHttp2(bed)
    const answers = await Promise.all(
      ['/a', '/b'].map((path) => askHttp2(session, { path, method: 'PUT', body: path })),
    )
    expect(answers.map(({ status }) => status)).toEqual([200, 200])
    expect(answers.map(({ body }) => JSON.parse(body))).toMatchObject([
      { method: 'PUT', path: '/a', body: '/a' },
      { method: 'PUT', path: '/b', body: '/b' },
    ])
  })

  test('that is sent ahead is answered in its turn', async () => {
    const bed = await startBed()
    const one = (path: string): string => `GET ${path} HTTP/1.1\r\nhost: a\r\n\r\n`
    const answer = await raw(bed, one('/a') + one('/b') + one('/c').replace('host', 'connection: close\r\nhost'))
    expect([...answer.matchAll(/"path":"(.*?)"/g)].map(([, path]) => path)).toEqual(['/a', '/b', '/c'])
  })
})
