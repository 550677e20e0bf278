import { createHash } from 'node:crypto'
import type { Origin } from '../errors.ts'
import { deltaFrame, sotwFrame } from './frame.ts'
import type { TypeUrl } from './type-url.ts'

/** A name of another resource that a resource holds: a cluster in a route, a secret in a TLS context. */
export interface Reference {
  readonly typeUrl: TypeUrl
  readonly name: string
  /** Where in its document: `resources[1].virtual_hosts[0].routes[2].route.cluster`. */
  readonly path: string
  /** Its line and column, both 1-based; unknown after a restart until the document is read. */
  readonly line?: number
  readonly column?: number
}

/** One xDS resource, encoded once. Immutable, and shared by every snapshot and stream that has it. */
export interface Resource {
  readonly typeUrl: TypeUrl
  readonly name: string
  /** Hash of type, bytes, aliases and TTL: equal content has an equal version on every replica and after every restart. */
  readonly version: string
  /** The message in canonical encoding; empty when not `isReady`. */
  readonly bytes: Uint8Array
  readonly origin: Origin
  /** `Resource.ttl`, in milliseconds. */
  readonly ttlMs?: number
  /** Other names by which a client may ask for it (`Resource.aliases`; for a VirtualHost, `<route config>/<domain>`). */
  readonly aliases: readonly string[]
  readonly references: readonly Reference[]
  /** It holds content that the API marks `udpa.annotations.sensitive`. */
  readonly isSensitive: boolean
  /** False for one restored from the history without its sensitive content: it exists, but cannot be sent (rule 53). */
  readonly isReady: boolean
  /** The encoded field `DiscoveryResponse.resources` that holds it as a plain Any, tag and length included. */
  readonly sotwFrame: Uint8Array
  /** The encoded field `DeltaDiscoveryResponse.resources`, tag and length included. */
  readonly deltaFrame: Uint8Array
}

export interface ResourceContent {
  readonly typeUrl: TypeUrl
  readonly name: string
  readonly bytes: Uint8Array
  readonly origin: Origin
  readonly ttlMs?: number
  readonly aliases?: readonly string[]
  readonly references?: readonly Reference[]
  readonly isSensitive?: boolean
}

/** Builds a resource from canonical bytes: hashes it and encodes its two frames. */
export function buildResource(content: ResourceContent): Resource {
  const aliases = content.aliases ?? []
  const version = versionOf(content.typeUrl, content.bytes, aliases, content.ttlMs)
  return {
    typeUrl: content.typeUrl,
    name: content.name,
    version,
    bytes: content.bytes,
    origin: content.origin,
    ...(content.ttlMs !== undefined && { ttlMs: content.ttlMs }),
    aliases,
    references: content.references ?? [],
    isSensitive: content.isSensitive ?? false,
    isReady: true,
    sotwFrame: sotwFrame(content.typeUrl, content.bytes),
    deltaFrame: deltaFrame({
      name: content.name,
      version,
      typeUrl: content.typeUrl,
      bytes: content.bytes,
      aliases,
      ...(content.ttlMs !== undefined && { ttlMs: content.ttlMs }),
    }),
  }
}

/**
 * A resource whose content is not at hand (redacted in the history): known to exist at `version`, never sent, never
 * removed (rule 53: "not ready" is not "does not exist").
 */
export function buildUnreadyResource(content: Omit<ResourceContent, 'bytes'> & { readonly version: string }): Resource {
  const nothing = new Uint8Array(0)
  return {
    typeUrl: content.typeUrl,
    name: content.name,
    version: content.version,
    bytes: nothing,
    origin: content.origin,
    ...(content.ttlMs !== undefined && { ttlMs: content.ttlMs }),
    aliases: content.aliases ?? [],
    references: content.references ?? [],
    isSensitive: true,
    isReady: false,
    sotwFrame: nothing,
    deltaFrame: nothing,
  }
}

/** 128 bits of SHA-256, in hex: opaque to clients, stable across replicas and restarts (rules 39, 86). */
function versionOf(typeUrl: TypeUrl, bytes: Uint8Array, aliases: readonly string[], ttlMs: number | undefined): string {
  const hash = createHash('sha256').update(typeUrl).update('\0').update(bytes)
  if (aliases.length > 0) hash.update(`\0aliases\0${aliases.join('\0')}`)
  if (ttlMs !== undefined) hash.update(`\0ttl\0${ttlMs}`)
  return hash.digest('hex').slice(0, 32)
}
