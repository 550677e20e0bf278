import type { DownstreamConnection, LoggedHttp } from '../network/network-filter.ts'
import type { StreamInfo } from './stream-info.ts'

/** What command operators (`%REQ(x-id)%`) are asked of, in access logs and in headers that are added. */
export interface FormatSubject {
  readonly info: StreamInfo
  readonly connection: DownstreamConnection
  /** Absent of a raw connection. */
  readonly http: LoggedHttp | undefined
}
