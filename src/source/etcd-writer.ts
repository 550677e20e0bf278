import type { ICompare, IRequestOp } from 'etcd3'
import { ControlPlaneError } from '../errors.ts'
import { batchesOf, maxOperations, maxRequestBytes } from './etcd-batches.ts'
import { configPrefix, connectEtcd, type EtcdClient, type EtcdOptions, etcdFailure } from './etcd-client.ts'
import { readAll } from './etcd-read.ts'
import { maxValueBytes } from './etcd-source.ts'

/** Keys are below `<prefix>config/`: `cluster/cart`. */
export interface DocumentChanges {
  readonly upserts: readonly { readonly key: string; readonly text: string }[]
  readonly deletes: readonly string[]
}

interface Operation {
  readonly key: Buffer
  readonly request: IRequestOp
  readonly bytes: number
}

/** A document as etcd holds it. */
export interface StoredDocument {
  readonly key: string
  readonly text: string
  readonly modRevision: string
}

export interface PutOptions {
  /** More than one transaction takes may go in several. */
  readonly batches: boolean
  /** What every key is expected to be at, by its mod revision; '0' and absent: not there. Else nothing is written. */
  readonly expected?: ReadonlyMap<string, string>
  readonly onDone?: (transactions: number, of: number) => void
  /** Told of each key that was to be deleted, and was not there. */
  readonly onMissing?: (key: string) => void
}

/**
 * All documents below `<prefix>config/`, as they are at one revision.
 * @throws ControlPlaneError `unreachable` when no endpoint answers; `config` for a value that is no text.
 */
export async function readStored(options: EtcdOptions): Promise<readonly StoredDocument[]> {
  const client = await connectAny(options)
  const prefix = configPrefix(options)
  try {
    const { entries } = await readAll(client, prefix)
    return entries.map(({ key, value, modRevision }) => ({
      key: key.slice(prefix.length),
      text: textOf(key, value),
      modRevision,
    }))
  } catch (error) {
    if (error instanceof ControlPlaneError) throw error
    throw new ControlPlaneError('unreachable', `cannot read etcd: ${etcdFailure(error)}`, { cause: error })
  } finally {
    client.close()
  }
}

function textOf(key: string, value: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(value)
  } catch (error) {
    throw new ControlPlaneError('config', `the value of ${key} is not UTF-8: mend or delete it first`, { cause: error })
  }
}

/**
 * Writes documents to etcd, in one transaction: whoever watches sees all of it or nothing. What does not fit into one is
 * refused, unless `batches` allows several: additions and changes first, deletions last.
 * @returns the revision of each transaction.
 * @throws ControlPlaneError `usage` for changes that cannot be written so; `config` when a key is not as expected; `unreachable` when no endpoint answers, or a
 * transaction fails: the message says how many were done.
 */
export async function putDocuments(
  options: EtcdOptions,
  changes: DocumentChanges,
  { batches, expected, onDone = () => {}, onMissing = () => {} }: PutOptions,
): Promise<readonly string[]> {
  const operations = operationsOf(changes, configPrefix(options))
  const transactions = batchesOf(operations)
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
    for (const operations of transactions) {
      const success = operations.map(({ request }) => request)
      const compare = expected && operations.map(({ key }) => isAt(key, expected.get(nameOf(key, options)) ?? '0'))
      const { succeeded, header, responses } = await client.kv.txn({ success, ...(compare && { compare }) })
      if (!succeeded) throw changedMeanwhile(revisions.length, transactions.length)
      revisions.push(header.revision)
      for (const [index, { key }] of operations.entries()) {
        if (responses[index]?.response_delete_range?.deleted === '0') onMissing(nameOf(key, options))
      }
      onDone(revisions.length, transactions.length)
    }
    return revisions
  } catch (error) {
    if (error instanceof ControlPlaneError) throw error
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
    return { key, request: { request_put: { key, value } }, bytes: key.length + value.length }
  })
  const removals = deletes.map((name): Operation => {
    const key = keyOf(name)
    return { key, request: { request_delete_range: { key } }, bytes: key.length }
  })
  return [...puts, ...removals]
}

function isAt(key: Buffer, modRevision: string): ICompare {
  return { key, target: 'Mod', result: 'Equal', mod_revision: modRevision }
}

function nameOf(key: Buffer, options: EtcdOptions): string {
  return key.toString().slice(configPrefix(options).length)
}

function changedMeanwhile(done: number, all: number): ControlPlaneError {
  const what = done === 0 ? 'nothing was written' : `${done} of ${all} transactions were done`
  return new ControlPlaneError('config', `somebody changed a document meanwhile, so ${what}: look again`)
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
    `no etcd answers at ${failures.join('; ')}. Is it running there, is http:// or https:// right, and does it let you in?`,
  )
}
