import type { RevisionRecord } from './record.ts'

/** A base and the changes after it: a file, or memory while there is no directory to write to. */
export interface Segment {
  readonly isInMemory: boolean
  /** Whole revisions in order; the first is the base. */
  readonly revisions: RevisionRecord[]
  /** Which bytes of resources it holds (`blobKey`); empty once nothing more goes into it. */
  readonly blobKeys: Set<string>
  /** Bytes now. */
  readonly size: number
  /** Bytes of its base. */
  readonly baseSize: number
  /**
   * Adds framed records, all or (after a failure) none.
   * @throws Error of the file system; the segment takes nothing more then.
   */
  append(chunks: readonly Uint8Array[]): Promise<void>
  /** The whole content. */
  read(): Promise<Uint8Array>
  /** What was appended survives a power cut. */
  sync(): Promise<void>
  close(): Promise<void>
  remove(): Promise<void>
}

/** What a segment begins with. */
export interface SegmentContent {
  readonly chunks: readonly Uint8Array[]
  readonly baseSize: number
  readonly revisions: readonly RevisionRecord[]
  readonly blobKeys: ReadonlySet<string>
}

export class MemorySegment implements Segment, SegmentContent {
  readonly isInMemory = true
  readonly revisions: RevisionRecord[]
  readonly blobKeys: Set<string>
  readonly chunks: Uint8Array[]
  readonly baseSize: number
  size: number

  constructor(content: SegmentContent) {
    this.revisions = [...content.revisions]
    this.blobKeys = new Set(content.blobKeys)
    this.chunks = [...content.chunks]
    this.baseSize = content.baseSize
    this.size = sizeOf(content.chunks)
  }

  append(chunks: readonly Uint8Array[]): Promise<void> {
    this.chunks.push(...chunks)
    this.size += sizeOf(chunks)
    return Promise.resolve()
  }

  read(): Promise<Uint8Array> {
    return Promise.resolve(Buffer.concat(this.chunks))
  }

  sync(): Promise<void> {
    return Promise.resolve()
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  remove(): Promise<void> {
    return Promise.resolve()
  }
}

export function sizeOf(chunks: readonly Uint8Array[]): number {
  return chunks.reduce((size, chunk) => size + chunk.length, 0)
}
