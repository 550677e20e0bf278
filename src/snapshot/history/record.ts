import type { Origin } from '../../errors.ts'
import type { EnvoyApi } from '../../resource/envoy-api.ts'
import type { NodeSelector } from '../../resource/node-selector.ts'
import { selectorKey } from '../../resource/node-selector.ts'
import { decodeOwn, encodeOwn } from '../../resource/own-message.ts'
import type { Reference, Resource } from '../../resource/resource.ts'

/** What the history keeps of a resource beside its bytes, which it finds by `version`. */
export type StoredResource = Pick<
  Resource,
  'typeUrl' | 'name' | 'version' | 'origin' | 'ttlMs' | 'aliases' | 'references' | 'isSensitive'
>

/** A unit (snapshot/unit.ts) as the history keeps it. */
export interface StoredUnit {
  readonly key: string
  readonly origin: Origin
  readonly selectors: readonly NodeSelector[]
  readonly resources: readonly StoredResource[]
  /** Of what was written; the text itself is found by `textKey`. */
  readonly textVersion?: string
}

/** How many resources of one type a revision touched. */
export interface TypeCounts {
  /** The type's short word: `cluster`. */
  readonly word: string
  readonly added: number
  readonly changed: number
  readonly removed: number
}

/** One line of the history. */
export interface RevisionSummary {
  /** Counts from 1, over restarts; of this server only. */
  readonly revision: number
  /** RFC 3339, UTC. */
  readonly time: string
  /** The source documents that caused it: how many, and the first names. */
  readonly documents: { readonly count: number; readonly names: readonly string[] }
  /** In order of word; types that it did not touch are absent. */
  readonly counts: readonly TypeCounts[]
}

/** The record that makes what stands before it true. */
export interface RevisionRecord extends RevisionSummary {
  readonly kind: 'revision'
  readonly meta: Readonly<Record<string, string>>
  readonly removed: readonly string[]
  /** It ends the base of a segment. */
  readonly isBase: boolean
}

/** A change of a unit, or a part of one. */
export interface UnitRecord extends StoredUnit {
  readonly kind: 'unit'
  readonly dropped: readonly { readonly typeUrl: string; readonly name: string }[]
  /** What the unit held before is forgotten. */
  readonly isWhole: boolean
}

export type HistoryRecord =
  | { readonly kind: 'header'; readonly format: number }
  | { readonly kind: 'blob'; readonly version: string; readonly isRedacted: boolean; readonly content: Uint8Array }
  | UnitRecord
  | RevisionRecord

/** The format that this version writes, and the only one that it reads. */
export const historyFormat = 1

const typeName = 'fairlead.v1.HistoryRecord'

/** @throws ControlPlaneError `api` when the descriptors in use lack our schema. */
export function encodeRecord(api: EnvoyApi, record: HistoryRecord): Uint8Array {
  return encodeOwn(api, typeName, { record: { case: record.kind, value: toMessage(record) } })
}

/** @throws Error when `bytes` are no record that this version knows. */
export function decodeRecord(api: EnvoyApi, bytes: Uint8Array): HistoryRecord {
  const { record } = decodeOwn(api, typeName, bytes) as HistoryMessage
  switch (record.case) {
    case 'header':
      return { kind: 'header', format: record.value.format }
    case 'blob':
      return { kind: 'blob', ...blobOf(record.value) }
    case 'unit':
      return unitOf(record.value)
    case 'revision':
      return revisionOf(record.value)
    case undefined:
      throw new Error('a record of an unknown kind')
  }
}

/**
 * By what the bytes of a resource are found in a segment. With a newer API the same content can stop being sensitive:
 * what was redacted must not pass for it.
 */
export function blobKey(version: string, isRedacted: boolean): string {
  return isRedacted ? `${version} redacted` : version
}

/** By what the text of a document is found in a segment. */
export function textKey(version: string): string {
  return `text ${version}`
}

/**
 * Whether an encoded record is one of those that fill a segment (blobs and units), told by its first tag so that a
 * reader who only wants the list of revisions does not decode them.
 */
export function isContentRecord(bytes: Uint8Array): boolean {
  return bytes[0] === 0x12 || bytes[0] === 0x1a
}

/** The summary in a record or detail, without the rest. */
export function summaryOf(record: RevisionSummary): RevisionSummary {
  return { revision: record.revision, time: record.time, documents: record.documents, counts: record.counts }
}

interface OriginMessage {
  readonly name: string
  readonly line: number
  readonly column: number
  readonly revision: string
}

interface UnitMessage {
  readonly key: string
  readonly origin: OriginMessage
  readonly selectors: readonly string[]
  readonly resources: readonly ResourceMessage[]
  readonly dropped: readonly { readonly typeUrl: string; readonly name: string }[]
  readonly isWhole: boolean
  readonly textVersion: string
}

interface ResourceMessage {
  readonly typeUrl: string
  readonly name: string
  readonly version: string
  readonly origin: OriginMessage
  readonly ttlMs?: number
  readonly aliases: readonly string[]
  readonly references: readonly Reference[]
  readonly isSensitive: boolean
}

interface RevisionMessage {
  readonly number: number
  readonly time: string
  readonly documents: number
  readonly documentNames: readonly string[]
  readonly meta: Readonly<Record<string, string>>
  readonly removed: readonly string[]
  readonly counts: readonly TypeCounts[]
  readonly isBase: boolean
}

interface BlobMessage {
  readonly version: string
  readonly isRedacted: boolean
  readonly content: Uint8Array
}

interface HistoryMessage {
  readonly record:
    | { readonly case: 'header'; readonly value: { readonly format: number } }
    | { readonly case: 'blob'; readonly value: BlobMessage }
    | { readonly case: 'unit'; readonly value: UnitMessage }
    | { readonly case: 'revision'; readonly value: RevisionMessage }
    | { readonly case: undefined }
}

function toMessage(record: HistoryRecord): object {
  switch (record.kind) {
    case 'header':
      return { format: record.format }
    case 'blob':
      return blobOf(record)
    case 'unit':
      return {
        key: record.key,
        origin: record.origin,
        selectors: record.selectors.map(selectorKey),
        resources: record.resources.map((resource) => toResourceMessage(resource, record.origin)),
        dropped: record.dropped,
        isWhole: record.isWhole,
        ...(record.textVersion !== undefined && { textVersion: record.textVersion }),
      }
    case 'revision':
      return {
        number: record.revision,
        time: record.time,
        documents: record.documents.count,
        documentNames: record.documents.names,
        meta: record.meta,
        removed: record.removed,
        counts: record.counts,
        isBase: record.isBase,
      }
  }
}

function blobOf({ version, isRedacted, content }: BlobMessage): BlobMessage {
  return { version, isRedacted, content }
}

function toResourceMessage(resource: StoredResource, unitOrigin: Origin): object {
  const { name, ...place } = resource.origin
  return {
    typeUrl: resource.typeUrl,
    name: resource.name,
    version: resource.version,
    origin: name === unitOrigin.name ? place : resource.origin,
    ...(resource.ttlMs !== undefined && { ttlMs: resource.ttlMs }),
    aliases: resource.aliases,
    references: resource.references,
    isSensitive: resource.isSensitive,
  }
}

function unitOf(message: UnitMessage): UnitRecord {
  const origin = originOf(message.origin)
  return {
    kind: 'unit',
    key: message.key,
    origin,
    selectors: message.selectors.map((text) => JSON.parse(text) as NodeSelector),
    resources: message.resources.map((resource) => ({
      typeUrl: resource.typeUrl,
      name: resource.name,
      version: resource.version,
      origin: originOf(resource.origin, origin.name),
      ...(resource.ttlMs !== undefined && { ttlMs: resource.ttlMs }),
      aliases: resource.aliases,
      references: resource.references.map(({ typeUrl, name, path }) => ({ typeUrl, name, path })),
      isSensitive: resource.isSensitive,
    })),
    dropped: message.dropped.map(({ typeUrl, name }) => ({ typeUrl, name })),
    isWhole: message.isWhole,
    ...(message.textVersion !== '' && { textVersion: message.textVersion }),
  }
}

function revisionOf(message: RevisionMessage): RevisionRecord {
  return {
    kind: 'revision',
    revision: message.number,
    time: message.time,
    documents: { count: message.documents, names: message.documentNames },
    counts: message.counts.map(({ word, added, changed, removed }) => ({ word, added, changed, removed })),
    meta: { ...message.meta },
    removed: message.removed,
    isBase: message.isBase,
  }
}

/** `name` stands in for an absent name. */
function originOf(message: OriginMessage, name = ''): Origin {
  return {
    name: message.name === '' ? name : message.name,
    ...(message.line !== 0 && { line: message.line }),
    ...(message.column !== 0 && { column: message.column }),
    ...(message.revision !== '' && { revision: message.revision }),
  }
}
