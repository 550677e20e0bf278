import {
  type DeltaRequest,
  type SotwRequest,
  scanDeltaRequest,
  scanSotwRequest,
} from '../../resource/discovery-envelope.ts'
import type { TypeUrl } from '../../resource/type-url.ts'
import type { Protocol } from '../stream-event.ts'
import { receiveDelta } from './delta.ts'
import { type EmptyListRule, type Received, receiveSotw } from './sotw.ts'
import { type Subscription, sharedSubscription } from './subscription.ts'

export type Request = SotwRequest | DeltaRequest

/** A request, and what it made of the last subscription that it met. */
export interface ReadRequest {
  readonly request: Request
  /**
   * What the request makes of a subscription of its type (undefined: it is the first), by the protocol's rules.
   * `typeUrl` is that of a per-type service, where a request may leave it out (rule 4).
   */
  receive(typeUrl: TypeUrl, before: Subscription | undefined, rule: EmptyListRule): Received
}

/** Requests remembered, and their bytes together: those of a fleet that takes one push after another. */
const maxRequests = 32
const maxBytes = 8 * 1024 * 1024

/**
 * Reads the requests of one protocol. A fleet answers a push with the same bytes a thousand times, each from a client that
 * is as far as the others: what they say is decoded once, and what follows from it is computed once.
 */
export class RequestReader {
  readonly #protocol: Protocol
  /** The last used first. */
  readonly #known: KnownRequest[] = []
  #bytes = 0

  constructor(protocol: Protocol) {
    this.#protocol = protocol
  }

  /**
   * `client` knows the encoded names that it wrote before, see `scanSotwRequest`.
   * @throws Error when the bytes are no message.
   */
  read(bytes: Uint8Array, client: { writtenNames(): Iterable<Uint8Array> }): ReadRequest {
    const known = this.#find(bytes)
    if (known !== undefined) return known
    // A copy, for the bytes are a view on all that came with them.
    const copy = new Uint8Array(bytes)
    const request = this.#protocol === 'sotw' ? scanSotwRequest(copy, client.writtenNames()) : scanDeltaRequest(copy)
    const read = new KnownRequest(copy, request)
    // One that names its node is the first of its stream, and nobody else's.
    if (request.node === undefined) this.#remember(read)
    return read
  }

  #find(bytes: Uint8Array): KnownRequest | undefined {
    const at = this.#known.findIndex(
      (known) => known.bytes.length === bytes.length && Buffer.compare(known.bytes, bytes) === 0,
    )
    if (at <= 0) return this.#known[at]
    const [found] = this.#known.splice(at, 1) as [KnownRequest]
    this.#known.unshift(found)
    return found
  }

  #remember(read: KnownRequest): void {
    if (read.bytes.length > maxBytes) return
    this.#known.unshift(read)
    this.#bytes += read.bytes.length
    while (this.#known.length > maxRequests || this.#bytes > maxBytes) {
      this.#bytes -= this.#known.pop()?.bytes.length ?? 0
    }
  }
}

class KnownRequest implements ReadRequest {
  readonly bytes: Uint8Array
  readonly request: Request
  #typeUrl: TypeUrl | undefined
  #before: Subscription | undefined
  #rule: EmptyListRule | undefined
  #received: Received | undefined

  constructor(bytes: Uint8Array, request: Request) {
    this.bytes = bytes
    this.request = request
  }

  receive(typeUrl: TypeUrl, before: Subscription | undefined, rule: EmptyListRule): Received {
    const isKnown = this.#before === before && this.#rule === rule && this.#typeUrl === typeUrl
    if (this.#received !== undefined && isKnown) return this.#received
    const request = this.request.typeUrl === typeUrl ? this.request : { ...this.request, typeUrl }
    const received = 'nameBytes' in request ? receiveSotw(before, request, rule) : receiveDelta(before, request, rule)
    this.#received = { ...received, subscription: sharedSubscription(received.subscription) }
    this.#typeUrl = typeUrl
    this.#before = before
    this.#rule = rule
    return this.#received
  }
}
