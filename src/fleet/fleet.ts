import { hostname } from 'node:os'
import type { Problem } from '../errors.ts'
import type { Log } from '../log.ts'
import type { HistoryReader } from '../snapshot/history/reader.ts'
import type { EtcdOptions } from '../source/etcd-client.ts'
import { createElection, type Election, leaderKey } from './election.ts'
import { createFleetHistory, type FleetHistory, type FleetHistoryOptions, readFleetHistory } from './fleet-history.ts'
import { fleetProblem, writeRightFix } from './fleet-problem.ts'
import { createReplicas, type Replica, type ReplicaFacts, type Replicas } from './replicas.ts'

/** This replica among those on the same etcd. Nothing of it fails a caller, nor keeps anything from being served. */
export interface Fleet {
  /** Who leads; undefined for a replica that writes nothing. */
  readonly election: Election | undefined
  /** What the leader writes down of what is in force; undefined for a replica that writes nothing. */
  readonly history: FleetHistory | undefined
  /** What keeps the replicas from being one fleet. */
  readonly problems: readonly Problem[]
  /** Who is there, as far as is known here. */
  status(): FleetStatus
  /**
   * What the leaders wrote so far, whoever they were. All of it is read from etcd, for all who ask meanwhile at once.
   * @throws ControlPlaneError `unreachable` when etcd does not answer.
   */
  readHistory(): Promise<HistoryReader>
  /** From now on this replica leads no more; it is still listed. */
  resign(): Promise<void>
  close(): Promise<void>
}

export interface FleetStatus {
  readonly self: string
  /** Null where nobody leads, or it is not known here: a replica that writes nothing does not ask. */
  readonly leader: string | null
  readonly replicas: readonly (Replica & { readonly isLeader: boolean })[]
  /** There while etcd does not answer, or takes nothing: who else is there was so before. */
  readonly isStale?: true
}

export interface FleetOptions {
  readonly etcd: EtcdOptions
  readonly id: string
  /** Writes nothing to etcd. */
  readonly isReadOnly: boolean
  /** Of fairlead. */
  readonly version: string
  readonly sources: readonly string[]
  /** What changes of this replica. */
  readonly serving: () => Promise<Pick<ReplicaFacts, 'config' | 'errors' | 'streams'>>
  /** Before, this replica does not stand for leader. */
  readonly ready: Promise<void>
  /** Of this server, and what the fleet's may take. */
  readonly history: Pick<FleetHistoryOptions, 'own' | 'api' | 'maxRevisions' | 'maxBytes'>
  readonly log: Log
}

export function createFleet(options: FleetOptions): Fleet {
  const { etcd, id, isReadOnly, version, sources, serving, ready, log } = options
  const startedAt = new Date().toISOString()
  const facts = async (): Promise<Omit<ReplicaFacts, 'id'>> => ({
    host: hostname(),
    version,
    startedAt,
    sources,
    ...(await serving()),
  })
  const replicas: Replicas = createReplicas({ ...etcd, id, isReadOnly, facts, log })
  const election = isReadOnly ? undefined : createElection({ ...etcd, id, ready, log })
  const history = election && createFleetHistory({ ...options.history, etcd, election, log })
  let reading: Promise<HistoryReader> | undefined
  return {
    election,
    history,
    get problems() {
      const { trouble } = election ?? {}
      const problems = [...replicas.problems]
      if (history?.problem !== undefined) problems.push(history.problem)
      // Whoever reads the documents there tells it when etcd cannot be reached.
      if (replicas.isReachable && trouble !== undefined) {
        problems.push(fleetProblem(leaderKey(etcd), `this replica cannot lead the others: ${trouble}`, writeRightFix))
      }
      return problems
    },
    status() {
      const leader = election?.leader ?? null
      // Another that has this one's id by mistake may lead.
      const leads = (one: Replica): boolean => (one.isSelf ? election?.isLeader === true : one.id === leader)
      const list = replicas.list().map((one) => ({ ...one, isLeader: leads(one) }))
      return { self: id, leader, replicas: list, ...(!replicas.isReachable && { isStale: true }) }
    },
    readHistory() {
      reading ??= readFleetHistory(etcd, options.history.api).finally(() => {
        reading = undefined
      })
      return reading
    },
    async resign() {
      await history?.close()
      await election?.close()
    },
    async close() {
      await history?.close()
      await Promise.all([election?.close(), replicas.close()])
    },
  }
}
