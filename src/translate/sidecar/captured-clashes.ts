import type { ServiceFacet } from '../contract.ts'
import { portClashesOf } from './outbound-ports-of.ts'

/** Two Services that cannot be told apart by a connection that was captured: Envoy refuses the whole listener. */
export interface CapturedClash {
  readonly service: string
  readonly rival: string
  /** The field of the Service that says what both have. */
  readonly path: 'address' | 'hosts'
  readonly both: string
}

/** A connection is told by its address and port, or without an `address` by the name that it asks for by TLS. */
export function capturedClashesOf(reachable: readonly ServiceFacet[]): readonly CapturedClash[] {
  const addressed = reachable.filter(({ address }) => address !== undefined)
  const byName = reachable
    .filter(({ protocol, address, port }) => protocol === 'tls' && address === undefined && port !== undefined)
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
  const first = new Map<string, string>()
  const clashes = portClashesOf(addressed).map(
    ({ place, service, rival }): CapturedClash => ({ service, rival, path: 'address', both: place }),
  )
  for (const { name, hosts } of byName) {
    for (const host of hosts) {
      const rival = first.get(host)
      if (rival === undefined) first.set(host, name)
      else clashes.push({ service: name, rival, path: 'hosts', both: host })
    }
  }
  return clashes
}
