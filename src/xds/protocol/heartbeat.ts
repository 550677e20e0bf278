import { deltaFrame } from '../../resource/frame.ts'
import type { Resource } from '../../resource/resource.ts'
import { resourceTypes } from '../../resource/type-url.ts'
import type { ResourceSet } from '../../snapshot/resource-set.ts'
import type { View } from '../transition/view.ts'
import type { CanSend, Content, Question } from './content.ts'
import { type NameSet, nameSetOf, noNames } from './names.ts'
import type { Subscription } from './subscription.ts'

/** However short a TTL, a client is not told more often than this, in milliseconds. */
const minPeriodMs = 100

/** What one client has of one type that expires. */
export interface Expiring {
  /** In order of name. */
  readonly resources: readonly Resource[]
  readonly names: NameSet
  /** How long after one heartbeat the next is due: about half of the shortest TTL. */
  readonly periodMs: number
}

type Asked = Pick<Subscription, 'isWildcard' | 'names'>

const hostType = resourceTypes.virtualHost.typeUrl

const members = new WeakMap<ResourceSet, WeakMap<NameSet, Expiring | undefined>>()

/**
 * The members of a set that have a TTL and that a client asked for; undefined when there are none. Found once for all
 * that ask the same, and at no cost in a set without a TTL.
 */
export function expiringIn(set: ResourceSet, { isWildcard, names }: Asked): Expiring | undefined {
  if (set.expiring === 0) return undefined
  // Virtual hosts are asked for by names that are not theirs (rule 50).
  const asked = isWildcard || (set.typeUrl === hostType && names !== noNames) ? everything : names
  const found = members.get(set) ?? new WeakMap<NameSet, Expiring | undefined>()
  members.set(set, found)
  if (!found.has(asked)) found.set(asked, findExpiring(set, asked))
  return found.get(asked)
}

/** Stands for a wildcard. */
const everything: NameSet = { names: [], globs: [], has: () => true, matches: () => true }

function findExpiring(set: ResourceSet, asked: NameSet): Expiring | undefined {
  const resources: Resource[] = []
  let ttlMs = Number.POSITIVE_INFINITY
  for (const resource of set.values()) {
    if (resource.ttlMs === undefined || !asked.matches(resource.name)) continue
    resources.push(resource)
    ttlMs = Math.min(ttlMs, resource.ttlMs)
  }
  if (resources.length === 0) return undefined
  return { resources, names: nameSetOf(resources.map(({ name }) => name)), periodMs: Math.max(minPeriodMs, ttlMs / 2) }
}

const views = new WeakMap<View, boolean>()

/** True if a client with this view may have to hear heartbeats. */
export function isExpiring(view: View): boolean {
  let known = views.get(view)
  if (known === undefined) {
    known = [...view.sets.values()].some(({ expiring }) => expiring > 0)
    views.set(view, known)
  }
  return known
}

/**
 * A delta heartbeat: name, version and TTL without a body, which Envoy takes for no update (rules 82, 85). Of what the
 * client has at this very version, whatever it makes of the responses under way: without a body, nothing else makes sense.
 */
export function heartbeatContent(question: Question, canSend: CanSend): Content {
  const { to, from } = question
  const hasIt = ({ name, version }: Resource): boolean =>
    from.every((held) => held === to || held.get(name)?.version === version)
  const expiring = from.length === 0 ? [] : (expiringIn(to, question)?.resources ?? [])
  const resources = expiring.filter((resource) => canSend(resource) && hasIt(resource))
  return { resources, frames: resources.map(heartbeatFrame), removed: [], unsendable: [], isWithheld: false }
}

function heartbeatFrame({ name, version, typeUrl, ttlMs = 0 }: Resource): Uint8Array {
  return deltaFrame({ name, version, typeUrl, ttlMs })
}
