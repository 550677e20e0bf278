import type { Resource } from '../resource/resource.ts'
import { resourceTypeOf, resourceTypes } from '../resource/type-url.ts'
import type { ResourceSet } from '../snapshot/resource-set.ts'
import type { Encoding } from './protocol/body.ts'
import {
  type CanSend,
  type Content,
  deltaContent,
  isSotwSilent,
  noHostOf,
  type Question,
  questionOf,
  sotwContent,
} from './protocol/content.ts'
import { noNames } from './protocol/names.ts'
import { type Reply, replyOf } from './protocol/reply.ts'
import type { StreamDeps, StreamOptions } from './stream-deps.ts'
import type { TypeBook, TypeState } from './type-book.ts'

const hostType = resourceTypes.virtualHost.typeUrl
const routeType = resourceTypes.route.typeUrl

const isReady = (resource: Resource): boolean => resource.isReady
const isReadyAndOpen = (resource: Resource): boolean => resource.isReady && !resource.isSensitive

/** What may be written to this server's clients. */
export function canSendBy({ canSendSecrets }: Pick<StreamOptions, 'canSendSecrets'>): CanSend {
  return canSendSecrets ? isReady : isReadyAndOpen
}

/** What a client is to be told of one type so that it has `set`: computed once for all that are in its state. */
export function answerTo(
  deps: StreamDeps,
  encoding: Encoding,
  types: TypeBook,
  state: TypeState,
  set: ResourceSet,
): Reply {
  const { type, subscription } = state
  const { typeUrl, mustAnswer, isWildcard, names } = subscription
  const now = deps.clock.now()
  if (encoding === 'delta' && typeUrl === hostType && mustAnswer && !isWildcard && names === noNames) {
    const question = questionOf(subscription, set)
    return replyOf(subscription, question, deps.bodies.bodyForOne(question, 'delta', noHosts(types)), false, now)
  }
  // Clients can make up types without end.
  if (type === undefined) return newAnswer(deps, encoding, state, set, now)
  const known = deps.replies.find(subscription, set, encoding, now)
  if (known !== undefined) return known
  const reply = newAnswer(deps, encoding, state, set, now)
  deps.replies.note(subscription, set, encoding, now, reply)
  return reply
}

function newAnswer(
  deps: StreamDeps,
  encoding: Encoding,
  { type, subscription }: TypeState,
  set: ResourceSet,
  nowMs: number,
): Reply {
  const isDelta = encoding === 'delta'
  const question = questionOf(subscription, set)
  const canSend = canSendBy(deps.options)
  const body = deps.bodies.bodyOf(question, encoding, () =>
    isDelta ? deltaContent(question, canSend) : sotwContent(question, type, canSend, encoding === 'sotw-wrapped'),
  )
  const isSilent = !subscription.mustAnswer && isNothing(isDelta, question, body.content)
  return replyOf(subscription, question, body, isSilent, nowMs)
}

/** To the empty first request of VHDS: no virtual host yet, which ends the listeners' wait (rule 46). */
function noHosts(types: TypeBook): Content {
  const routes = types.get(routeType)?.subscription.names ?? noNames
  return { resources: [], frames: [], removed: routes.names.map(noHostOf), unsendable: [], isWithheld: false }
}

function isNothing(isDelta: boolean, question: Question, content: Content): boolean {
  if (isDelta) return content.frames.length === 0 && content.removed.length === 0
  return isSotwSilent(question, content, resourceTypeOf(question.to.typeUrl))
}
