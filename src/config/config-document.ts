import type { Origin, Problem } from '../errors.ts'
import type { Named } from '../resource/named.ts'
import type { NodeSelector } from '../resource/node-selector.ts'
import type { Resource } from '../resource/resource.ts'
import type { Touches } from '../resource/touches.ts'
import type { DocumentText } from './document-text.ts'

/** One document that its author got right: raw Envoy resources and whom they are for. */
export interface ConfigDocument {
  /** Identity across changes and restarts: the source document's id, and within it what the document calls itself. */
  readonly key: string
  readonly origin: Origin
  /** Any of them; empty selects every node. */
  readonly selectors: readonly NodeSelector[]
  readonly resources: readonly Resource[]
  /** Of a document of a kind: names that others may refer to beside its own. */
  readonly declares?: readonly Named[]
  /** Of a document of a kind, which has no selectors: whom it could concern. */
  readonly touches?: Touches
  /** Of one that a person wrote. */
  readonly text?: DocumentText
}

/** A document with an error: what it last held stays in force. */
export interface InvalidDocument {
  readonly key: string
  readonly origin: Origin
  /** Undefined when they could not be read: the document may touch every group. */
  readonly selectors: readonly NodeSelector[] | undefined
  /** Of a document of a kind, as far as it could be read. */
  readonly touches?: Touches
  readonly text?: DocumentText
}

/** What one source document (a file, an etcd key) turned out to hold. */
export interface ParsedDocument {
  readonly documents: readonly ConfigDocument[]
  readonly invalid: readonly InvalidDocument[]
  /** The YAML of (part of) the text is broken so that no identity could be read: everything it last held and does not hold above stays in force. */
  readonly isUnreadable: boolean
  /** Errors and warnings, in order of line. */
  readonly problems: readonly Problem[]
}
