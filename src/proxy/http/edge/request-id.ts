import { randomUUID } from 'node:crypto'
import type { FieldReader } from '../../config/field-reader.ts'
import type { Headers } from '../headers.ts'

export interface RequestIdPolicy {
  readonly isGenerated: boolean
  /** Even from outside. */
  readonly keepsExternal: boolean
  /** The id says whether the request is traced. */
  readonly packsTraceReason: boolean
}

/** What of a connection manager's configuration concerns `x-request-id`. */
export function readRequestIdPolicy(fields: FieldReader): RequestIdPolicy {
  const packs = fields.message('request_id_extension', (extension) =>
    extension.any('typed_config', {
      'envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig': (config) => {
        config.ignore('use_request_id_for_trace_sampling', 'the chance of what is sampled does not show')
        return config.flag('pack_trace_reason', true)
      },
    }),
  )
  return {
    isGenerated: fields.flag('generate_request_id', true),
    keepsExternal: fields.flag('preserve_external_request_id'),
    packsTraceReason: packs ?? true,
  }
}

/** Requests from outside get an id of their own unless theirs are kept; others where they have none. */
export function giveRequestId(request: Headers, isEdge: boolean, policy: RequestIdPolicy): void {
  if (!policy.isGenerated) return
  if (isEdge && !policy.keepsExternal) request.set('x-request-id', randomUUID())
  else if (!request.has('x-request-id')) request.set('x-request-id', randomUUID())
}

/** Where in the id it stands why a request is traced. */
const reasonAt = 14

const traceReasons = { none: '4', sampled: '9', forced: 'a', client: 'b' } as const

export type TraceReason = keyof typeof traceReasons

export function traceReasonOf(id: string): TraceReason {
  const letter = id[reasonAt]
  if (letter === traceReasons.sampled) return 'sampled'
  if (letter === traceReasons.forced) return 'forced'
  return letter === traceReasons.client ? 'client' : 'none'
}

export function withTraceReason(id: string, reason: TraceReason): string {
  return id.length === 36 ? `${id.slice(0, reasonAt)}${traceReasons[reason]}${id.slice(reasonAt + 1)}` : id
}
