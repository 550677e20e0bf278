import type { ParsedDocument } from '../config/config-document.ts'
import { documentIdOf, type HeldDocument, hintOf } from '../config/document-key.ts'
import { type DocumentText, joinDocuments } from '../config/document-text.ts'
import { selectorKey } from '../resource/node-selector.ts'
import type { RevisionDocument } from '../snapshot/history/documents.ts'
import type { Document } from '../source/source.ts'

/** What is to be written under the id of a source document. */
export interface TextChange {
  readonly id: string
  /** Undefined: there is none. */
  readonly before: string | undefined
  /** Undefined: there is to be none. */
  readonly after: string | undefined
}

/** What becomes of one document. */
export interface PlannedDocument {
  readonly id: string
  /** `Route/shop`; undefined for one that cannot be read so far. */
  readonly name: string | undefined
  readonly change: 'added' | 'changed' | 'removed'
}

/** A document that is left as it is, and why. */
export interface LeftDocument {
  readonly id: string
  readonly name: string | undefined
  readonly why: string
}

export interface RollbackPlan {
  readonly texts: readonly TextChange[]
  readonly documents: readonly PlannedDocument[]
  /** Were in force then and cannot be brought back. */
  readonly lost: readonly LeftDocument[]
  /** Were not in force then and stay. */
  readonly kept: readonly LeftDocument[]
}

export interface RollbackInput {
  readonly revision: number
  /** In force at the revision. */
  readonly past: readonly RevisionDocument[]
  /** In force at the newest revision. */
  readonly latest: readonly RevisionDocument[]
  /** What stands in the source. */
  readonly now: readonly Document[]
  readonly parse: (document: Document, held: readonly HeldDocument[]) => ParsedDocument
}

/**
 * What leads from what stands in the source now to what was in force at a revision. What holds the same stays as it is
 * written; what was never in force is not lost: nobody else has it.
 */
export function planRollback(input: RollbackInput): RollbackPlan {
  const past = byId(input.past)
  const latest = byId(input.latest)
  const now = new Map(input.now.map((document) => [document.id, document]))
  const ids = [...new Set([...past.keys(), ...now.keys()])].sort()
  const plans = ids.map((id) =>
    planOne(input, {
      id,
      past: past.get(id) ?? [],
      latest: latest.get(id) ?? [],
      document: now.get(id),
    }),
  )
  return {
    texts: plans.flatMap(({ texts }) => texts),
    documents: plans.flatMap(({ documents }) => documents),
    lost: plans.flatMap(({ lost }) => lost),
    kept: plans.flatMap(({ kept }) => kept),
  }
}

/** Whether the same documents are written the same; what they name, as a certificate, may be another. */
export function isWrittenAlike(a: readonly RevisionDocument[], b: readonly RevisionDocument[]): boolean {
  const others = new Map(b.map((one) => [one.key, one]))
  return (
    a.length === b.length &&
    a.every((one) => {
      const other = others.get(one.key)
      if (other === undefined) return false
      const isTold = one.text !== undefined && other.text !== undefined
      return isTold ? one.text?.version === other.text?.version : holdsSame(one, other)
    })
  )
}

interface One {
  readonly id: string
  /** In their order. */
  readonly past: readonly RevisionDocument[]
  readonly latest: readonly RevisionDocument[]
  readonly document: Document | undefined
}

/** A document that stands in the source now. */
interface Present {
  readonly key: string
  readonly line: number
  readonly text: DocumentText
  readonly name: string | undefined
  /** Undefined where it has an error. */
  readonly held: Held | undefined
}

type Held = Pick<RevisionDocument, 'resources' | 'nodes'>

const nothing: RollbackPlan = { texts: [], documents: [], lost: [], kept: [] }

function planOne(input: RollbackInput, one: One): RollbackPlan {
  const held = heldOf([...one.latest, ...one.past])
  const parsed = one.document && input.parse(one.document, held)
  const present = parsed === undefined ? [] : presentIn(parsed, held)
  return planText(input, one, present, parsed?.isUnreadable === true)
}

/** Documents that were there are as they were, and others go if they were in force; a text that holds none goes, too. */
function planText(
  input: RollbackInput,
  { id, document, past, latest }: One,
  present: readonly Present[],
  isUnreadable: boolean,
): RollbackPlan {
  const documents: PlannedDocument[] = []
  const lost: LeftDocument[] = []
  const kept: LeftDocument[] = []
  const inPast = pairsOf(present, past)
  const inForce = pairsOf(present, latest)
  const found = new Set(inPast.values())
  const contents: { readonly past: RevisionDocument | undefined; readonly content: string }[] = []
  const isSomeAbsent = found.size < past.length
  for (const one of present) {
    const before = inPast.get(one)
    const stay = (): unknown => contents.push({ past: before, content: one.text.content })
    if (before === undefined) {
      // What has no name and stands where one is missing is what an edit made of that one.
      const isRemains = one.held === undefined && isUnreadable && isSomeAbsent
      if (inForce.has(one) || isRemains) documents.push({ id, name: one.name, change: 'removed' })
      else {
        kept.push({ id, name: one.name, why: 'it was never in force' })
        stay()
      }
    } else if (isSame(input, one, before, inForce.get(one))) stay()
    else if (before.text?.content === undefined) {
      lost.push({ id, name: hintOf(before.resources), why: whyLost(before, input.revision) })
      stay()
    } else {
      documents.push({ id, name: hintOf(before.resources), change: 'changed' })
      contents.push({ past: before, content: before.text.content })
    }
  }
  for (const [index, one] of past.entries()) {
    if (found.has(one)) continue
    const name = hintOf(one.resources)
    const content = one.text?.content
    if (content === undefined) {
      lost.push({ id, name, why: whyLost(one, input.revision) })
      continue
    }
    documents.push({ id, name, change: 'added' })
    const earlier = new Set(past.slice(0, index))
    const at = contents.findLastIndex((other) => other.past !== undefined && earlier.has(other.past)) + 1
    contents.splice(at, 0, { past: one, content })
  }
  if (documents.length === 0) return { ...nothing, lost, kept }
  if (contents.length === 0) return { texts: [{ id, before: document?.text, after: undefined }], documents, lost, kept }
  const after = joinDocuments(contents.map(({ content }) => content))
  const refused = refusedOf(input, { id, after, past, isRestored: (name) => isAmong(documents, name) })
  if (refused.length > 0) return { ...nothing, lost: [...lost, ...refused], kept }
  return { texts: [{ id, before: document?.text, after }], documents, lost, kept }
}

const isAmong = (documents: readonly PlannedDocument[], name: string | undefined): boolean =>
  documents.some((one) => one.name === name && one.change !== 'removed')

/** Documents that this version would not take as they were written then. */
function refusedOf(
  { parse }: RollbackInput,
  {
    id,
    after,
    past,
    isRestored,
  }: {
    readonly id: string
    readonly after: string
    readonly past: readonly RevisionDocument[]
    readonly isRestored: (name: string | undefined) => boolean
  },
): readonly LeftDocument[] {
  const parsed = parse({ id, text: after, origin: { name: id } }, heldOf(past))
  const valid = new Set(parsed.documents.map(({ resources }) => hintOf(resources)))
  return past
    .map(({ resources }) => hintOf(resources))
    .filter((name) => isRestored(name) && !valid.has(name))
    .map((name) => ({ id, name, why: 'this version of fairlead finds an error in what was written then' }))
}

function whyLost({ text, isSensitive }: RevisionDocument, revision: number): string {
  if (isSensitive) return 'it holds something sensitive, so that its text is not kept'
  if (text === undefined) return `revision ${revision} is from before texts were kept`
  return 'something in its text looks like a private key, so that it is not kept'
}

/**
 * Which of a revision's documents each of these is: the one that is called alike, wherever it stood, or else the one
 * with its key, which has another name then.
 */
function pairsOf(
  present: readonly Present[],
  documents: readonly RevisionDocument[],
): ReadonlyMap<Present, RevisionDocument> {
  const byName = new Map<string, RevisionDocument[]>()
  for (const document of documents) {
    const name = hintOf(document.resources)
    if (name !== undefined) byName.set(name, [...(byName.get(name) ?? []), document])
  }
  const pairs = new Map<Present, RevisionDocument>()
  for (const one of present) {
    const alike = one.name === undefined ? undefined : byName.get(one.name)?.shift()
    if (alike !== undefined) pairs.set(one, alike)
  }
  const taken = new Set(pairs.values())
  const left = new Map(documents.filter((document) => !taken.has(document)).map((document) => [document.key, document]))
  for (const one of present) {
    const sameKey = left.get(one.key)
    if (sameKey !== undefined && !pairs.has(one)) pairs.set(one, sameKey)
  }
  return pairs
}

/** As it was written, or with what it held: then its new comments are not taken away. */
function isSame(
  { parse }: RollbackInput,
  now: Present,
  past: RevisionDocument,
  latest: RevisionDocument | undefined,
): boolean {
  if (now.text.version === past.text?.version) return true
  if (now.held === undefined) return false
  // What a document holds of files that it names is known of those in force alone, and is no part of what is written.
  const isInForce = latest !== undefined && latest.text?.version === now.text.version
  if (holdsSame(isInForce ? latest : now.held, past)) return true
  if (past.text?.content === undefined) return false
  const [written] = parse({ id: 'past', text: past.text.content, origin: past.origin }, []).documents
  return written !== undefined && holdsSame(now.held, { resources: written.resources, nodes: written.selectors })
}

function holdsSame(a: Held, b: Held): boolean {
  return contentKey(a) === contentKey(b)
}

function contentKey({ resources, nodes }: Held): string {
  const held = resources.map(({ typeUrl, name, version }) => `${typeUrl} ${name} ${version}`).sort()
  return [...held, ...nodes.map(selectorKey).sort()].join('\n')
}

function heldOf(documents: readonly RevisionDocument[]): readonly HeldDocument[] {
  const held = new Map<string, string>()
  for (const { key, resources } of documents) {
    const hint = hintOf(resources)
    if (hint !== undefined && !held.has(key)) held.set(key, hint)
  }
  return Array.from(held, ([key, hint]) => ({ key, hint }))
}

function presentIn({ documents, invalid }: ParsedDocument, held: readonly HeldDocument[]): readonly Present[] {
  const hints = new Map(held.map(({ key, hint }) => [key, hint]))
  const valid = documents.map(({ key, origin, text, resources, selectors }): Present | undefined =>
    text === undefined
      ? undefined
      : {
          key,
          line: origin.line ?? 0,
          text,
          name: hintOf(resources) ?? hints.get(key),
          held: { resources, nodes: selectors },
        },
  )
  const broken = invalid.map(({ key, origin, text }): Present | undefined =>
    text === undefined
      ? undefined
      : { key, line: origin.line ?? 0, text, name: hints.get(key) ?? nameIn(key), held: undefined },
  )
  return [...valid, ...broken].filter((one) => one !== undefined).sort((a, b) => a.line - b.line)
}

/** `Route/shop` in `file:shop.yaml#Route/shop`. */
function nameIn(key: string): string | undefined {
  const hint = key.split('#').at(1)
  return hint === undefined || /^\d+$/.test(hint) ? undefined : hint
}

function byId(documents: readonly RevisionDocument[]): ReadonlyMap<string, readonly RevisionDocument[]> {
  const found = new Map<string, RevisionDocument[]>()
  for (const document of documents) {
    const id = documentIdOf(document.key)
    found.set(id, [...(found.get(id) ?? []), document])
  }
  for (const list of found.values()) list.sort((a, b) => (a.origin.line ?? 0) - (b.origin.line ?? 0))
  return found
}
