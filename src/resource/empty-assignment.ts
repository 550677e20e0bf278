import type { Origin } from '../errors.ts'
import { buildResource, type Resource } from './resource.ts'
import { resourceTypes } from './type-url.ts'

/**
 * The assignment that says that a cluster has no endpoint: without one, the cluster warms until its fetch timeout
 * (rule 24). `origin` is the cluster's, which asks for it.
 */
export function emptyAssignment(name: string, origin: Origin): Resource {
  return buildResource({ typeUrl: resourceTypes.endpoint.typeUrl, name, bytes: assignmentBytes(name), origin })
}

/** `ClusterLoadAssignment.cluster_name` is field 1, a string: tag, length, UTF-8. */
function assignmentBytes(name: string): Uint8Array {
  const text = Buffer.from(name)
  const header = [0x0a]
  let length = text.length
  for (; length > 0x7f; length >>>= 7) header.push((length & 0x7f) | 0x80)
  header.push(length)
  return Buffer.concat([Buffer.from(header), text])
}
