/** A control plane that does nothing by itself: a test reads what a client asks, and says what is answered. */
import { fromBinary, fromJson, type JsonValue, toBinary, toJson } from '@bufbuild/protobuf'
import { Server, ServerCredentials, type ServerDuplexStream, status } from '@grpc/grpc-js'
import { loadEnvoyApi } from '../../src/resource/envoy-api.ts'
import { atTestEnd } from './at-test-end.ts'
import type { Protocol } from './wire-client.ts'

/** A message of the protocol in its JSON form, fields in snake case. */
export type Message = Readonly<Record<string, unknown>>

export interface FakeXdsServer {
  readonly port: number
  /** The next aggregated stream that a client opens, of either protocol. */
  nextStream(): Promise<FakeXdsStream>
  /** Ends all streams and connections, and listens no more. */
  stop(): Promise<void>
}

export interface FakeXdsStream {
  readonly protocol: Protocol
  /** The next request that was not yet taken. @throws Error when none comes in time, or the stream is over */
  next(): Promise<Message>
  /** Requests that came and were not taken. */
  readonly pending: readonly Message[]
  send(response: Message): void
  /** Ends it with `UNAVAILABLE`. */
  fail(): void
  readonly closed: Promise<void>
}

/** How long a test waits for what must come. */
const patienceMs = 5_000

const api = loadEnvoyApi()

const messages = { sotw: 'Discovery', delta: 'DeltaDiscovery' } as const

type Call = ServerDuplexStream<Buffer, Buffer>

/** Closed at the test's end. */
export async function startFakeXdsServer(port = 0): Promise<FakeXdsServer> {
  const server = new Server()
  const streams = createQueue<FakeXdsStream>('stream')
  const identity = (bytes: Buffer): Buffer => bytes
  const method = (name: string) => ({
    path: `/envoy.service.discovery.v3.AggregatedDiscoveryService/${name}`,
    requestStream: true,
    responseStream: true,
    requestSerialize: identity,
    requestDeserialize: identity,
    responseSerialize: identity,
    responseDeserialize: identity,
  })
  server.addService(
    { sotw: method('StreamAggregatedResources'), delta: method('DeltaAggregatedResources') },
    {
      sotw: (call: Call) => streams.add(streamOf('sotw', call)),
      delta: (call: Call) => streams.add(streamOf('delta', call)),
    },
  )
  const bound = await new Promise<number>((resolve, reject) =>
    server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, at) =>
      error ? reject(error) : resolve(at),
    ),
  )
  const stop = async (): Promise<void> => server.forceShutdown()
  atTestEnd(stop)
  return { port: bound, nextStream: () => streams.next(), stop }
}

function streamOf(protocol: Protocol, call: Call): FakeXdsStream {
  const requests = createQueue<Message>('request')
  const descOf = (what: 'Request' | 'Response') => {
    const name = `envoy.service.discovery.v3.${messages[protocol]}${what}`
    const desc = api.registry.getMessage(name)
    if (desc === undefined) throw new Error(`there is no ${name}`)
    return desc
  }
  const [requestDesc, responseDesc] = [descOf('Request'), descOf('Response')]
  const options = { registry: api.registry, useProtoFieldName: true }
  call.on('data', (bytes: Buffer) =>
    requests.add(toJson(requestDesc, fromBinary(requestDesc, bytes), options) as Message),
  )
  call.on('error', () => undefined)
  const closed = new Promise<void>((resolve) => {
    for (const event of ['end', 'close', 'cancelled']) call.on(event, () => resolve())
  })
  call.on('end', () => call.end())
  return {
    protocol,
    closed,
    next: () => requests.next(),
    pending: requests.waiting,
    send: (response) =>
      void call.write(Buffer.from(toBinary(responseDesc, fromJson(responseDesc, response as JsonValue, options)))),
    fail: () => void call.emit('error', { code: status.UNAVAILABLE, details: 'it was told to' }),
  }
}

interface Queue<T> {
  readonly waiting: readonly T[]
  add(item: T): void
  next(): Promise<T>
}

function createQueue<T>(what: string): Queue<T> {
  const waiting: T[] = []
  const takers: ((item: T) => void)[] = []
  return {
    waiting,
    add(item) {
      const taker = takers.shift()
      if (taker === undefined) waiting.push(item)
      else taker(item)
    },
    next() {
      const item = waiting.shift()
      if (item !== undefined) return Promise.resolve(item)
      return new Promise((resolve, reject) => {
        const take = (taken: T): void => {
          clearTimeout(timer)
          resolve(taken)
        }
        const timer = setTimeout(() => {
          takers.splice(takers.indexOf(take), 1)
          reject(new Error(`no ${what} within ${patienceMs} ms`))
        }, patienceMs)
        takers.push(take)
      })
    },
  }
}
