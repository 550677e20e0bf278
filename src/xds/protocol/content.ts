import { deltaFrame, type ResourceFrame, resourceMessage, sotwFrame } from '../../resource/frame.ts'
import type { Resource } from '../../resource/resource.ts'
import { type ResourceType, resourceTypes, typeUrlPrefix } from '../../resource/type-url.ts'
import { diffSets, emptySet, type ResourceSet } from '../../snapshot/resource-set.ts'
import { type NameSet, noNames } from './names.ts'
import { addOwed, isAsked, type Owed, type Subscription } from './subscription.ts'

/** What one response is to hold, before its nonce. */
export interface Content {
  /** Whose content it has. */
  readonly resources: readonly Resource[]
  /** Encoded `resources` fields: of `resources`, and of names that are answered without a body (rule 50). */
  readonly frames: readonly Uint8Array[]
  /** The names that each frame answers, where they are not those of `resources` in order. */
  readonly frameNames?: readonly (readonly string[])[]
  readonly removed: readonly string[]
  /** Exist, were asked for, and cannot be sent to this client: not ready, or sensitive on a plaintext connection (rule 53). */
  readonly unsendable: readonly string[]
  /** Full state with a member that cannot be sent would delete that member: nothing is sent. */
  readonly isWithheld: boolean
}

/** What a response follows from; equal questions, by identity, have one answer for every stream. */
export interface Question {
  readonly to: ResourceSet
  readonly isWildcard: boolean
  readonly names: NameSet
  readonly owed: Owed
  /** Of each resource the client has the version in one of these. */
  readonly from: readonly ResourceSet[]
  /** Delta: also, what the client said that it has. */
  readonly initialVersions: ReadonlyMap<string, string> | undefined
  /** False where an older response stands rejected and only names newly asked for may be sent (rules 30, 61). */
  readonly isComplete: boolean
}

/** May this resource be written to the clients of this server at all? */
export type CanSend = (resource: Resource) => boolean

/** What the client of `subscription` must learn to have `to`. */
export function questionOf(subscription: Subscription, to: ResourceSet): Question {
  const { isWildcard, names, owed, mayHold, initialVersions, nacked, doubtful } = subscription
  if (nacked !== undefined && nacked.set.version === to.version) {
    return { to, isWildcard, names, owed, from: [to], initialVersions: undefined, isComplete: false }
  }
  const hasNothing = mayHold.length === 0 && initialVersions === undefined
  // Before the first answer every name is owed, which spares comparing a whole set with nothing.
  const empty = isWildcard ? [emptySet(to.typeUrl)] : [to]
  const from = hasNothing ? empty : mayHold
  return { to, isWildcard, names, owed: addOwed(owed, doubtful), from, initialVersions, isComplete: true }
}

/**
 * The content of a SotW response. Full state for the types whose clients read absence as removal (rules 20, 22), else only
 * what this client lacks (rule 21). Undefined when there is nothing to say.
 */
export function sotwContent(
  question: Question,
  type: Pick<ResourceType, 'isFullState'> | undefined,
  canSend: CanSend,
  isWrapped: boolean,
): Content {
  const lacking = changedResources(question)
  const isFull = type?.isFullState === true
  const isDue =
    lacking.length > 0 || question.owed !== noNames || question.from.some((set) => isAnyRemoved(question, set))
  const candidates = isFull ? (isDue ? askedResources(question) : []) : lacking
  const resources = candidates.filter(canSend)
  const unsendable = candidates.length === resources.length ? [] : candidates.filter((r) => !canSend(r)).map(nameOf)
  const isWithheld = isFull && unsendable.length > 0
  return {
    resources,
    frames: resources.map(isWrapped ? wrappedFrame : plainFrame),
    removed: [],
    unsendable,
    isWithheld,
  }
}

/**
 * True if a SotW response with this content says nothing: a full state is said when something in it changed, be it to
 * empty; other types when there is a resource to send (rule 25).
 */
export function isSotwSilent(
  question: Question,
  content: Content,
  type: Pick<ResourceType, 'isFullState'> | undefined,
): boolean {
  if (content.frames.length > 0) return false
  if (type?.isFullState !== true) return true
  return question.owed === noNames && !question.from.some((set) => isAnyRemoved(question, set))
}

/** The content of a delta response. */
export function deltaContent(question: Question, canSend: CanSend): Content {
  if (question.to.typeUrl === resourceTypes.virtualHost.typeUrl && !question.isWildcard)
    return hostContent(question, canSend)
  const candidates = changedResources(question)
  const resources = candidates.filter(canSend)
  const unsendable = candidates.length === resources.length ? [] : candidates.filter((r) => !canSend(r)).map(nameOf)
  return {
    resources,
    frames: resources.map((resource) => resource.deltaFrame),
    removed: removedNames(question),
    unsendable,
    isWithheld: false,
  }
}

const nameOf = (resource: Resource): string => resource.name
const plainFrame = (resource: Resource): Uint8Array => resource.sotwFrame

const wrappedFrames = new WeakMap<Resource, Uint8Array>()

/** A resource with a TTL goes in the `Resource` wrapper to a SotW client that knows it (rule 81). */
function wrappedFrame(resource: Resource): Uint8Array {
  if (resource.ttlMs === undefined) return resource.sotwFrame
  let frame = wrappedFrames.get(resource)
  if (frame === undefined) {
    frame = sotwFrame(`${typeUrlPrefix}envoy.service.discovery.v3.Resource`, resourceMessage(resource))
    wrappedFrames.set(resource, frame)
  }
  return frame
}

/** All that the client asked for and that exists, in order of name. */
function askedResources(question: Question): readonly Resource[] {
  const { to, isWildcard, names } = question
  return isWildcard ? [...to.values()] : namedResources(to, names)
}

function namedResources(set: ResourceSet, names: NameSet): Resource[] {
  if (names.globs.length > 0) return [...set.values()].filter((resource) => names.matches(resource.name))
  const found: Resource[] = []
  for (const name of names.names) {
    const resource = set.get(name)
    if (resource !== undefined) found.push(resource)
  }
  return found
}

/** What is owed, and what differs from what the client may have, of what it asked for; in order of name. */
function changedResources(question: Question): readonly Resource[] {
  const { to, from, owed, isWildcard, initialVersions } = question
  if (owed === 'all') return askedResources(question)
  const [first] = from
  if (from.length === 1 && owed === noNames && initialVersions === undefined) {
    const { changed } = diffSets(first, to)
    return isWildcard ? changed : changed.filter((resource) => isAsked(question, resource.name))
  }
  const found = new Map<string, Resource>()
  for (const resource of namedResources(to, owed)) found.set(resource.name, resource)
  for (const set of from) for (const resource of diffSets(set, to).changed) found.set(resource.name, resource)
  if (initialVersions !== undefined) {
    for (const resource of askedResources(question)) {
      if (initialVersions.get(resource.name) !== resource.version) found.set(resource.name, resource)
    }
  }
  const asked = [...found.values()].filter((resource) => isAsked(question, resource.name))
  return asked.sort((a, b) => (a.name < b.name ? -1 : 1))
}

function isAnyRemoved(question: Question, set: ResourceSet): boolean {
  return diffSets(set, question.to).removed.some((name) => isAsked(question, name))
}

/** Names that are gone, and names asked for that never were (rule 52): the client is told of both. In order. */
function removedNames(question: Question): readonly string[] {
  const { to, from, owed, initialVersions } = question
  const gone = new Set<string>()
  for (const set of from) for (const name of diffSets(set, to).removed) if (isAsked(question, name)) gone.add(name)
  for (const name of initialVersions?.keys() ?? []) {
    if (isAsked(question, name) && to.get(name) === undefined) gone.add(name)
  }
  for (const name of (owed === 'all' ? question.names : owed).names) {
    if (isAsked(question, name) && to.get(name) === undefined && !question.names.globs.includes(name)) gone.add(name)
  }
  return [...gone].sort()
}

/**
 * VHDS by name: `<route configuration>/<host>` is answered with the virtual host that serves it, the asked string among
 * its aliases, or without a body where there is none: only then does the paused request go on (rule 50).
 */
function hostContent(question: Question, canSend: CanSend): Content {
  const { to, from, names, owed, initialVersions } = question
  const askedFor = new Map<Resource, string[]>()
  const removed = new Set<string>()
  const unsendable: string[] = []
  const frames: Uint8Array[] = []
  const frameNames: (readonly string[])[] = []
  for (const name of names.names) {
    const after = hostOf(to, name)
    const before = from.map((set) => hostOf(set, name))
    const isOwed = owed === 'all' || owed.has(name)
    if (after !== undefined) {
      const stated = initialVersions === undefined ? undefined : (initialVersions.get(after.name) ?? '')
      const isNew = before.some((host) => host?.version !== after.version || host.isReady !== after.isReady)
      if (!isOwed && !isNew && (stated === undefined || stated === after.version)) continue
      if (canSend(after)) askedFor.set(after, [...(askedFor.get(after) ?? []), name])
      else unsendable.push(name)
      continue
    }
    for (const host of before) if (host !== undefined && to.get(host.name) === undefined) removed.add(host.name)
    if (initialVersions?.has(name)) removed.add(name)
    if (!isOwed) continue
    frames.push(deltaFrame({ name, version: '', typeUrl: to.typeUrl, aliases: [name] }))
    frameNames.push([name])
  }
  if (owed !== 'all') for (const name of owed.names) if (isNoHost(name)) removed.add(name)
  const resources = [...askedFor.keys()]
  for (const [resource, asked] of askedFor) {
    frames.push(hostFrame(resource, asked))
    frameNames.push(asked)
  }
  return { resources, frames, frameNames, removed: [...removed].sort(), unsendable, isWithheld: false }
}

/** Says, when it is removed, that a route configuration has no virtual host yet: what its listener waits for (rule 46). */
export const noHostOf = (route: string): string => `${route}/-`

const isNoHost = (name: string): boolean => name.endsWith('/-')

function hostFrame(resource: Resource, asked: readonly string[]): Uint8Array {
  const extra = asked.filter((name) => name !== resource.name && !resource.aliases.includes(name))
  if (extra.length === 0) return resource.deltaFrame
  const frame: ResourceFrame = { ...resource, aliases: [...resource.aliases, ...extra] }
  return deltaFrame(frame)
}

const aliasIndexes = new WeakMap<ResourceSet, ReadonlyMap<string, Resource>>()

function aliasIndexOf(set: ResourceSet): ReadonlyMap<string, Resource> {
  let index = aliasIndexes.get(set)
  if (index === undefined) {
    const built = new Map<string, Resource>()
    for (const resource of set.values()) for (const alias of resource.aliases) built.set(alias, resource)
    index = built
    aliasIndexes.set(set, index)
  }
  return index
}

/** Exact, then the longest `*suffix`, then the longest `prefix*`, then `*`: as Envoy picks a virtual host. */
function hostOf(set: ResourceSet, name: string): Resource | undefined {
  const exact = set.get(name)
  if (exact !== undefined || set.size === 0) return exact
  const index = aliasIndexOf(set)
  const slash = name.lastIndexOf('/')
  const [configuration, host] = [name.slice(0, slash + 1), name.slice(slash + 1).toLowerCase()]
  const domains = [host]
  for (let from = 1; from < host.length; from++) domains.push(`*${host.slice(from)}`)
  for (let to = host.length - 1; to > 0; to--) domains.push(`${host.slice(0, to)}*`)
  domains.push('*')
  for (const domain of domains) {
    const found = index.get(`${configuration}${domain}`)
    if (found !== undefined) return found
  }
  return undefined
}
