import {
  Client,
  credentials,
  status as grpcStatus,
  type handleUnaryCall,
  type MethodDefinition,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerWritableStream,
  type ServiceError,
} from '@grpc/grpc-js'
import { HealthImplementation, type ServingStatus } from 'grpc-health-check'
import { expect } from 'vitest'
import { atTestEnd } from '../../../support/at-test-end.ts'
import { eventually } from '../../../support/poll.ts'
import type { MeshCase } from '../suite.ts'
import { openEdge } from './open-shop.ts'
import { calm, route } from './shop-documents.ts'

const pass = (message: Buffer): Buffer => message

const method = (name: string, requestStream: boolean, responseStream: boolean): MethodDefinition<Buffer, Buffer> => ({
  path: `/shop.Echo/${name}`,
  requestStream,
  responseStream,
  requestSerialize: pass,
  requestDeserialize: pass,
  responseSerialize: pass,
  responseDeserialize: pass,
})

/** The four kinds of calls: one message or many, there and back. */
const echo = {
  one: method('One', false, false),
  gather: method('Gather', true, false),
  spread: method('Spread', false, true),
  chat: method('Chat', true, true),
}

export interface EchoServer {
  readonly port: number
  /** Calls of one message for one. */
  readonly calls: number
  /** To whoever checks its health. */
  tell(health: ServingStatus): void
}

/** Says what it is told; `one` fails with `fail`, where there is one. */
export async function startEchoServer(fail?: grpcStatus, health: ServingStatus = 'SERVING'): Promise<EchoServer> {
  const server = new Server()
  const checked = new HealthImplementation({ '': health })
  checked.addToServer(server)
  let calls = 0
  const one: handleUnaryCall<Buffer, Buffer> = ({ request }, done) => {
    calls += 1
    if (fail === undefined) done(null, request)
    else done({ code: fail, details: 'as it was told' })
  }
  server.addService(echo, {
    one,
    gather(call: ServerReadableStream<Buffer, Buffer>, done: (error: null, answer: Buffer) => void) {
      const heard: Buffer[] = []
      call.on('data', (message: Buffer) => heard.push(message))
      call.on('end', () => done(null, Buffer.concat(heard)))
    },
    spread(call: ServerWritableStream<Buffer, Buffer>) {
      for (const byte of call.request) call.write(Buffer.of(byte))
      call.end()
    },
    chat(call: ServerDuplexStream<Buffer, Buffer>) {
      call.on('data', (message: Buffer) => call.write(message))
      call.on('end', () => call.end())
    },
  })
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    )
  })
  atTestEnd(() => server.forceShutdown())
  return {
    port,
    get calls() {
      return calls
    },
    tell: (now) => checked.setStatus('', now),
  }
}

interface Caller {
  one(text: string): Promise<string>
  gather(...texts: readonly string[]): Promise<string>
  spread(text: string): Promise<readonly string[]>
  /** Says each when the one before has come back. */
  chat(...texts: readonly string[]): Promise<readonly string[]>
}

function callerOf(port: number): Caller {
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), { 'grpc.enable_http_proxy': 0 })
  atTestEnd(() => client.close())
  const answer = (call: (done: (error: ServiceError | null, value?: Buffer) => void) => void): Promise<string> =>
    new Promise((resolve, reject) => {
      call((error, value) => (error === null ? resolve(String(value)) : reject(error)))
    })
  const all = (stream: NodeJS.EventEmitter, onEach: (heard: number) => void = () => {}): Promise<readonly string[]> =>
    new Promise((resolve, reject) => {
      const heard: string[] = []
      stream.on('data', (message: Buffer) => {
        heard.push(message.toString())
        onEach(heard.length)
      })
      stream.on('error', reject)
      stream.on('end', () => resolve(heard))
    })
  return {
    one: (text) => answer((done) => client.makeUnaryRequest(echo.one.path, pass, pass, Buffer.from(text), done)),
    gather: (...texts) =>
      answer((done) => {
        const call = client.makeClientStreamRequest(echo.gather.path, pass, pass, done)
        for (const text of texts) call.write(Buffer.from(text))
        call.end()
      }),
    spread: (text) => all(client.makeServerStreamRequest(echo.spread.path, pass, pass, Buffer.from(text))),
    chat(first = '', ...others) {
      const call = client.makeBidiStreamRequest(echo.chat.path, pass, pass)
      call.write(Buffer.from(first))
      return all(call, (heard) => {
        const next = others[heard - 1]
        if (next === undefined) call.end()
        else call.write(Buffer.from(next))
      })
    },
  }
}

const service = (name: string, ...ports: readonly number[]): string => `kind: Service
name: ${name}
protocol: grpc
endpoints: [${ports.map((port) => `{address: 127.0.0.1, port: ${port}}`).join(', ')}]
${calm}`

export const grpcCases: readonly MeshCase[] = [
  {
    rows: ['F48', 'Y24'],
    name: 'calls of gRPC go through, of one message and of many, and an unavailable server is not the last word',
    needs: ['grpc', 'retry'],
    async run(bed) {
      const good = await startEchoServer()
      const bad = await startEchoServer(grpcStatus.UNAVAILABLE)
      const fickle = await startEchoServer(grpcStatus.CANCELLED)
      const rules = `
- {match: {grpc: {service: shop.Echo, method: One}}, backends: all, retry: {attempts: 4, retryOn: [unavailable, cancelled]}}
- {match: {grpc: shop.Echo}, backends: good}`
      const { proxy, port } = await openEdge(bed, {
        good: service('good', good.port),
        all: service('all', good.port, bad.port, fickle.port),
        shop: route('shop', rules),
      })
      const caller = callerOf(port)
      expect(await caller.gather('a', 'b', 'c')).toBe('abc')
      expect(await caller.spread('abc')).toEqual(['a', 'b', 'c'])
      expect(await caller.chat('a', 'b', 'c')).toEqual(['a', 'b', 'c'])
      for (let call = 0; call < 20; call++) expect(await caller.one(`call ${call}`)).toBe(`call ${call}`)
      expect(bad.calls).toBeGreaterThan(0)
      expect(fickle.calls).toBeGreaterThan(0)
      expect(await proxy.count({ retriesTo: 'all' })).toBe(bad.calls + fickle.calls)
      expect(await proxy.count('rejections')).toBe(0)
    },
  },
  {
    rows: ['F48', 'Y24'],
    name: 'a server of gRPC that says that it does not serve is asked nothing',
    needs: ['grpc'],
    async run(bed) {
      const [good, bad] = [await startEchoServer(), await startEchoServer(undefined, 'NOT_SERVING')]
      const check = 'healthCheck: {grpc: {}, interval: 200ms, timeout: 1s, unhealthyAfter: 1, healthyAfter: 1}\n'
      const { proxy, port } = await openEdge(bed, {
        checked: `${service('checked', good.port, bad.port)}${check}`,
        shop: route('shop', '- backends: checked'),
      })
      await eventually(async () => expect(await proxy.count({ healthyOf: 'checked' })).toBe(1), { timeoutMs: 15_000 })
      const caller = callerOf(port)
      const before = bad.calls
      for (let call = 0; call < 20; call++) expect(await caller.one(`call ${call}`)).toBe(`call ${call}`)
      expect(bad.calls).toBe(before)
      bad.tell('SERVING')
      await eventually(async () => expect(await proxy.count({ healthyOf: 'checked' })).toBe(2), { timeoutMs: 15_000 })
    },
  },
]
