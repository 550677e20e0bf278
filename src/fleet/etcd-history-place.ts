import type { ICompare, IRequestOp } from 'etcd3'
import { ControlPlaneError } from '../errors.ts'
import type { Holder } from '../snapshot/history/lock.ts'
import type { HistoryPlace } from '../snapshot/history/place.ts'
import type { RevisionRecord } from '../snapshot/history/record.ts'
import { type Segment, type SegmentContent, sizeOf } from '../snapshot/history/segment.ts'
import type { EtcdClient } from '../source/etcd-client.ts'
import { rangeEnd, readAll } from '../source/etcd-read.ts'
import type { EtcdSession } from '../source/etcd-session.ts'
import type { LeaderGuard } from './election.ts'

export interface EtcdHistoryPlaceOptions {
  readonly session: EtcdSession
  /** Segments are below it: `/fairlead/history/1/`, where 1 is the history's format. */
  readonly prefix: string
  /** Undefined while another leads. Absent: nothing is written, by nobody's leave. */
  readonly guard?: () => LeaderGuard | undefined
}

/** What goes into one value: etcd takes 1.5 MiB a request, the key and its guard included. */
const maxPieceBytes = 1_000_000

/**
 * The fleet's history in etcd. A segment is the keys `<prefix>00000001/<offset>`, each a piece of it that begins
 * there. Its first piece is written last: until then it is not there.
 */
export class EtcdHistoryPlace implements HistoryPlace {
  readonly name: string
  readonly advice = 'see that etcd can be reached, has room, and lets this user write there; it is tried again'
  readonly aside = 'deleted'
  readonly #options: EtcdHistoryPlaceOptions
  #isOpen = false
  #lastNumber = 0

  constructor(options: EtcdHistoryPlaceOptions) {
    this.#options = options
    this.name = `etcd:${options.prefix}`
  }

  get isLocked(): boolean {
    return this.#isOpen
  }

  /** The election says who writes, and every transaction asks it again: nobody else can hold it. */
  async open(): Promise<Holder | undefined> {
    await this.#write([])
    this.#isOpen = true
    return undefined
  }

  async list(): Promise<readonly string[]> {
    const names = await this.#names()
    return [...names].filter(([, isWhole]) => isWhole).map(([name]) => name)
  }

  async removeUnfinished(): Promise<void> {
    for (const [name, isWhole] of await this.#names()) if (!isWhole) await this.setAside(name)
  }

  async read(name: string): Promise<Uint8Array> {
    const prefix = this.#segment(name)
    const { entries } = await this.#options.session.run((client) => readAll(client, prefix))
    const pieces: Uint8Array[] = []
    let size = 0
    for (const { key, value } of entries) {
      // Behind a gap nothing can be what it was.
      if (Number(key.slice(prefix.length)) !== size) break
      pieces.push(value)
      size += value.length
    }
    return Buffer.concat(pieces)
  }

  /** Nobody looks at a damaged segment in etcd; it goes. */
  async setAside(name: string): Promise<void> {
    await this.#remove(name)
  }

  existing(name: string, content: Omit<SegmentContent, 'chunks'> & { readonly size: number }): Segment {
    return this.#segmentOf(name, content, content.size)
  }

  async create(content: SegmentContent): Promise<Segment> {
    const name = String(this.#lastNumber + 1).padStart(8, '0')
    const [first, ...rest] = this.#pieces(name, 0, content.chunks)
    for (const put of rest) await this.#write([put])
    await this.#write(first === undefined ? [] : [first])
    this.#lastNumber++
    return this.#segmentOf(name, content, sizeOf(content.chunks))
  }

  close(): Promise<void> {
    this.#isOpen = false
    return Promise.resolve()
  }

  #segmentOf(name: string, content: Omit<SegmentContent, 'chunks'>, size: number): Segment {
    return new EtcdSegment(content, size, {
      append: async (offset, chunks) => {
        for (const put of this.#pieces(name, offset, chunks)) await this.#write([put], this.#piece(name, 0))
      },
      read: () => this.read(name),
      remove: () => this.#remove(name),
    })
  }

  /** By name, in order; whether it has its first piece. */
  async #names(): Promise<ReadonlyMap<string, boolean>> {
    const { prefix } = this.#options
    const { kvs } = await this.#run((client) =>
      client.kv.range({ key: Buffer.from(prefix), range_end: rangeEnd(prefix), keys_only: true }),
    )
    const names = new Map<string, boolean>()
    for (const { key } of kvs) {
      const [, name, offset] = /^(\d{8})\/(\d{12})$/.exec(key.toString().slice(prefix.length)) ?? []
      if (name === undefined) continue
      names.set(name, names.get(name) === true || Number(offset) === 0)
      this.#lastNumber = Math.max(this.#lastNumber, Number(name))
    }
    return names
  }

  #pieces(name: string, offset: number, chunks: readonly Uint8Array[]): readonly IRequestOp[] {
    const bytes = Buffer.concat(chunks)
    const puts: IRequestOp[] = []
    for (let from = 0; from < bytes.length; from += maxPieceBytes) {
      const value = bytes.subarray(from, from + maxPieceBytes)
      puts.push({ request_put: { key: Buffer.from(this.#piece(name, offset + from)), value } })
    }
    return puts
  }

  async #remove(name: string): Promise<void> {
    const segment = this.#segment(name)
    await this.#write([{ request_delete_range: { key: Buffer.from(segment), range_end: rangeEnd(segment) } }])
  }

  #segment(name: string): string {
    return `${this.#options.prefix}${name}/`
  }

  #piece(name: string, offset: number): string {
    return `${this.#segment(name)}${String(offset).padStart(12, '0')}`
  }

  #run<T>(task: (client: EtcdClient) => Promise<T>): Promise<T> {
    return this.#options.session.run(task)
  }

  /** @throws ControlPlaneError `io` when another leads, or `present` is there no more. */
  async #write(success: IRequestOp[], present?: string): Promise<void> {
    const guard = this.#options.guard?.()
    if (guard === undefined) throw new ControlPlaneError('io', 'another replica leads: it writes the history')
    const compare: ICompare[] = [...guard]
    if (present !== undefined) {
      compare.push({ key: Buffer.from(present), target: 'Create', result: 'Greater', create_revision: 0 })
    }
    const { succeeded } = await this.#run((client) => client.kv.txn({ compare, success }))
    if (succeeded) return
    throw new ControlPlaneError('io', 'another replica leads now, or somebody deleted the history while it was in use')
  }
}

interface Pieces {
  readonly append: (offset: number, chunks: readonly Uint8Array[]) => Promise<void>
  readonly read: () => Promise<Uint8Array>
  readonly remove: () => Promise<void>
}

class EtcdSegment implements Segment {
  readonly isInMemory = false
  readonly revisions: RevisionRecord[]
  readonly blobKeys: Set<string>
  readonly baseSize: number
  readonly #pieces: Pieces
  size: number

  constructor(content: Omit<SegmentContent, 'chunks'>, size: number, pieces: Pieces) {
    this.revisions = [...content.revisions]
    this.blobKeys = new Set(content.blobKeys)
    this.baseSize = content.baseSize
    this.#pieces = pieces
    this.size = size
  }

  async append(chunks: readonly Uint8Array[]): Promise<void> {
    await this.#pieces.append(this.size, chunks)
    this.size += sizeOf(chunks)
  }

  read(): Promise<Uint8Array> {
    return this.#pieces.read()
  }

  /** What etcd has taken, it has on the disks of most of its members. */
  sync(): Promise<void> {
    return Promise.resolve()
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  remove(): Promise<void> {
    return this.#pieces.remove()
  }
}
