import { statSync } from 'node:fs'
import { dirname } from 'node:path'
import type { ConfigDocument, ParsedDocument } from './config/config-document.ts'
import { type KindDocument, kindOf } from './config/kinds/kind-document.ts'
import { buildContentResource, contentIn } from './config/kinds/secret-content.ts'
import type { SecretForm } from './config/kinds/secret-form.ts'
import type { Parse } from './document-ledger.ts'
import type { Problem } from './errors.ts'
import type { EnvoyApi } from './resource/envoy-api.ts'
import type { Unit } from './snapshot/unit.ts'
import { createAttachedFiles } from './source/attached-files.ts'
import { pathOf, readAttached } from './source/read-attached.ts'
import type { Document } from './source/source.ts'
import { expiryWarningsMs, type FileProblem, type ReadSecret, readSecret } from './translate/secret/read-secret.ts'

export interface AttachmentsDeps {
  readonly api: EnvoyApi
  readonly parse: Parse
  /** The documents in force, by key. */
  readonly inForce: ReadonlyMap<string, Pick<Unit, 'resources'>>
  /** The directory of the document, as far as it has one. */
  readonly directoryOf: (document: Document) => string | undefined
  /** Directories beside its own that a document may name files of. */
  readonly allowed: readonly string[]
  readonly now?: () => number
  readonly pollMs?: number
}

/** What documents name by `file:` is part of them: it is read with them, falls back with them, and is watched. */
export interface Attachments {
  readonly parse: Parse
  /** Ids of the documents that are to be read anew. */
  readonly changes: (signal: AbortSignal) => AsyncIterable<readonly string[]>
  /** Its document is gone: what it named is watched no more. */
  readonly forget: (documentId: string) => void
}

export function createAttachments(deps: AttachmentsDeps): Attachments {
  const { now = Date.now, directoryOf, parse } = deps
  const files = createAttachedFiles(deps.pollMs === undefined ? {} : { pollMs: deps.pollMs })
  /** By document: when its files were judged, and when they would be judged otherwise. */
  const judged = new Map<string, { readonly atMs: number; readonly nextMs: number }>()
  return {
    parse(document, held) {
      const parsed = parse(document, held)
      const secrets = parsed.documents.flatMap((one) => secretIn(one) ?? [])
      const directory = directoryOf(document)
      // Before they are read, so that no change between the two is lost.
      const paths = secrets.flatMap((secret) => filesOf(secret.form)).map((file) => pathOf(file, directory))
      files.note(document.id, [...new Set(paths)])
      if (secrets.length === 0) {
        judged.delete(document.id)
        return parsed
      }
      const nowMs = now()
      const read = secrets.map((secret) => ({
        secret,
        read: readSecret(secret.form, (file) => readAttached(file, directory, deps.allowed), nowMs),
      }))
      const nextMs = Math.min(...read.map((one) => nextTellingMs(one.read, nowMs)))
      judged.set(document.id, { atMs: nowMs, nextMs })
      return withContents(deps, parsed, read)
    },
    changes: (signal) =>
      files.changes(signal, () => {
        const nowMs = now()
        // A clock that was set back makes good again what had ended by the wrong one.
        const due = [...judged].filter(([, { atMs, nextMs }]) => nextMs <= nowMs || nowMs < atMs).map(([id]) => id)
        // Told once: reading them says when the next time is.
        for (const id of due) judged.delete(id)
        return due
      }),
    forget(documentId) {
      files.note(documentId, [])
      judged.delete(documentId)
    },
  }
}

interface Read {
  readonly secret: KindDocument<SecretForm>
  readonly read: ReadSecret
}

function secretIn({ resources }: ConfigDocument): KindDocument<SecretForm> | undefined {
  const [first] = resources
  const document = first && kindOf(first)
  return document?.form.kind === 'Secret' ? (document as KindDocument<SecretForm>) : undefined
}

function filesOf({ certificate, ca }: SecretForm): readonly string[] {
  return [certificate?.chain, certificate?.key, ca].flatMap((ref) => ref?.file ?? [])
}

/** When people are to be told of a certificate something else than now. */
function nextTellingMs({ expiresAtMs }: ReadSecret, nowMs: number): number {
  if (expiresAtMs === undefined) return Number.POSITIVE_INFINITY
  const moments = [...expiryWarningsMs.map((before) => expiresAtMs - before), expiresAtMs]
  return Math.min(...moments.filter((at) => at > nowMs), Number.POSITIVE_INFINITY)
}

function withContents(deps: AttachmentsDeps, parsed: ParsedDocument, read: readonly Read[]): ParsedDocument {
  const byKey = new Map(read.map((one) => [one.secret.key, one]))
  const documents: ConfigDocument[] = []
  const invalid = [...parsed.invalid]
  for (const document of parsed.documents) {
    const found = byKey.get(document.key)
    if (found === undefined) documents.push(document)
    else if (staysAsItWas(deps, document.key, found.read)) invalid.push(invalidOf(document))
    else documents.push(withContent(deps.api, document, found.read))
  }
  const problems = read.flatMap((one) => one.read.problems.map((problem) => problemAt(one.secret, problem)))
  return { ...parsed, documents, invalid, problems: [...parsed.problems, ...problems].sort(byLine) }
}

/** What was right before serves better than what is not right now; where there was nothing, the rest of the world goes on. */
function staysAsItWas({ api, inForce }: AttachmentsDeps, key: string, { content, isOutOfDate }: ReadSecret): boolean {
  const before = contentIn(api, inForce.get(key)?.resources ?? [])
  if (before === undefined) return false
  // The same certificate, which has come to its end: to withdraw it would be worse.
  return content === undefined || (isOutOfDate && before.digest !== content.digest)
}

function invalidOf({ key, origin, touches }: ConfigDocument): ParsedDocument['invalid'][number] {
  return { key, origin, selectors: [], ...(touches && { touches }) }
}

function withContent(api: EnvoyApi, document: ConfigDocument, { content }: ReadSecret): ConfigDocument {
  const [secret] = document.resources
  if (content === undefined || secret === undefined) return document
  return {
    ...document,
    resources: [...document.resources, buildContentResource(api, secret.name, secret.origin, content)],
  }
}

function problemAt({ origin, places }: KindDocument, { severity, path, message, fix }: FileProblem): Problem {
  const place = places.at(path)
  const at = place && { line: place.line, column: place.column }
  return { severity, code: 'file', origin: { ...origin, ...at }, path: place?.path ?? path, message, fix }
}

const byLine = ({ origin: a }: Problem, { origin: b }: Problem): number =>
  (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0)

/** The directory of a file; what an etcd key names is relative to `first`, the first of `--config`. */
export function directoryOfDocument({ id, origin }: Document, first: string | undefined): string | undefined {
  if (!id.startsWith('etcd:')) return dirname(origin.name)
  if (first === undefined) return undefined
  return statSync(first, { throwIfNoEntry: false })?.isFile() === true ? dirname(first) : first
}
