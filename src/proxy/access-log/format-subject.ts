import type { Headers } from '../http/headers.ts'
import type { StreamInfo } from '../http/stream-info.ts'
import type { DownstreamConnection } from '../network/network-filter.ts'

/** Of what command operators tell: a stream or raw connection, at its end or, for headers that are added, on its way. */
export interface FormatSubject {
  readonly info: StreamInfo
  readonly connection: DownstreamConnection
  /** Absent of a raw connection. */
  readonly request?: Headers | undefined
  readonly response?: Headers | undefined
  readonly trailers?: Headers | undefined
  /** The clock's now, in ms. */
  readonly nowMs: number
}

/** What an operator stands for; undefined where there is nothing of the kind. */
export type OperatorValue = string | number | undefined | Readonly<Record<string, unknown>> | readonly unknown[]

export type Operator = (subject: FormatSubject) => OperatorValue
