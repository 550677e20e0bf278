import { isError, type Origin, type Problem, type ProblemCode } from '../errors.ts'
import type { EnvoyApi } from '../resource/envoy-api.ts'
import { parseResource } from '../resource/parse-resource.ts'
import type { Resource } from '../resource/resource.ts'
import type { Touches } from '../resource/touches.ts'
import { entryOf, type Position, type TreeProblem } from '../resource/tree.ts'
import { wordOf } from '../resource/type-url.ts'
import type { Document } from '../source/source.ts'
import type { ConfigDocument, InvalidDocument, ParsedDocument } from './config-document.ts'
import { hasTwoForms, kindOfDocument, readDocument } from './document-form.ts'
import { type DocumentKey, documentHint, type HeldDocument, keysOf } from './document-key.ts'
import { type DocumentText, documentText } from './document-text.ts'
import { rememberKind } from './kinds/kind-document.ts'
import { type NotYet, notYet } from './kinds/not-yet.ts'
import { parseKind, type ReadKind } from './kinds/parse-kind.ts'
import { createSecretMask } from './mask-secrets.ts'
import type { RawDocument } from './raw-document.ts'
import { parseSelectors } from './selector.ts'
import { parseYaml, type YamlDocument } from './yaml-tree.ts'

export interface ParseSettings {
  /** What is in force of this text, so that its documents are known again wherever they stand now. */
  readonly held?: readonly HeldDocument[]
  /** How many values one YAML document may have once its aliases are expanded. */
  readonly maxValues?: number
  /** How many problems of one text are told. */
  readonly maxProblems?: number
  /** What of the kinds is refused as not in this version. */
  readonly notYet?: NotYet
}

const defaults = { maxValues: 1_000_000, maxProblems: 1000, notYet }

/** Envoy refuses messages nested more than 100 deep; lists, and maps of the JSON form, come between them. */
const maxDepth = 256

/**
 * Reads what a source document holds. Pure and total: whatever is wrong is a Problem, and what is right of it is used.
 * No Problem quotes more of the text than names, and nothing of a private key.
 */
export function parseDocument(api: EnvoyApi, document: Document, settings: ParseSettings = {}): ParsedDocument {
  const { maxValues, maxProblems, held = [], notYet: refused } = { ...defaults, ...settings }
  const documents: ConfigDocument[] = []
  const invalid: InvalidDocument[] = []
  const problems: Problem[] = []
  let isUnreadable = false
  const yamls = parseYaml(document.text, { maxValues, maxDepth })
  const hints = yamls.map(({ tree }) => documentHint(tree))
  const keys = keysOf(
    document.id,
    hints.map(({ hint }) => hint),
    held,
  )
  const taken = new Set(keys.map(({ key }) => key))
  const isSomeGone = held.some(({ key }) => !taken.has(key))
  for (const [index, yaml] of yamls.entries()) {
    const origin = at(document.origin, yaml)
    const parsed = parseOne(api, yaml, document.origin, refused)
    const { key, isKnown } = keys[index] as DocumentKey
    const isCertain = hints[index]?.isCertain === true
    const text = documentText(yaml.text)
    problems.push(...parsed.problems)
    if (!parsed.problems.some(isError)) {
      documents.push(documentOf(key, origin, text, parsed))
      continue
    }
    invalid.push({ key, origin, selectors: parsed.selectors, ...(parsed.touches && { touches: parsed.touches }), text })
    // What this document held before may have had another key, or have been another document: nothing is let go then.
    // A text that breaks off may have been cut (a full disk): documents may have followed.
    const mayBeCut = yaml.isBroken && index === yamls.length - 1
    const mayBeAnother = (index > 0 && !isCertain) || (!isKnown && isSomeGone)
    isUnreadable ||= mayBeCut || yaml.mayHideAnother || hasTwoForms(yaml.tree) || mayBeAnother
  }
  return { documents, invalid, isUnreadable, problems: tellable(problems, document.text, maxProblems) }
}

interface ParsedOne {
  readonly selectors: InvalidDocument['selectors']
  readonly resources: readonly Resource[]
  readonly problems: readonly Problem[]
  readonly kind?: ReadKind
  readonly touches?: Touches
}

function documentOf(key: string, origin: Origin, text: DocumentText, parsed: ParsedOne): ConfigDocument {
  const { selectors = [], resources, kind, touches } = parsed
  if (kind === undefined) return { key, origin, selectors, resources, text }
  rememberKind(kind.resource, { key, origin, form: kind.form, places: kind.places })
  return { key, origin, selectors, resources, declares: kind.declares, ...(touches && { touches }), text }
}

function parseOne(api: EnvoyApi, yaml: YamlDocument, origin: Origin, refused: NotYet): ParsedOne {
  const problems = yaml.problems.map((problem) => problemAt(origin, problem))
  // Of a broken tree everything else that could be said would follow from its being broken.
  if (yaml.isBroken) return { selectors: selectorsOfBroken(api, yaml), resources: [], problems }
  const kind = kindOfDocument(yaml.tree, refused)
  if (kind !== undefined && yaml.tree.kind === 'map') {
    const { read, touches, problems: found } = parseKind(api, kind, yaml.tree, origin, refused)
    problems.push(...found.map((problem) => problemAt(origin, problem)))
    const resources = read === undefined ? [] : [read.resource]
    return { selectors: [], resources, problems, touches, ...(read && { kind: read }) }
  }
  const raw = readDocument(api, yaml.tree)
  problems.push(...raw.problems.map((problem) => problemAt(origin, problem)))
  const { resources, problems: resourceProblems } = parseResources(api, raw, origin)
  problems.push(...resourceProblems)
  return { selectors: raw.selectors, resources, problems }
}

function parseResources(
  api: EnvoyApi,
  raw: RawDocument,
  origin: Origin,
): { readonly resources: readonly Resource[]; readonly problems: readonly Problem[] } {
  const byName = new Map<string, Resource>()
  const problems: Problem[] = []
  for (const { tree, path } of raw.resources) {
    const { resource, problems: found } = parseResource(api, tree, origin, path)
    problems.push(...found.map((problem) => problemAt(origin, problem)))
    if (resource === undefined) continue
    const id = `${resource.typeUrl} ${resource.name}`
    const first = byName.get(id)
    if (first === undefined) byName.set(id, resource)
    else problems.push(duplicate(origin, first, resource, path))
  }
  return { resources: [...byName.values()], problems }
}

function duplicate(origin: Origin, first: Resource, second: Resource, path: string): Problem {
  const { line = 1, column = 1 } = second.origin
  const message = `The ${wordOf(first.typeUrl)} \`${first.name}\` stands twice in this document: in line ${first.origin.line} and in line ${line}.`
  const fix = 'Remove or rename one of them.'
  return problemAt(origin, { severity: 'error', code: 'duplicate', line, column, path, message, fix })
}

/**
 * The selectors of a document whose YAML is broken further down: `nodes` must be followed by another key before the
 * first problem, or the break may be in it.
 */
function selectorsOfBroken(api: EnvoyApi, { tree, problems }: YamlDocument): InvalidDocument['selectors'] {
  const nodes = entryOf(tree, 'nodes')
  if (tree.kind !== 'map' || nodes === undefined) return undefined
  const next = tree.entries[tree.entries.indexOf(nodes) + 1]
  if (next === undefined || problems.some((problem) => problem.line <= next.line)) return undefined
  return parseSelectors(api, nodes).selectors
}

function at(origin: Origin, { line, column }: Position): Origin {
  return { ...origin, line, column }
}

function problemAt(origin: Origin, problem: Omit<TreeProblem, 'code'> & { readonly code: ProblemCode }): Problem {
  const { severity, code, path, message, fix } = problem
  return { severity, code, origin: at(origin, problem), path, message, fix }
}

/** In order of line, at most so many, and without anything of a key. */
function tellable(problems: readonly Problem[], text: string, maxProblems: number): readonly Problem[] {
  if (problems.length === 0) return problems
  const sorted = problems.toSorted(
    ({ origin: a }, { origin: b }) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0),
  )
  const shown = sorted.slice(0, maxProblems)
  const mask = createSecretMask(
    text,
    shown.flatMap(({ path, message, fix }) => [path, message, fix]),
  )
  const told = shown.map(({ path, message, fix, ...problem }) => ({
    ...problem,
    path: mask(path),
    message: mask(message),
    fix: mask(fix),
  }))
  const [firstUntold] = sorted.slice(maxProblems)
  if (firstUntold === undefined) return told
  const severity = sorted.slice(maxProblems).some(isError) ? 'error' : 'warning'
  const message = `And ${sorted.length - maxProblems} more problems from here on.`
  return [...told, { ...firstUntold, severity, path: '', message, fix: 'Mend those above first.' }]
}
