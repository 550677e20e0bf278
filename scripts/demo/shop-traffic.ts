import { type Call, type SteadyTraffic, startSteadyTraffic } from './steady-traffic.ts'

/** What answered a request: `catalog v2 zone a`. */
export interface Served {
  readonly service: string
  readonly version: string
  readonly zone: string
}

export type ShopTraffic = SteadyTraffic<Served>

export const requestsPerSecond = 240

/** Requests to one call after the other. */
export function startShopTraffic(calls: readonly Call[]): ShopTraffic {
  return startSteadyTraffic({ perSecond: requestsPerSecond, calls, read: servedIn })
}

function servedIn(body: string): Served | undefined {
  const [, service, version, zone] = /^(\S+) (\S+) zone (\S+)$/.exec(body) ?? []
  if (service === undefined || version === undefined || zone === undefined) return undefined
  return { service, version, zone }
}
