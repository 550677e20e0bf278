import { documentIdOf } from '../config/document-key.ts'
import { configPrefix, type EtcdOptions, etcdIdPrefix } from '../source/etcd-client.ts'
import { putDocuments, readStored } from '../source/etcd-writer.ts'
import type { FindTarget } from './rollback-target.ts'

/** What `serve --etcd` reads. */
export function findInEtcd(etcd: EtcdOptions): FindTarget {
  const prefix = etcdIdPrefix(etcd)
  const holds = (id: string): boolean => id.startsWith(prefix)
  const keyOf = (id: string): string => id.slice(prefix.length)
  const readAt = new Map<string, string>()
  return (documents) => {
    if (!documents.some(({ key }) => holds(documentIdOf(key)))) return undefined
    return {
      name: `etcd ${configPrefix(etcd)}`,
      holds,
      isOrigin: holds,
      placeOf: keyOf,
      async read() {
        const stored = await readStored(etcd)
        for (const { key, modRevision } of stored) readAt.set(key, modRevision)
        return stored.map(({ key, text }) => ({ id: `${prefix}${key}`, text, origin: { name: `${prefix}${key}` } }))
      },
      async write(changes, onProgress) {
        const upserts = changes.flatMap(({ id, after }) =>
          after === undefined ? [] : [{ key: keyOf(id), text: after }],
        )
        const deletes = changes.flatMap(({ id, after }) => (after === undefined ? [keyOf(id)] : []))
        const revisions = await putDocuments(
          etcd,
          { upserts, deletes },
          {
            batches: true,
            expected: readAt,
            onDone: (done, of) => of > 1 && onProgress(`${done} of ${of} transactions`),
          },
        )
        const how = revisions.length === 1 ? 'one transaction' : `${revisions.length} transactions`
        return `in ${how}, at etcd revision ${revisions.at(-1)}`
      },
    }
  }
}
