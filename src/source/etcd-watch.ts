import type { IEvent, IWatchResponse } from 'etcd3'
import type { EtcdClient } from './etcd-client.ts'
import { type EtcdEntry, rangeEnd } from './etcd-read.ts'

/** What one or several whole revisions changed, in their order. */
export interface EtcdChange {
  /** The last of them. */
  readonly revision: bigint
  /** A key without an entry was deleted. */
  readonly changes: readonly { readonly key: string; readonly entry: EtcdEntry | undefined }[]
  /** So many keys there are more than before, or fewer if negative. */
  readonly added: number
}

/** How a watch ended: etcd cancelled it (a compaction, a lost leader), or the connection broke. */
export interface WatchEnd {
  readonly reason: string
}

export interface WatchOptions {
  readonly prefix: string
  /** The first revision to tell of. */
  readonly from: bigint
  /** In so many milliseconds etcd must confirm the watch. */
  readonly timeoutMs: number
  readonly onChange: (change: EtcdChange) => void
}

/**
 * Watches all keys below a prefix until the watch ends, for whatever reason, or `signal` aborts. A revision is told of
 * when all its events are there, never in part.
 */
export async function watchChanges(client: EtcdClient, options: WatchOptions, signal: AbortSignal): Promise<WatchEnd> {
  const stream = await client.watchClient.watch()
  return await new Promise<WatchEnd>((resolve) => {
    let fragments: IEvent[] = []
    let hasEnded = false
    const end = (reason: string): void => {
      hasEnded = true
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
      stream.cancel()
      resolve({ reason })
    }
    const onAbort = (): void => end('stopped')
    const timer = setTimeout(() => end('etcd does not confirm the watch'), options.timeoutMs)

    const onResponse = (response: IWatchResponse): void => {
      // What was on its way is older than what is read anew.
      if (hasEnded) return
      if (response.created) clearTimeout(timer)
      if (response.canceled) return end(cancelReason(response))
      fragments.push(...response.events)
      // More events of the same revision follow.
      if (response.fragment || fragments.length === 0) return
      const events = fragments
      fragments = []
      const revision = BigInt(events.at(-1)?.kv.mod_revision ?? 0)
      const added = events.reduce((sum, event) => sum + addedBy(event), 0)
      options.onChange({ revision, changes: events.map(changeOf), added })
    }

    stream.on('data', onResponse)
    stream.on('error', (error) => end(error.message))
    stream.on('end', () => end('etcd ended the watch'))
    signal.addEventListener('abort', onAbort, { once: true })
    if (signal.aborted) return onAbort()
    stream.write({
      create_request: {
        key: Buffer.from(options.prefix),
        range_end: rangeEnd(options.prefix),
        start_revision: options.from.toString(),
        fragment: true,
      },
    })
  })
}

function cancelReason(response: IWatchResponse): string {
  if (response.compact_revision !== '0') return `revision ${response.compact_revision} and before were compacted`
  return response.cancel_reason === '' ? 'etcd cancelled the watch' : response.cancel_reason
}

function addedBy({ type, kv }: IEvent): number {
  if (type !== 'Put') return -1
  return kv.create_revision === kv.mod_revision ? 1 : 0
}

function changeOf({ type, kv }: IEvent): EtcdChange['changes'][number] {
  const key = kv.key.toString()
  return { key, entry: type === 'Put' ? { key, value: kv.value, modRevision: kv.mod_revision } : undefined }
}
