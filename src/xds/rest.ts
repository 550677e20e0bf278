import type { SnapshotCache } from '../cache/cache.ts'
import type { EnvoyApi } from '../resource/envoy-api.ts'
import { messageToJson } from '../resource/json/codec.ts'
import { type Node, nodeOfJson } from '../resource/node.ts'
import type { ResourceType } from '../resource/type-url.ts'
import { setOfResources } from '../snapshot/resource-set.ts'
import { setOf } from '../snapshot/snapshot.ts'
import type { Barrier } from './fence/barrier.ts'

export interface RestAnswer {
  readonly status: 200 | 304 | 400 | 503
  readonly body?: unknown
}

export interface RestDeps {
  readonly cache: SnapshotCache
  readonly api: EnvoyApi
  /** The answer stays on this machine or is encrypted: secrets may be in it. */
  readonly isSecure: boolean
  /** Told of every node that asks: its bootstrap may hold names that resources refer to. */
  readonly onNode?: (node: Node) => void
  /** Says whether what is in force is no older than what clients may have; without it, it never is. */
  readonly barrier?: Pick<Barrier, 'proof'> | undefined
}

/** A client that waits this long for an answer has given up, or soon will. */
const proofMs = 2_000

/**
 * The answer to a poll. One that would bring another version than the client states waits for proof that this is not an older
 * one, and is 503 without it: the client goes on with what it has, and polls again (rule 87).
 */
export async function answerPoll(deps: RestDeps, type: ResourceType, request: unknown): Promise<RestAnswer> {
  const answer = answerRest(deps, type, request)
  const { barrier } = deps
  if (barrier === undefined || answer.status !== 200 || !isStating(request)) return answer
  if (await barrier.proof(proofMs)) return answerRest(deps, type, request)
  const message = 'what you have may be newer than what is in force here: etcd has not said yet that it is not'
  return { status: 503, body: { message } }
}

/** Of what is a DiscoveryRequest. */
function isStating(request: unknown): boolean {
  const { version_info: snake, versionInfo: camel } = request as Readonly<Record<string, unknown>>
  return (snake ?? camel ?? '') !== ''
}

/**
 * REST-JSON xDS (protocol page, "REST-JSON polling subscriptions"; rule 94): one DiscoveryRequest in proto3 JSON, one
 * DiscoveryResponse back, or 304 when the client's version is current. The version is that of the resources asked for, so
 * that a name newly asked for at an unchanged version is still answered (rule 26).
 */
export function answerRest(deps: RestDeps, type: ResourceType, request: unknown): RestAnswer {
  if (typeof request !== 'object' || request === null || Array.isArray(request))
    return refuse('a DiscoveryRequest is a JSON object')
  const field = (snake: string, camel: string): unknown =>
    (request as Record<string, unknown>)[snake] ?? (request as Record<string, unknown>)[camel]
  const typeUrl = field('type_url', 'typeUrl') ?? type.typeUrl
  if (typeUrl !== '' && typeUrl !== type.typeUrl) return refuse(`type_url must be ${type.typeUrl} at ${type.rest}`)
  const node = nodeOfJson(field('node', 'node'))
  if (node.id === '') return refuse('node.id is missing: the control plane must know who asks')
  const names = field('resource_names', 'resourceNames') ?? []
  if (!Array.isArray(names) || !names.every((name) => typeof name === 'string')) {
    return refuse('resource_names is a list of strings')
  }
  deps.onNode?.(node)
  const { snapshot } = deps.cache.snapshotFor(node)
  if (snapshot === undefined) return { status: 503, body: { message: 'nothing to serve yet: see /ready' } }
  const set = setOf(snapshot, type.typeUrl)
  const isWildcard = names.includes('*') || (names.length === 0 && type.isWildcardByDefault)
  const asked = isWildcard ? [...set.values()] : [...new Set(names)].flatMap((name) => set.get(name) ?? [])
  const resources = asked.filter((resource) => resource.isReady && (deps.isSecure || !resource.isSensitive))
  if (type.isFullState && resources.length < asked.length) {
    // To the client, a member left out of a full state is a removal.
    return {
      status: 503,
      body: { message: 'some of these cannot be sent now: sensitive content needs a loopback admin address' },
    }
  }
  const version =
    isWildcard && resources.length === set.size ? set.version : setOfResources(type.typeUrl, resources).version
  if (field('version_info', 'versionInfo') === version) return { status: 304 }
  return {
    status: 200,
    body: {
      version_info: version,
      resources: resources.map(({ typeUrl, bytes }) => messageToJson(deps.api, typeUrl, bytes)),
      type_url: type.typeUrl,
      nonce: version,
    },
  }
}

function refuse(message: string): RestAnswer {
  return { status: 400, body: { message } }
}
