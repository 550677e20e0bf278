import type { SotwRequest } from '../../resource/discovery-envelope.ts'
import { noNames, requestedNames, withoutNames } from './names.ts'
import {
  addOwed,
  type LateRejection,
  newSubscription,
  noteAck,
  noteNack,
  type Sent,
  type Subscription,
  type Verdict,
} from './subscription.ts'

/** What a type and a client make of an empty list. */
export interface EmptyListRule {
  /** An empty first list asks for everything (rule 40); not for VHDS (rule 46), not for a gRPC client (rule 47). */
  readonly isWildcardWhenEmpty: boolean
}

export interface Received {
  readonly subscription: Subscription
  readonly verdict: Verdict | undefined
  /** The client asks for something else than before. */
  readonly isChanged: boolean
  /** It asks for exactly what it had been answered (rule 72), and is owed that. */
  readonly isRepeated: boolean
}

const isSameBytes = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && Buffer.compare(a, b) === 0

/**
 * Takes one `DiscoveryRequest` of a type. The first of a type on a stream is answered in full whatever version or nonce
 * it states (rules 5, 32). A request is an ACK or a NACK by its nonce and `error_detail` alone (rules 28, 29); names
 * newly asked for are owed at any version (rules 26, 27); a stale one changes names and means nothing else (rule 9).
 * @throws Error when its names cannot be read.
 */
export function receiveSotw(before: Subscription | undefined, request: SotwRequest, rule: EmptyListRule): Received {
  const first = before ?? newSubscription(request.typeUrl)
  const isFirst = before === undefined
  const asked = withAskedNames(first, request, rule)
  const isChanged = isFirst || asked.isWildcard !== first.isWildcard || asked.names !== first.names
  if (isFirst) {
    return {
      subscription: { ...asked, mustAnswer: asked.isWildcard },
      verdict: undefined,
      isChanged,
      isRepeated: false,
    }
  }
  const isCurrent = request.responseNonce !== '' && request.responseNonce === first.lastNonce
  // SotW has one verdict for all that is under way: on the newest push, all of its parts (rules 9, 19).
  const newest = first.outstanding.filter(({ lastPart }) => lastPart === first.lastNonce)
  const sent = newest.find(({ nonce }) => nonce === request.responseNonce)
  if (sent !== undefined) {
    const only = newest.length === first.outstanding.length ? asked : { ...asked, outstanding: newest }
    const { errorDetail } = request
    const late = lateRejection(first, newest, sent, request)
    if (late !== undefined) {
      const verdict: Verdict = { kind: 'ack', sent, late }
      return { subscription: noteAck(only, sent), verdict, isChanged, isRepeated: false }
    }
    return errorDetail === undefined
      ? { subscription: noteAck(only, sent), verdict: { kind: 'ack', sent }, isChanged, isRepeated: false }
      : {
          subscription: noteNack(only, sent, errorDetail.message),
          verdict: { kind: 'nack', sent, message: errorDetail.message },
          isChanged,
          isRepeated: false,
        }
  }
  // The same names once more with a nonce that is settled: Envoy's cluster warms again and needs them (rule 72).
  const isRepeated = isCurrent && !isChanged && request.errorDetail === undefined && asked.names !== noNames
  const subscription = isRepeated ? { ...asked, owed: addOwed(asked.owed, asked.names) } : asked
  return { subscription, verdict: undefined, isChanged, isRepeated }
}

/**
 * Envoy answers nothing while its clusters warm, and then all at once: with the nonce of the newest response, the error of
 * an older one, and the version that it accepted last. Where that is the version of the newest alone, it took that one.
 */
function lateRejection(
  { acked, outstanding }: Subscription,
  newest: readonly Sent[],
  { set }: Sent,
  { errorDetail, versionInfo }: SotwRequest,
): LateRejection | undefined {
  if (errorDetail === undefined || newest.length === outstanding.length) return undefined
  if (versionInfo !== set.version || acked?.version === set.version) return undefined
  const older = outstanding.filter((sent) => !newest.includes(sent))
  // Of one that has this version, too, it may have taken that.
  if (older.some((sent) => sent.set.version === versionInfo)) return undefined
  return { message: errorDetail.message, older }
}

function withAskedNames(before: Subscription, request: SotwRequest, rule: EmptyListRule): Subscription {
  // The common case: an ACK repeats the names byte for byte, and not one of them is decoded.
  if (before.requested !== undefined && isSameBytes(before.requested.bytes, request.nameBytes)) return before
  const requested = requestedNames(request.nameBytes)
  const isEmpty = requested.bytes.length === 0
  const isWildcard = isEmpty ? !before.hasNamed && rule.isWildcardWhenEmpty : requested.hasWildcard
  const isNewWildcard = isWildcard && !before.isWildcard
  const added = withoutNames(requested.names, before.names)
  // What is owed and no longer asked for is left out when the answer is made (rule 79).
  return {
    ...before,
    requested,
    isWildcard,
    names: requested.names,
    hasNamed: before.hasNamed || !isEmpty,
    owed: isNewWildcard ? 'all' : addOwed(before.owed, added),
  }
}
