import type { Timer } from '../../clock.ts'
import { ConfigRejection } from '../config/config-rejection.ts'
import type { JsonObject } from '../config/field-reader.ts'
import { FieldReader } from '../config/field-reader.ts'
import { type Assignment, ensureAddresses, noAssignment, readAssignment } from './assignment.ts'
import type { Membership } from './cluster-config.ts'
import type { MemberOwner, MemberSource } from './member-source.ts'

/** Assignments are shared by all proxies of a process that were sent the same. */
const known = new WeakMap<JsonObject, Assignment>()

/** The endpoints of a cluster as the control plane sends them, and again whenever they change. */
export function watchEds(members: Extract<Membership, { by: 'eds' }>, owner: MemberOwner): MemberSource {
  const { context, discovery, stats, sink } = owner
  const { resourceName, source } = members
  let staleness: Timer | undefined
  const expire = (): void => {
    stats.counter('assignment_stale').add()
    sink.assign(noAssignment)
  }
  const watching = discovery.watch(
    'endpoint',
    resourceName,
    {
      onResource({ content }) {
        const assignment = parseAssignment(content, resourceName)
        staleness?.cancel()
        staleness = undefined
        if (assignment.staleAfterMs !== undefined && assignment.staleAfterMs > 0) {
          stats.counter('assignment_timeout_received').add()
          staleness = context.clock.after(assignment.staleAfterMs, expire)
        }
        if (!sink.assign(assignment)) stats.counter('update_no_rebuild').add()
        sink.settle()
      },
      onMissing() {
        stats.counter('update_empty').add()
        sink.settle()
      },
    },
    { ...source, stats },
  )
  return {
    close() {
      staleness?.cancel()
      watching.cancel()
    },
  }
}

/** @throws ConfigRejection */
function parseAssignment(content: JsonObject, resourceName: string): Assignment {
  const before = known.get(content)
  const assignment = before ?? FieldReader.read(content, readAssignment)
  if (assignment.clusterName !== resourceName) {
    throw new ConfigRejection(`Unexpected EDS cluster (expecting ${resourceName}): ${assignment.clusterName}`)
  }
  if (before === undefined) ensureAddresses(assignment)
  known.set(content, assignment)
  return assignment
}
