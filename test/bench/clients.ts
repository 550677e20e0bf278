/**
 * A fleet in a process of its own: every client has a connection and an aggregated stream, asks as Envoy does (clusters,
 * then their endpoints; listeners, then their routes) and ACKs every response.
 */
import { Client, type ClientDuplexStream, credentials, Metadata } from '@grpc/grpc-js'
import { adsMethods } from './ads-methods.ts'
import { answer } from './answer.ts'
import { type BenchMesh, benchMesh, type ClientOfMesh, type MeshShape } from './bench-mesh.ts'
import { ackOf, firstRequest, type Protocol, readResponse } from './envelope.ts'
import { clusterType, endpointType, listenerType, routeType } from './services.ts'

/** What a client asks for next, when it has a first answer. */
const nextType: Readonly<Record<string, string>> = {
  [clusterType]: endpointType,
  [listenerType]: routeType,
}

/** A fleet: which server, which protocol, of which mesh. */
export interface FleetOptions {
  readonly port: number
  readonly protocol: Protocol
  readonly mesh: MeshShape
  /** The number of its first client; 0 unless given. Where several processes are one fleet, each has its own. */
  readonly firstClient?: number
}

/** What clients that ask for the same ask, and answer. */
interface Asking {
  readonly names: ClientOfMesh['names']
  readonly firstRequests: ReadonlyMap<string, Buffer>
  /** Responses are shared, and so are their ACKs. */
  readonly acks: Map<string, Buffer>
}

interface Fleet {
  readonly options: FleetOptions
  readonly clients: Set<{ readonly client: Client; readonly call: ClientDuplexStream<Buffer, Buffer> }>
  readonly mesh: BenchMesh
  /** By the names that are asked for. */
  readonly askings: Map<ClientOfMesh['names'], Asking>
  /** The number of the next client. */
  connected: number
  /** Of each client, from its connection to its first answer, in milliseconds. */
  firstAnswers: number[]
}

const fleets = new Map<number, Fleet>()
const failures: string[] = []

function askingOf({ options, askings }: Fleet, names: ClientOfMesh['names']): Asking {
  const known = askings.get(names)
  if (known !== undefined) return known
  const firstRequests = new Map(
    Object.entries(names).map(([type, asked]) => [type, firstRequest(options.protocol, type, asked, undefined)]),
  )
  const asking: Asking = { names, firstRequests, acks: new Map() }
  askings.set(names, asking)
  return asking
}

function connect(fleet: Fleet): void {
  const { protocol, port } = fleet.options
  const { node, names } = fleet.mesh.client(fleet.connected++)
  const { firstRequests, acks } = askingOf(fleet, names)
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), {
    'grpc.max_receive_message_length': -1,
    // One connection per client, as every Envoy has its own.
    'grpc.use_local_subchannel_pool': 1,
    'grpc.enable_http_proxy': 0,
    'grpc.enable_channelz': 0,
  })
  const { path, requestSerialize, responseDeserialize } = adsMethods[protocol]
  // As an Envoy does: where thousands come at once, a connection may take a second try.
  const metadata = new Metadata({ waitForReady: true })
  const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, metadata)
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
    let ack = acks.get(key)
    if (ack === undefined) {
      if (acks.size > 64) acks.clear()
      ack = ackOf(protocol, response, names[typeUrl] ?? [])
      acks.set(key, ack)
    }
    call.write(ack)
    const next = nextType[typeUrl]
    const isFirst = !answered.has(typeUrl)
    answered.add(typeUrl)
    if (!isFirst || next === undefined) return
    call.write(firstRequests.get(next) as Buffer)
  })
  call.write(firstRequest(protocol, clusterType, [], node))
  call.write(firstRequests.get(listenerType) as Buffer)
}

const commands = {
  /** Opens so many more clients of one server, all at once. */
  connect(wanted: FleetOptions & { readonly count: number }): void {
    const { port, mesh, count, firstClient = 0 } = wanted
    let fleet = fleets.get(port)
    if (fleet === undefined) {
      fleet = {
        options: wanted,
        clients: new Set(),
        mesh: benchMesh(mesh),
        askings: new Map(),
        connected: firstClient,
        firstAnswers: [],
      }
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
