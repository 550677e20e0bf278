import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { putDocuments } from '../../src/source/etcd-writer.ts'
import type { Changes } from './documents.ts'
import type { TestEtcd } from './etcd.ts'
import type { EtcdCluster } from './etcd-cluster.ts'
import { tempDir } from './temp.ts'

/** Where a control plane reads its documents, and a test writes them. */
export interface DocumentStore {
  /** The options of `serve` that name it. */
  readonly flags: Readonly<Record<string, unknown>>
  /** Writes all of it in one step: a reader sees what was before or what is after. */
  write(changes: Changes): Promise<void>
}

/** A directory that is a link to one of several, as deployments do it: a change makes a new one and swaps the link. */
export function createFileStore(): DocumentStore {
  const root = tempDir()
  const link = join(root, 'config')
  const documents = new Map<string, string>()
  let swaps = 0
  return {
    flags: { config: [link] },
    async write(changes) {
      for (const [key, document] of Object.entries(changes)) {
        if (document === undefined) documents.delete(key)
        else documents.set(key, JSON.stringify(document))
      }
      swaps += 1
      const directory = join(root, `${swaps}`)
      mkdirSync(directory)
      for (const [key, text] of documents) {
        const path = join(directory, `${key}.json`)
        mkdirSync(dirname(path), { recursive: true })
        writeFileSync(path, text)
      }
      symlinkSync(directory, `${link}.new`)
      renameSync(`${link}.new`, link)
    },
  }
}

let stores = 0

/** A prefix of its own in that etcd; a change is a transaction. */
export function createEtcdStore(
  etcd: Pick<TestEtcd, 'endpoint'> | Pick<EtcdCluster, 'endpoints'>,
): DocumentStore & { readonly prefix: string } {
  const endpoints = 'endpoints' in etcd ? etcd.endpoints : [etcd.endpoint]
  stores += 1
  const prefix = `/store-${stores}/`
  return {
    prefix,
    flags: { etcd: endpoints.join(','), etcdPrefix: prefix },
    async write(changes) {
      const entries = Object.entries(changes)
      const upserts = entries.flatMap(([key, document]) =>
        document === undefined ? [] : [{ key, text: JSON.stringify(document) }],
      )
      const deletes = entries.flatMap(([key, document]) => (document === undefined ? [key] : []))
      await putDocuments({ endpoints, prefix }, { upserts, deletes }, { batches: false })
    },
  }
}
