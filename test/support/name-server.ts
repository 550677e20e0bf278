import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { atTestEnd } from './at-test-end.ts'

/** A name server of one test, on 127.0.0.1, by UDP. */
export interface NameServer {
  readonly port: number
  /** What a name leads to from now on: IPv4 addresses. */
  set(name: string, ...addresses: readonly string[]): void
}

const headerBytes = 12
const typeA = 1
/** An answer, recursion available; with it, that there is no such name. */
const [answered, noSuchName] = [0x8180, 0x8183]
/** The name of the question, which begins behind the header. */
const nameOfQuestion = 0xc00c
const ttlS = 1

/** Closed at the test's end. A name that was not set does not exist; one that was has no address but of IPv4. */
export async function startNameServer(): Promise<NameServer> {
  const records = new Map<string, readonly string[]>()
  const socket = createSocket('udp4')
  socket.on('message', (query, { port, address }) => {
    const { name, type, end } = questionOf(query)
    const known = records.get(name)
    const found = type === typeA ? (known ?? []) : []
    const header = Buffer.alloc(headerBytes)
    query.copy(header, 0, 0, 2)
    header.writeUInt16BE(known === undefined ? noSuchName : answered, 2)
    header.writeUInt16BE(1, 4)
    header.writeUInt16BE(found.length, 6)
    socket.send(Buffer.concat([header, query.subarray(headerBytes, end), ...found.map(recordOf)]), port, address)
  })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  atTestEnd(() => void socket.close())
  return {
    port: socket.address().port,
    set: (name, ...addresses) => void records.set(name.toLowerCase(), addresses),
  }
}

function questionOf(query: Buffer): { readonly name: string; readonly type: number; readonly end: number } {
  const labels: string[] = []
  let at = headerBytes
  for (let length = query.readUInt8(at); length > 0; length = query.readUInt8(at)) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length))
    at += 1 + length
  }
  return { name: labels.join('.').toLowerCase(), type: query.readUInt16BE(at + 1), end: at + 5 }
}

function recordOf(address: string): Buffer {
  const record = Buffer.alloc(16)
  record.writeUInt16BE(nameOfQuestion, 0)
  record.writeUInt16BE(typeA, 2)
  record.writeUInt16BE(1, 4)
  record.writeUInt32BE(ttlS, 6)
  record.writeUInt16BE(4, 10)
  record.set(address.split('.').map(Number), 12)
  return record
}
