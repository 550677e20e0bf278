import { keyOf, type Named } from '../named.ts'
import type { Resource } from '../resource.ts'
import { resourceTypes } from '../type-url.ts'
import { fieldsOf, type WireField } from './wire-field.ts'

const endpointType = resourceTypes.endpoint.typeUrl
const secretType = resourceTypes.secret.typeUrl

/** The fields of `Cluster` by their numbers, those in which it may name secrets or filters. */
const field = { type: 2, typedOptions: 36, transportSocket: 24, socketMatches: 43, socketOfMatch: 3, typedConfig: 3 }

/** Up to which the fields are known: what a newer API has besides may be anything. */
const lastKnown = 58

/** Those that may make it wait for what the server does not see: health checks, a type of its own, filters. */
const unseen: ReadonlySet<number> = new Set([8, 38, 40])

const known = new WeakMap<Resource, Awaited>()

interface Awaited {
  readonly names: readonly Named[] | undefined
}

/**
 * What a cluster of Envoy waits for before it takes requests: its assignment and its secrets. Undefined where it may wait
 * for what the server does not see: names to be resolved, the health of its hosts, a secret or filter configuration from
 * elsewhere; and where it waits for nothing, so that nothing tells that it is there.
 */
export function awaitedByWarming(cluster: Resource): readonly Named[] | undefined {
  const awaited = known.get(cluster) ?? { names: read(cluster) }
  known.set(cluster, awaited)
  return awaited.names
}

function read({ bytes, references }: Resource): readonly Named[] | undefined {
  const awaited = new Map<string, Named>()
  let [assignments, secrets] = [0, 0]
  for (const { typeUrl, name } of references) {
    if (typeUrl === endpointType) assignments++
    else if (typeUrl === secretType) secrets++
    else return undefined
    awaited.set(keyOf({ typeUrl, name }), { typeUrl, name })
  }
  if (assignments !== 1) return undefined
  // A secret that is no reference comes from elsewhere.
  return secretsOfCluster(fieldsOf(bytes)) === secrets ? [...awaited.values()] : undefined
}

/** Of `DiscoveryType`, those that resolve nothing and ask for nothing: STATIC, which it is by default, and ORIGINAL_DST. */
const readyTypes: readonly (number | undefined)[] = [0, 4]

const ready = new WeakMap<Resource, boolean>()

/** It takes requests as soon as Envoy has it. */
export function isReadyAtOnce(cluster: Resource): boolean {
  let isReady = ready.get(cluster)
  if (isReady === undefined) {
    const fields = fieldsOf(cluster.bytes)
    isReady =
      cluster.references.length === 0 &&
      fields.every(({ number, varint }) => number !== field.type || readyTypes.includes(varint)) &&
      secretsOfCluster(fields) === 0
    ready.set(cluster, isReady)
  }
  return isReady
}

/** How many secrets it subscribes to, wherever they come from. NaN where it may wait for something else. */
function secretsOfCluster(fields: readonly WireField[]): number {
  let secrets = 0
  for (const { number, bytes } of fields) {
    if (number === field.transportSocket) secrets += secretsOfSocket(bytes)
    else if (number === field.socketMatches) {
      for (const match of fieldsOf(bytes))
        if (match.number === field.socketOfMatch) secrets += secretsOfSocket(match.bytes)
    } else if (number === field.typedOptions) {
      if (mayHaveFilters(bytes)) return Number.NaN
    } else if (number > lastKnown || unseen.has(number)) return Number.NaN
  }
  return secrets
}

interface Packed {
  /** Without the package. */
  readonly type: string
  readonly bytes: Uint8Array
}

function unpack(any: Uint8Array): Packed {
  let type = ''
  let value: Uint8Array = new Uint8Array()
  for (const { number, bytes } of fieldsOf(any)) {
    if (number === 1) type = Buffer.from(bytes).toString()
    else if (number === 2) value = bytes
  }
  return { type: type.slice(type.lastIndexOf('.') + 1), bytes: value }
}

/** An entry of `typed_extension_protocol_options`. */
function mayHaveFilters(entry: Uint8Array): boolean {
  return fieldsOf(entry).some((value) => {
    if (value.number !== 2) return false
    const { type, bytes } = unpack(value.bytes)
    const httpFilters = 6
    return type !== 'HttpProtocolOptions' || fieldsOf(bytes).some(({ number }) => number === httpFilters)
  })
}

function secretsOfSocket(socket: Uint8Array): number {
  let secrets = 0
  for (const { number, bytes: any } of fieldsOf(socket)) {
    if (number !== field.typedConfig) continue
    const { type, bytes } = unpack(any)
    if (type === 'UpstreamTlsContext') secrets += secretsOfContext(bytes)
    else if (type !== 'RawBuffer') return Number.NaN
  }
  return secrets
}

/** The fields of `CommonTlsContext` that wait for nothing: parameters, certificates and validation in itself, ALPN, key log. */
const inContext: ReadonlySet<number> = new Set([1, 2, 3, 4, 15])

function secretsOfContext(upstream: Uint8Array): number {
  const [commonContext, bySecret, validationBySecret, combined] = [1, 6, 7, 8]
  const [validation, secretOfCombined] = [1, 2]
  let secrets = 0
  for (const common of fieldsOf(upstream)) {
    if (common.number !== commonContext) continue
    for (const { number, bytes } of fieldsOf(common.bytes)) {
      if (number === bySecret || number === validationBySecret) secrets++
      else if (number === combined) {
        for (const part of fieldsOf(bytes)) {
          if (part.number === secretOfCombined) secrets++
          else if (part.number !== validation) return Number.NaN
        }
      } else if (!inContext.has(number)) return Number.NaN
    }
  }
  return secrets
}

const delayed = new WeakMap<Resource, boolean>()

/** The assignment leaves endpoints to others (LEDS), which must come before it is of use. */
export function isInParts(assignment: Resource): boolean {
  const [endpoints, leds] = [2, 8]
  let isDelayed = delayed.get(assignment)
  if (isDelayed === undefined) {
    isDelayed = fieldsOf(assignment.bytes).some(
      (locality) => locality.number === endpoints && fieldsOf(locality.bytes).some(({ number }) => number === leds),
    )
    delayed.set(assignment, isDelayed)
  }
  return isDelayed
}
