import { setTimeout as sleep } from 'node:timers/promises'
import {
  Client,
  credentials,
  type MethodDefinition,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
} from '@grpc/grpc-js'
import { atTestEnd } from './at-test-end.ts'
import { aggregatedMethod, type Protocol, type WireResponse } from './wire-client.ts'

/** Stands between an Envoy and a control plane, passes every message on as it is, and writes down what it saw. */
export interface WireTap {
  /** `127.0.0.1:PORT`: for the Envoy's bootstrap. */
  readonly server: string
  /** Every response of an aggregated stream so far, in the order in which the control plane sent them. */
  readonly responses: readonly WireResponse[]
}

export interface WireTapOptions {
  /** The control plane, `127.0.0.1:PORT`. */
  readonly server: string
  /** For how long each message is held up, in each direction: half of a round trip. 0 by default. */
  readonly delayMs?: number
}

const asIs = (bytes: Buffer): Buffer => bytes

type Duplex = ServerDuplexStream<Buffer, Buffer>

/** For aggregated streams; closed at the test's end. */
export async function startWireTap({ server: target, delayMs = 0 }: WireTapOptions): Promise<WireTap> {
  const responses: WireResponse[] = []
  const client = new Client(target, credentials.createInsecure(), { 'grpc.enable_http_proxy': 0 })
  const server = new Server()
  for (const protocol of ['sotw', 'delta'] as const) addStream(server, client, protocol, responses, delayMs)
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    )
  })
  atTestEnd(() => {
    server.forceShutdown()
    client.close()
  })
  return { server: `127.0.0.1:${port}`, responses }
}

function addStream(
  server: Server,
  client: Client,
  protocol: Protocol,
  responses: WireResponse[],
  delayMs: number,
): void {
  const { path, readResponse } = aggregatedMethod(protocol)
  const method: MethodDefinition<Buffer, Buffer> = {
    path,
    requestStream: true,
    responseStream: true,
    requestSerialize: asIs,
    requestDeserialize: asIs,
    responseSerialize: asIs,
    responseDeserialize: asIs,
  }
  const handle = (call: Duplex): void => {
    const onwards = client.makeBidiStreamRequest(path, asIs, asIs)
    const [late, lateBack] = [delayed(delayMs), delayed(delayMs)]
    call.on('data', (bytes: Buffer) => late(() => onwards.write(bytes)))
    call.on('end', () => late(() => onwards.end()))
    call.on('cancelled', () => onwards.cancel())
    onwards.on('data', (bytes: Buffer) => {
      responses.push(readResponse(bytes))
      lateBack(() => call.write(bytes))
    })
    onwards.on('error', (error) => lateBack(() => call.emit('error', error)))
    onwards.on('end', () => lateBack(() => call.end()))
  }
  server.addService({ [protocol]: method }, { [protocol]: handle })
}

/** Runs what it is given so much later, in the order in which it was given. */
function delayed(ms: number): (act: () => void) => void {
  let last: Promise<void> = Promise.resolve()
  return (act) => {
    const due = sleep(ms)
    last = last.then(async () => {
      await due
      act()
    })
  }
}
