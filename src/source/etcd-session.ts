import { ControlPlaneError } from '../errors.ts'
import { connectEtcd, type EtcdClient, type EtcdOptions, etcdFailure } from './etcd-client.ts'

/** A connection to whichever endpoint answers, made when it is first needed, and anew after any failure. */
export interface EtcdSession {
  /**
   * Runs calls that may be made twice: what fails is tried once more at each of the other endpoints.
   * @throws ControlPlaneError `unreachable` when all of them fail, with what each said; of the task itself as it is.
   */
  run<T>(task: (client: EtcdClient) => Promise<T>): Promise<T>
  close(): void
  /** Closes when the work has ended, or after so many milliseconds: what is under way then fails. */
  closeAfter(work: Promise<void>, ms: number): Promise<void>
}

/** How long the end of a server waits for etcd, in milliseconds. */
export const patienceMs = 2_000

export function createEtcdSession(options: EtcdOptions): EtcdSession {
  const { endpoints } = options
  const abort = new AbortController()
  let client: EtcdClient | undefined
  let turn = 0

  const drop = (failed: EtcdClient | undefined): void => {
    failed?.close()
    if (client === failed) client = undefined
  }

  const close = (): void => {
    abort.abort()
    drop(client)
  }

  return {
    async run(task) {
      const failures = new Map<string, string>()
      while (failures.size < endpoints.length) {
        const endpoint = endpoints[turn % endpoints.length] as string
        let used = client
        const isOld = used !== undefined
        try {
          used ??= await connectEtcd(options, endpoint, abort.signal)
          // Another call may have connected meanwhile: one connection is enough.
          if (client !== undefined && client !== used) {
            used.close()
            used = client
          }
          client = used
          return await task(used)
        } catch (error) {
          if (error instanceof ControlPlaneError) throw error
          drop(used)
          // A connection outlives the token that it was let in with: that of its own says whether etcd answers.
          if (isOld && !abort.signal.aborted) continue
          turn++
          failures.set(endpoint, etcdFailure(error))
          if (abort.signal.aborted) break
        }
      }
      const reasons = Array.from(failures, ([endpoint, reason]) => `${endpoint}: ${reason}`)
      throw new ControlPlaneError('unreachable', `etcd does not answer: ${reasons.join('; ')}`)
    },
    close,
    async closeAfter(work, ms) {
      const patience = setTimeout(close, ms)
      await work
      clearTimeout(patience)
      close()
    },
  }
}
