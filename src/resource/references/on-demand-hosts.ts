import jspb from 'google-protobuf'
import type { Resource } from '../resource.ts'

/** `RouteConfiguration.vhds` */
const vhdsField = 9

const known = new WeakMap<Resource, boolean>()

/** Whether a route configuration takes more virtual hosts by VHDS. */
export function hasOnDemandHosts(route: Resource): boolean {
  let found = known.get(route)
  if (found === undefined) {
    found = false
    const reader = new jspb.BinaryReader(route.bytes)
    while (reader.nextField()) {
      if (reader.getFieldNumber() === vhdsField) found = true
      reader.skipField()
    }
    known.set(route, found)
  }
  return found
}
