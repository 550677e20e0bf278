/**
 * What no server on the same grpc-js can do less than: it reads of each request the type and the nonce, and writes bytes
 * that it was given, as many as the product writes.
 */
import { Server, ServerCredentials, type ServerDuplexStream, type ServiceDefinition } from '@grpc/grpc-js'
import { adsMethods } from './ads-methods.ts'
import { answer } from './answer.ts'
import { type Protocol, readRequest, responseOfSize } from './envelope.ts'
import { giveHeapRoom } from './heap-room.ts'
import { type Counts, type Memory, Meter, type Usage } from './meter.ts'
import { endpointType } from './services.ts'

type Call = ServerDuplexStream<Buffer, Buffer>

giveHeapRoom()
const meter = new Meter()
const calls = new Set<Call>()
/** By type. */
const firstAnswers = new Map<string, Buffer>()
let pushSize = 0
let nonce = 1_000_000

function handle(protocol: Protocol): (call: Call) => void {
  return (call) => {
    calls.add(call)
    call.on('data', (bytes: Buffer) => {
      const request = readRequest(protocol, bytes)
      if (request.nonce !== '') return meter.noteAck()
      const body = firstAnswers.get(request.typeUrl)
      if (body !== undefined) call.write(body)
    })
    call.on('end', () => call.end())
    call.on('close', () => calls.delete(call))
    call.on('cancelled', () => calls.delete(call))
    call.on('error', () => calls.delete(call))
  }
}

const server = new Server({
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 600_000,
  'grpc.keepalive_permit_without_calls': 1,
  'grpc.max_receive_message_length': 64 * 1024 * 1024,
  'grpc.max_send_message_length': -1,
  'grpc-node.max_session_memory': Number.MAX_SAFE_INTEGER,
  'grpc.enable_channelz': 0,
})
server.addService({ sotw: adsMethods.sotw, delta: adsMethods.delta } as unknown as ServiceDefinition, {
  sotw: handle('sotw'),
  delta: handle('delta'),
})

const commands = {
  /** Gives the port. */
  listen: (): Promise<number> =>
    new Promise((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
        if (error === null) resolve(port)
        else reject(error)
      })
    }),
  /** How large the first answer of each type is. */
  setFirstSizes(sizes: Readonly<Record<string, number>>): void {
    for (const [typeUrl, size] of Object.entries(sizes)) firstAnswers.set(typeUrl, responseOfSize(typeUrl, '1', size))
  },
  setPushSize(size: number): void {
    pushSize = size
  },
  mark: (): void => meter.mark(),
  change(): void {
    const body = responseOfSize(endpointType, String(++nonce), pushSize)
    for (const call of calls) call.write(body)
  },
  until: (acks: number): Promise<Usage> => meter.until(acks),
  memory: (): Promise<Memory> => meter.memory(),
  peakBytes: (): number => process.resourceUsage().maxRSS * 1024,
  counts: (): Counts => ({ streams: calls.size, nacks: 0 }),
  startProfile: (): Promise<void> => meter.startProfile(),
  stopProfile: (file: string): Promise<void> => meter.stopProfile(file),
}

export type FloorCommands = typeof commands

answer(commands)
