import type { IRequestOp } from 'etcd3'
import { ControlPlaneError } from '../errors.ts'
import { configPrefix, connectEtcd, type EtcdClient, type EtcdOptions, etcdFailure } from './etcd-client.ts'
import { maxValueBytes } from './etcd-source.ts'

/** Keys are below `<prefix>config/`: `cluster/cart`. */
export interface DocumentChanges {
  readonly upserts: readonly { readonly key: string; readonly text: string }[]
  readonly deletes: readonly string[]
}

/** etcd's own limits by default: operations in a transaction, and bytes in a request (1.5 MiB, less what frames it). */
const maxOperations = 128
const maxRequestBytes = 1_400_000

interface Operation {
  readonly request: IRequestOp
  readonly bytes: number
}

/**
 * Writes documents to etcd, in one transaction: whoever watches sees all of it or nothing. What does not fit into one is
 * refused, unless `batches` allows several: additions and changes first, deletions last.
 * @returns the revision of each transaction.
 * @throws ControlPlaneError `usage` for changes that cannot be written so; `unreachable` when no endpoint answers, or a
 * transaction fails: the message says how many were done.
 */
export async function putDocuments(
  options: EtcdOptions,
  changes: DocumentChanges,
  { batches }: { readonly batches: boolean },
): Promise<readonly string[]> {
  const operations = operationsOf(changes, configPrefix(options))
  const transactions = split(operations)
  if (transactions.length > 1 && !batches) {
    const bytes = operations.reduce((sum, operation) => sum + operation.bytes, 0)
    const size = `${operations.length} changes of ${bytes} bytes together`
    const limit = `one transaction of etcd takes ${maxOperations} and ${maxRequestBytes} bytes`
    throw new ControlPlaneError(
      'usage',
      `${size} are too much: ${limit}. Allow several transactions (--batches) or write less`,
    )
  }
  if (transactions.length === 0) return []
  const client = await connectAny(options)
  const revisions: string[] = []
  try {
    for (const success of transactions) revisions.push((await client.kv.txn({ success })).header.revision)
    return revisions
  } catch (error) {
    const done =
      transactions.length === 1 ? '' : ` (${revisions.length} of ${transactions.length} transactions were done)`
    throw new ControlPlaneError('unreachable', `cannot write to etcd${done}: ${etcdFailure(error)}`, { cause: error })
  } finally {
    client.close()
  }
}

/** @throws ControlPlaneError `usage` for a key that is empty or given twice, or a value that no source would read. */
function operationsOf({ upserts, deletes }: DocumentChanges, prefix: string): readonly Operation[] {
  const keys = new Set<string>()
  const keyOf = (key: string): Buffer => {
    if (key === '') throw new ControlPlaneError('usage', 'a document needs a key')
    if (keys.has(key)) throw new ControlPlaneError('usage', `the key ${key} is given twice`)
    keys.add(key)
    return Buffer.from(`${prefix}${key}`)
  }
  const puts = upserts.map(({ key: name, text }): Operation => {
    const key = keyOf(name)
    const value = Buffer.from(text)
    if (value.length > maxValueBytes) {
      const size = `${value.length} bytes, and at most ${maxValueBytes} are read`
      throw new ControlPlaneError('usage', `the document ${name} has ${size}`)
    }
    return { request: { request_put: { key, value } }, bytes: key.length + value.length }
  })
  const removals = deletes.map((name): Operation => {
    const key = keyOf(name)
    return { request: { request_delete_range: { key } }, bytes: key.length }
  })
  return [...puts, ...removals]
}

/** In their order, as few transactions as the limits allow. */
function split(operations: readonly Operation[]): readonly IRequestOp[][] {
  const transactions: IRequestOp[][] = []
  let bytes = 0
  for (const operation of operations) {
    const current = transactions.at(-1)
    bytes += operation.bytes
    if (current !== undefined && current.length < maxOperations && bytes <= maxRequestBytes) {
      current.push(operation.request)
    } else {
      transactions.push([operation.request])
      bytes = operation.bytes
    }
  }
  return transactions
}

/** The first endpoint that lets us in and answers. */
async function connectAny(options: EtcdOptions): Promise<EtcdClient> {
  const failures: string[] = []
  for (const endpoint of options.endpoints) {
    let client: EtcdClient | undefined
    try {
      client = await connectEtcd(options, endpoint)
      await client.kv.range({ key: Buffer.from(configPrefix(options)), count_only: true })
      return client
    } catch (error) {
      client?.close()
      failures.push(`${endpoint}: ${etcdFailure(error)}`)
    }
  }
  throw new ControlPlaneError(
    'unreachable',
    `no etcd answers at ${failures.join('; ')}. Is it running there, and does it let you in?`,
  )
}
