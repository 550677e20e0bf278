import type { Holder } from './lock.ts'
import type { Segment, SegmentContent } from './segment.ts'

/** Where the segments of a history are: a directory, or below a prefix in etcd. Every method throws when the place cannot be used. */
export interface HistoryPlace {
  /** What people call it. */
  readonly name: string
  /** What to do when it cannot be written to. */
  readonly advice: string
  /** What becomes of a segment by `setAside`, as in: it is … */
  readonly aside: string
  /** It is this server's to write: after `open` found nobody else. */
  readonly isLocked: boolean
  /** Makes it ready to be written to, or tells who else writes there. */
  open(): Promise<Holder | undefined>
  /** Names of the segments, oldest first. */
  list(): Promise<readonly string[]>
  /** Removes segments that a crash kept from being finished; nothing in them was promised to anybody. */
  removeUnfinished(): Promise<void>
  read(name: string): Promise<Uint8Array>
  /** Takes a segment out of the list that cannot be used. */
  setAside(name: string): Promise<void>
  /** A segment that is there. */
  existing(name: string, content: Omit<SegmentContent, 'chunks'> & { readonly size: number }): Segment
  /** Writes a new segment: whole and lasting, or not there. */
  create(content: SegmentContent): Promise<Segment>
  close(): Promise<void>
}
