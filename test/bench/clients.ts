/**
 * A fleet in a process of its own: every client has a connection and an aggregated stream, asks as Envoy does (clusters,
 * then their endpoints; listeners, then their routes) and ACKs every response.
 */
import { Client, type ClientDuplexStream, credentials, Metadata } from '@grpc/grpc-js'
import { adsMethods } from './ads-methods.ts'
import { answer } from './answer.ts'
import { ackOf, firstRequest, type Protocol, readResponse } from './envelope.ts'
import { askedNames, clusterType, endpointType, listenerType, routeType } from './services.ts'

/** What a client asks for next, when it has a first answer. */
const nextType: Readonly<Record<string, string>> = {
  [clusterType]: endpointType,
  [listenerType]: routeType,
}

/** A fleet: which server, which protocol, of how many services. */
export interface FleetOptions {
  readonly port: number
  readonly protocol: Protocol
  readonly services: number
}

interface Fleet {
  readonly options: FleetOptions
  readonly clients: Set<{ readonly client: Client; readonly call: ClientDuplexStream<Buffer, Buffer> }>
  readonly firstRequests: ReadonlyMap<string, Buffer>
  /** Names by type. */
  readonly names: Readonly<Record<string, readonly string[]>>
  /** Responses are shared, and so are their ACKs. */
  readonly acks: Map<string, Buffer>
  /** Of each client, from its connection to its first answer, in milliseconds. */
  firstAnswers: number[]
}

const fleets = new Map<number, Fleet>()
let lastClient = 0
const failures: string[] = []

function connect(fleet: Fleet): void {
  const { protocol, port } = fleet.options
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), {
    'grpc.max_receive_message_length': -1,
    // One connection per client, as every Envoy has its own.
    'grpc.use_local_subchannel_pool': 1,
    'grpc.enable_http_proxy': 0,
    'grpc.enable_channelz': 0,
  })
  const { path, requestSerialize, responseDeserialize } = adsMethods[protocol]
  const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, new Metadata())
  const member = { client, call }
  fleet.clients.add(member)
  const answered = new Set<string>()
  const connectedAt = performance.now()
  call.on('error', (error: Error) => {
    if (fleet.clients.has(member)) failures.push(error.message)
  })
  call.on('data', (bytes: Buffer) => {
    const response = readResponse(bytes)
    if (answered.size === 0) fleet.firstAnswers.push(performance.now() - connectedAt)
    const { typeUrl, nonce } = response
    const key = `${typeUrl} ${nonce}`
    let ack = fleet.acks.get(key)
    if (ack === undefined) {
      if (fleet.acks.size > 64) fleet.acks.clear()
      ack = ackOf(protocol, response, fleet.names[typeUrl] ?? [])
      fleet.acks.set(key, ack)
    }
    call.write(ack)
    const next = nextType[typeUrl]
    const isFirst = !answered.has(typeUrl)
    answered.add(typeUrl)
    if (!isFirst || next === undefined) return
    call.write(fleet.firstRequests.get(next) as Buffer)
  })
  call.write(firstRequest(protocol, clusterType, [], `envoy-${++lastClient}`))
  call.write(fleet.firstRequests.get(listenerType) as Buffer)
}

const commands = {
  /** Opens so many more clients of one server, all at once. */
  connect(wanted: FleetOptions & { readonly count: number }): void {
    const { port, protocol, services, count } = wanted
    let fleet = fleets.get(port)
    if (fleet === undefined) {
      const names = askedNames(services)
      const firstRequests = new Map(
        Object.entries(names).map(([typeUrl, asked]) => [typeUrl, firstRequest(protocol, typeUrl, asked, undefined)]),
      )
      fleet = { options: wanted, clients: new Set(), names, firstRequests, acks: new Map(), firstAnswers: [] }
      fleets.set(port, fleet)
    }
    for (let index = 0; index < count; index++) connect(fleet)
  },
  /** Closes every client of one server. */
  disconnect(port: number): void {
    const fleet = fleets.get(port)
    const members = fleet?.clients ?? new Set()
    if (fleet !== undefined) fleet.firstAnswers = []
    for (const member of members) {
      members.delete(member)
      member.call.cancel()
      member.client.close()
    }
  },
  /** Of the clients that connected since the last `disconnect`. */
  firstAnswers: (port: number): readonly number[] => fleets.get(port)?.firstAnswers ?? [],
  failures: (): readonly string[] => failures,
}

export type ClientsCommands = typeof commands

answer(commands)
