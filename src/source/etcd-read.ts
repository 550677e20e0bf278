import { GRPCOutOfRangeError, GRPCResourceExhastedError, type IRangeResponse } from 'etcd3'
import type { EtcdClient } from './etcd-client.ts'

/** A key and what it holds. */
export interface EtcdEntry {
  readonly key: string
  readonly value: Buffer
  readonly modRevision: string
}

/** All keys below a prefix as they were at one revision. */
export interface EtcdState {
  readonly revision: bigint
  readonly clusterId: string
  readonly entries: readonly EtcdEntry[]
}

/** What etcd holds below a prefix at one moment, as far as it takes to know whether somebody has seen all of it. */
export interface EtcdMark {
  /** Of the whole store. */
  readonly revision: bigint
  /** That of the key below the prefix that was written last, of those that are there. */
  readonly newest: bigint
  /** So many are there. */
  readonly keys: number
}

/** How much of a prefix somebody has seen. */
export interface EtcdSeen {
  /** Up to this revision, everything. */
  readonly revision: bigint
  /** So many keys were there then. */
  readonly keys: number
}

/**
 * Between a revision that is not older than the newest key and that of the mark nothing was written that is still there; so if
 * nothing was deleted either, which shows in the count, both hold the same.
 */
export function hasReached(seen: EtcdSeen, mark: EtcdMark): boolean {
  return seen.revision >= mark.revision || (seen.revision >= mark.newest && seen.keys === mark.keys)
}

/**
 * Asks for the mark of now, linearizably: of what was written anywhere before the call, nothing is missing. To one who has seen
 * everything up to `known` it costs etcd no look at any key, unless something was written since, be it elsewhere.
 * @throws when etcd does not answer, or refuses.
 */
export async function readMark(client: EtcdClient, prefix: string, known: bigint): Promise<EtcdMark> {
  const range = { key: Buffer.from(prefix), range_end: rangeEnd(prefix) }
  const { header, count } = await client.kv.range({ ...range, count_only: true })
  const mark = { revision: BigInt(header.revision), newest: 0n, keys: Number(count) }
  if (mark.revision <= known) return mark
  const newer = await client.kv.range({
    ...range,
    keys_only: true,
    min_mod_revision: (known + 1n).toString(),
    sort_target: 'Mod',
    sort_order: 'Descend',
    limit: 1,
  })
  const [last] = newer.kvs
  // The count is of all keys, whatever their revision.
  return { revision: BigInt(newer.header.revision), newest: BigInt(last?.mod_revision ?? 0), keys: Number(newer.count) }
}

/** So many keys are read at once, unless their values are too large for that. */
const pageKeys = 1000

/** A compaction may take away the revision that is being read; more than this many in a row is something else. */
const maxTries = 5

/**
 * Reads all keys below `prefix` at one revision, a page at a time.
 * @throws when etcd does not answer, or refuses.
 */
export async function readAll(client: EtcdClient, prefix: string): Promise<EtcdState> {
  for (let tries = 1; ; tries++) {
    try {
      return await readPages(client, prefix)
    } catch (error) {
      if (!isCompacted(error) || tries === maxTries) throw error
    }
  }
}

async function readPages(client: EtcdClient, prefix: string): Promise<EtcdState> {
  const entries: EtcdEntry[] = []
  const end = rangeEnd(prefix)
  let key = Buffer.from(prefix)
  let limit = pageKeys
  let first: IRangeResponse['header'] | undefined
  for (;;) {
    let page: IRangeResponse
    try {
      page = await client.kv.range({ key, range_end: end, limit, ...(first && { revision: first.revision }) })
    } catch (error) {
      if (!(error instanceof GRPCResourceExhastedError) || limit === 1) throw error
      limit = Math.ceil(limit / 8)
      continue
    }
    first ??= page.header
    for (const kv of page.kvs) {
      entries.push({ key: kv.key.toString(), value: kv.value, modRevision: kv.mod_revision })
    }
    const last = page.kvs.at(-1)
    if (!page.more || last === undefined) {
      return { revision: BigInt(first.revision), clusterId: first.cluster_id, entries }
    }
    key = Buffer.concat([last.key, Buffer.from([0])])
  }
}

/** The first key after all that begin with `prefix`. */
export function rangeEnd(prefix: string): Buffer {
  const end = Buffer.from(prefix)
  // UTF-8 has no byte 0xff, so there is no carry.
  end[end.length - 1] = (end.at(-1) ?? 0) + 1
  return end
}

function isCompacted(error: unknown): boolean {
  return error instanceof GRPCOutOfRangeError
}
