import { type DescMessage, type Message, ScalarType, toBinary } from '@bufbuild/protobuf'
import type { Duration } from '@bufbuild/protobuf/wkt'
import type { Origin } from '../errors.ts'
import type { EnvoyApi } from './envoy-api.ts'
import { readTypedTree, type TypedTree } from './json/any.ts'
import { readMessage } from './json/message-reader.ts'
import { beginReading, type Reading, report } from './json/reading.ts'
import { collectPlacedReferences } from './references/references.ts'
import { buildResource, type Reference, type Resource } from './resource.ts'
import { normalizeResourceName, typeInResourceName } from './resource-name.ts'
import { validateMessage } from './rules/validate-rules.ts'
import { isSensitiveMessage } from './secrecy/sensitive.ts'
import { entryOf, type MapTree, type Tree, type TreeProblem } from './tree.ts'
import { formatPath, locate, type Place, positionOf } from './tree-path.ts'
import { resourceTypes, typeUrlPrefix, wordOf } from './type-url.ts'

export interface ParsedResource {
  /** Undefined when a problem is an error. */
  readonly resource?: Resource
  readonly problems: readonly TreeProblem[]
}

/**
 * Makes a resource of its JSON form with `@type`, or of an `envoy.service.discovery.v3.Resource` around that, checked
 * against the API: every field, and every `validate.rules` option.
 * @param path where the tree stands in its document; it begins the path of every problem.
 */
export function parseResource(api: EnvoyApi, tree: Tree, origin: Origin, path: string): ParsedResource {
  const reading = beginReading(api, path)
  const typed = readTypedTree(reading, tree)
  if (typed === undefined) return { problems: reading.problems }
  const content = typed.desc.typeName === wrapperType ? readWrapper(reading, typed) : bare(typed)
  if (content === undefined) return { problems: reading.problems }
  const { desc } = content
  const contentPath = formatPath(path, content.path)
  const read = readMessage(api, desc, content.tree, contentPath)
  reading.problems.push(...read.problems, ...ruleProblems(api, content, read.message, read.problems, contentPath))
  const name = nameOf(reading, content, read.message)
  if (name === undefined || reading.problems.some(({ severity }) => severity === 'error')) {
    return { problems: reading.problems }
  }
  const resource = buildResource({
    typeUrl: typeUrlPrefix + desc.typeName,
    name,
    bytes: toBinary(desc, read.message),
    origin: tree.of === undefined ? { ...origin, line: tree.line, column: tree.column } : origin,
    ...(content.ttlMs !== undefined && { ttlMs: content.ttlMs }),
    aliases: aliasesOf(content, name, read.message),
    references: referencesOf(api, content, read.message, contentPath),
    isSensitive: isSensitiveMessage(api, desc, read.message),
  })
  return { resource, problems: reading.problems }
}

function referencesOf(api: EnvoyApi, { desc, tree }: TypedTree, message: Message, base: string): Reference[] {
  return collectPlacedReferences(api, desc, message).map(({ typeUrl, name, at }) => {
    const { line, column, path, of } = locate(tree, at)
    const named = { typeUrl, name: normalizeResourceName(name) }
    // A generated one stands in the line of its document, which may move without it.
    return of === undefined ? { ...named, path: formatPath(base, path), line, column } : { ...named, path: of.path }
  })
}

const wrapperType = 'envoy.service.discovery.v3.Resource'

/** The resource's own tree, and what its wrapper says of it. */
interface Content extends TypedTree {
  /** From the tree that was given to the resource's own. */
  readonly path: readonly string[]
  readonly wrapper?: { readonly name: string; readonly place: Place }
  readonly aliases: readonly string[]
  readonly ttlMs?: number
}

const bare = (typed: TypedTree): Content => ({ ...typed, path: [], aliases: [] })

/** Fields of the wrapper that the server sets itself, or has no use for. */
const wrapperFieldsWithoutEffect = ['version', 'resource_name', 'cache_control', 'metadata']

interface Wrapper extends Message {
  readonly name: string
  readonly aliases: readonly string[]
  readonly ttl?: Duration
}

function readWrapper(reading: Reading, { desc, tree }: TypedTree): Content | undefined {
  const inner = entryOf(tree, 'resource')
  const envelope: MapTree = { ...tree, entries: tree.entries.filter((entry) => entry !== inner) }
  const read = readMessage(reading.api, desc, envelope, reading.base)
  const wrapper = read.message as Wrapper
  reading.problems.push(...read.problems)
  warnOfNoEffect(reading, desc, envelope)
  const ttlMs = ttlOf(reading, tree, wrapper)
  if (inner === undefined) {
    report(reading, tree, 'wrong-type', 'The wrapper holds no resource.', 'Add `resource`, with an @type.')
    return undefined
  }
  reading.path.push('resource')
  const typed = readTypedTree(reading, inner.value)
  if (typed?.desc.typeName === wrapperType) {
    report(reading, inner.value, 'wrong-type', 'A wrapper holds another wrapper.', 'Keep one of them.')
  }
  reading.path.pop()
  if (typed === undefined || typed.desc.typeName === wrapperType) return undefined
  return {
    ...typed,
    path: ['resource'],
    ...(wrapper.name !== '' && { wrapper: { name: wrapper.name, place: locate(tree, ['name']) } }),
    aliases: wrapper.aliases,
    ...(ttlMs !== undefined && { ttlMs }),
  }
}

function warnOfNoEffect(reading: Reading, desc: DescMessage, envelope: MapTree): void {
  for (const field of desc.fields) {
    if (!wrapperFieldsWithoutEffect.includes(field.name)) continue
    const entry = entryOf(envelope, field.name) ?? entryOf(envelope, field.jsonName)
    if (entry === undefined) continue
    reading.path.push(entry.key)
    report(reading, entry, 'no-effect', `\`${entry.key}\` has no effect here.`, 'Remove it.', 'warning')
    reading.path.pop()
  }
}

function ttlOf(reading: Reading, tree: MapTree, { ttl }: Wrapper): number | undefined {
  if (ttl === undefined) return undefined
  const ms = Number(ttl.seconds) * 1000 + ttl.nanos / 1_000_000
  if (ms >= 1) return Math.floor(ms)
  reading.path.push('ttl')
  const message = 'The time to live is less than a millisecond.'
  report(reading, entryOf(tree, 'ttl')?.value ?? tree, 'rule-violation', message, 'Write a longer one, or remove it.')
  reading.path.pop()
  return undefined
}

/** What of the API's rules the message breaks, but for what follows from a problem in reading it. */
export function ruleProblems(
  api: EnvoyApi,
  { desc, tree }: TypedTree,
  message: Message,
  readProblems: readonly TreeProblem[],
  base: string,
): TreeProblem[] {
  const unread = readProblems.filter(({ severity }) => severity === 'error')
  const problems: TreeProblem[] = []
  for (const violation of validateMessage(api, desc, message)) {
    const place = locate(tree, violation.path)
    const owner = formatPath(base, place.path.slice(0, -1))
    // A field that could not be read looks absent, and its owner incomplete.
    if (unread.some((problem) => isWithin(problem.path, owner))) continue
    const last = place.path.at(-1)
    const subject = last === undefined ? `This ${wordOf(typeUrlPrefix + desc.typeName)}` : `\`${last}\``
    problems.push({
      severity: 'error',
      code: 'rule-violation',
      ...positionOf(place),
      path: formatPath(base, place.path),
      message: `${subject} ${violation.message}.`,
      fix: violation.fix,
    })
  }
  return problems
}

function isWithin(path: string, owner: string): boolean {
  return path === owner || (path.startsWith(owner) && (owner === '' || '.['.includes(path.charAt(owner.length))))
}

/** The field that names a resource of the type; undefined where the wrapper has to (LEDS endpoints). */
function nameField(desc: DescMessage): 'name' | 'cluster_name' | undefined {
  const typeUrl = typeUrlPrefix + desc.typeName
  if (typeUrl === resourceTypes.endpoint.typeUrl) return 'cluster_name'
  return desc.field['name']?.scalar === ScalarType.STRING ? 'name' : undefined
}

function nameOf(reading: Reading, content: Content, message: Message): string | undefined {
  const { desc, tree, wrapper } = content
  const field = nameField(desc)
  if (field === undefined) return wrapperName(reading, content)
  const own = textOf(message, field === 'name' ? 'name' : 'clusterName')
  const place = below(content, locate(tree, [field]))
  if (own !== '' && typeUrlPrefix + desc.typeName === resourceTypes.virtualHost.typeUrl && !hostName.test(own)) {
    // Envoy asks for it by this name, and on removal looks for a virtual host whose own name is this one (measured on 1.40).
    const fix = `Write ${wrapper !== undefined && hostName.test(wrapper.name) ? wrapper.name : '<route configuration>/<virtual host>'}.`
    reportAt(reading, place, 'The name does not say which route configuration the virtual host is for.', fix)
    return undefined
  }
  const name = checkedName(reading, place, desc, own, `Give \`${field}\` a value.`)
  if (wrapper !== undefined && own !== '' && normalizeResourceName(wrapper.name) !== normalizeResourceName(own)) {
    const fix = 'Envoy goes by the latter: give both the same, or remove the `name` of the wrapper.'
    reportAt(reading, wrapper.place, `The wrapper's name is not the resource's \`${field}\`.`, fix)
  }
  return name
}

const hostName = /^.+\/./s

function wrapperName(reading: Reading, content: Content): string | undefined {
  const { desc, tree, wrapper } = content
  const place = below(content, locate(tree, []))
  const typeUrl = typeUrlPrefix + desc.typeName
  if (wrapper === undefined && typeUrl !== resourceTypes.localityEndpoint.typeUrl) {
    const message = `${desc.typeName} is no resource: it has no name by which Envoy could ask for it.`
    reportAt(reading, place, message, 'Put it into the resource that uses it.')
    return undefined
  }
  const form = 'an xdstp: name'
  if (wrapper === undefined) {
    const fix = `Wrap it: '@type': ${typeUrlPrefix}${wrapperType}, name: ${form}, resource: this.`
    reportAt(reading, place, `Envoy asks for a ${wordOf(typeUrl)} by a name that is not in it.`, fix)
    return undefined
  }
  return checkedName(reading, wrapper.place, desc, wrapper.name, `Write ${form}.`)
}

/** The normalised name; undefined, and reported unless something else was at the same place, when it can be nobody's. */
function checkedName(reading: Reading, at: Place, desc: DescMessage, name: string, fix: string): string | undefined {
  if (name === '') {
    const path = formatPath(reading.base, at.path)
    if (reading.problems.some((problem) => problem.path === path && problem.severity === 'error')) return undefined
    reportAt(reading, at, `The ${wordOf(typeUrlPrefix + desc.typeName)} has no name.`, fix)
    return undefined
  }
  const type = typeInResourceName(name)
  if (type !== undefined && type !== desc.typeName) {
    const message = `The name is of a ${type}, but this is a ${desc.typeName}.`
    reportAt(reading, at, message, `Write xdstp://<authority>/${desc.typeName}/<name>.`)
  }
  return normalizeResourceName(name)
}

/** A place in the resource's own tree, seen from the tree that was given. */
const below = (content: Content, place: Place): Place => ({ ...place, path: [...content.path, ...place.path] })

function reportAt(reading: Reading, place: Place, message: string, fix: string): void {
  reading.path.push(...place.path)
  report(reading, place, 'invalid-name', message, fix)
  reading.path.length -= place.path.length
}

/** What the wrapper gives; for a virtual host also one alias per domain, by which Envoy asks for it on demand (rule 50). */
function aliasesOf(content: Content, name: string, message: Message): string[] {
  const aliases = content.aliases.map(normalizeResourceName)
  if (typeUrlPrefix + content.desc.typeName === resourceTypes.virtualHost.typeUrl) {
    const routeConfiguration = name.slice(0, name.lastIndexOf('/'))
    const { domains } = message as unknown as { readonly domains: readonly string[] }
    aliases.push(...[...domains].sort().map((domain) => `${routeConfiguration}/${domain}`))
  }
  return [...new Set(aliases)].filter((alias) => alias !== name)
}

function textOf(message: Message, property: string): string {
  const value = (message as unknown as Readonly<Record<string, unknown>>)[property]
  return typeof value === 'string' ? value : ''
}
