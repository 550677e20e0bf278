import type { DocumentsJson } from '../admin/revision-json.ts'
import { documentsJson } from '../admin/revision-json.ts'
import { ControlPlaneError, messageOf } from '../errors.ts'
import type { EnvoyApi } from '../resource/envoy-api.ts'
import { HistoryDirectory } from '../snapshot/history/directory.ts'
import { type HistoryReader, readHistory } from '../snapshot/history/reader.ts'
import type { RevisionSummary } from '../snapshot/history/record.ts'
import type { EtcdOptions } from '../source/etcd-client.ts'
import { askServer } from './server-client.ts'

/** What was written at revisions, whoever has it. */
export interface WrittenHistory {
  /** Oldest first; never empty. */
  readonly revisions: readonly RevisionSummary[]
  /** Where relative paths of documents begin; undefined where nobody knows. */
  readonly directory: string | undefined
  /** @throws ControlPlaneError `usage` for a revision that is not kept. */
  show(revision: number): Promise<DocumentsJson>
}

interface Answer {
  readonly revisions: readonly RevisionSummary[]
  /** Older servers do not tell. */
  readonly directory?: string
}

/** @throws ControlPlaneError `unreachable` when no server answers, `usage` when it has no revision. */
export async function historyOfServer(
  server: string,
  signal: AbortSignal,
  path: '/api/snapshots' | '/api/fleet/snapshots' = '/api/snapshots',
): Promise<WrittenHistory> {
  const { revisions, directory } = await askServer<Answer>(server, path, signal)
  return {
    directory,
    revisions: someOf(revisions.toReversed(), `the server at ${server}`),
    show: (revision) => askServer<DocumentsJson>(server, `${path}/${revision}/documents`, signal),
  }
}

/** @throws ControlPlaneError `usage` when nothing can be read there. */
export async function historyInDirectory(directory: string, api: EnvoyApi): Promise<WrittenHistory> {
  let reader: HistoryReader
  try {
    reader = await readHistory(new HistoryDirectory(directory), api)
  } catch (error) {
    throw new ControlPlaneError('usage', `--snapshots ${directory} cannot be read: ${messageOf(error)}`, {
      cause: error,
    })
  }
  return historyOf(reader, directory)
}

/**
 * What the replicas on one etcd have in common, without any of them.
 * @throws ControlPlaneError `unreachable` when etcd does not answer, `usage` when it has no revision.
 */
export async function historyInEtcd(etcd: EtcdOptions, api: EnvoyApi): Promise<WrittenHistory> {
  const { historyPrefix, readFleetHistory } = await import('../fleet/fleet-history.ts')
  return historyOf(await readFleetHistory(etcd, api), `etcd ${historyPrefix(etcd)}`)
}

function historyOf(reader: HistoryReader, place: string): WrittenHistory {
  const revisions = someOf(reader.revisions, place)
  return {
    revisions,
    directory: undefined,
    async show(revision) {
      const view = await reader.show(revision)
      if (view !== undefined) return documentsJson(view)
      const range = `${revisions.at(0)?.revision} to ${revisions.at(-1)?.revision}`
      throw new ControlPlaneError('usage', `no revision ${revision}; revisions ${range} are kept`)
    },
  }
}

function someOf(revisions: readonly RevisionSummary[], place: string): readonly RevisionSummary[] {
  if (revisions.length > 0) return revisions
  throw new ControlPlaneError('usage', `${place} has no revision yet: nothing has been in force`)
}
