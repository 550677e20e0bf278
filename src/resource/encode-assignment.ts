import jspb from 'google-protobuf'
import { sortedRecord } from './json/well-known.ts'

/** The endpoints behind a cluster, as far as a ClusterLoadAssignment says them. */
export interface WireAssignment {
  readonly name: string
  readonly overprovisioningFactor?: number
  /** Asked by health checks where an endpoint says no other. */
  readonly healthPort?: number
  readonly localities: readonly WireLocality[]
}

export interface WireLocality {
  readonly region: string
  readonly zone: string
  readonly subZone: string
  readonly priority: number
  readonly weight?: number
  readonly endpoints: readonly WireEndpoint[]
}

export interface WireEndpoint {
  readonly address: string
  readonly port: number
  /** Its metadata for load balancing. */
  readonly labels?: Readonly<Record<string, string>>
  readonly weight?: number
  readonly health?: 'healthy' | 'unhealthy' | 'draining' | 'degraded'
  readonly healthPort?: number
  readonly hostname?: string
}

const healthNumbers = { healthy: 1, unhealthy: 2, draining: 3, degraded: 5 } as const

/** What is encoded of an endpoint, with the port that it was asked at for its health when it says none itself. */
interface Encoded {
  readonly healthPort: number | undefined
  readonly bytes: Uint8Array
}

/** Endpoints stay the same objects while others of their Service come and go. */
const encodings = new WeakMap<WireEndpoint, Encoded>()

/**
 * The canonical bytes of a ClusterLoadAssignment, without the way over its JSON: of thousands of endpoints only those are
 * encoded that are new. Nothing is checked here: what goes in was checked when its documents were read.
 */
export function encodeAssignment(assignment: WireAssignment): Uint8Array {
  const { name, overprovisioningFactor, healthPort, localities } = assignment
  const writer = new jspb.BinaryWriter()
  writer.writeString(1, name)
  for (const locality of localities) {
    writer.writeMessage(2, locality, (value, inner) => writeLocality(inner, value, healthPort))
  }
  if (overprovisioningFactor !== undefined) {
    writer.writeMessage(4, overprovisioningFactor, (factor, policy) => writeNumber(policy, 3, factor))
  }
  return writer.getResultBuffer()
}

function writeLocality(writer: jspb.BinaryWriter, locality: WireLocality, healthPort: number | undefined): void {
  const { region, zone, subZone, priority, weight, endpoints } = locality
  if (region !== '' || zone !== '' || subZone !== '') {
    writer.writeMessage(1, locality, (_, inner) => {
      if (region !== '') inner.writeString(1, region)
      if (zone !== '') inner.writeString(2, zone)
      if (subZone !== '') inner.writeString(3, subZone)
    })
  }
  for (const endpoint of endpoints) writer.writeBytes(2, endpointBytes(endpoint, healthPort))
  if (weight !== undefined) writeNumber(writer, 3, weight)
  if (priority !== 0) writer.writeUint32(5, priority)
}

function endpointBytes(endpoint: WireEndpoint, healthPort: number | undefined): Uint8Array {
  const known = encodings.get(endpoint)
  if (known !== undefined && known.healthPort === healthPort) return known.bytes
  const writer = new jspb.BinaryWriter()
  writer.writeMessage(1, endpoint, (value, inner) => writeEndpoint(inner, value, value.healthPort ?? healthPort))
  const { health, labels, weight } = endpoint
  if (health !== undefined) writer.writeEnum(2, healthNumbers[health])
  if (labels !== undefined) writer.writeMessage(3, labels, (value, inner) => writeMetadata(inner, value))
  if (weight !== undefined) writeNumber(writer, 4, weight)
  const bytes = writer.getResultBuffer()
  encodings.set(endpoint, { healthPort, bytes })
  return bytes
}

function writeEndpoint(writer: jspb.BinaryWriter, endpoint: WireEndpoint, healthPort: number | undefined): void {
  const { address, port, hostname } = endpoint
  writer.writeMessage(1, endpoint, (_, addressWriter) => {
    addressWriter.writeMessage(1, endpoint, (__, socket) => {
      socket.writeString(2, address)
      socket.writeUint32(3, port)
    })
  })
  if (healthPort !== undefined || hostname !== undefined) {
    writer.writeMessage(2, endpoint, (_, inner) => {
      if (healthPort !== undefined) inner.writeUint32(1, healthPort)
      if (hostname !== undefined) inner.writeString(2, hostname)
    })
  }
  if (hostname !== undefined) writer.writeString(3, hostname)
}

/** `filter_metadata: {envoy.lb: <labels>}`, a map of Structs, each of them a map of Values. */
function writeMetadata(writer: jspb.BinaryWriter, labels: Readonly<Record<string, string>>): void {
  writer.writeMessage(1, labels, (_, entry) => {
    entry.writeString(1, 'envoy.lb')
    entry.writeMessage(2, labels, (__, struct) => {
      for (const [key, value] of Object.entries(sortedRecord(Object.entries(labels)))) {
        struct.writeMessage(1, value, (text, field) => {
          field.writeString(1, key)
          field.writeMessage(2, text, (inner, held) => held.writeString(3, inner))
        })
      }
    })
  })
}

/** A google.protobuf.UInt32Value. */
function writeNumber(writer: jspb.BinaryWriter, field: number, value: number): void {
  writer.writeMessage(field, value, (number, inner) => inner.writeUint32(1, number))
}
