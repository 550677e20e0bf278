/** A shop that is somewhere else in every round: requests fail when what names its cluster and what takes the old one away come in the wrong order. */
import { startBackend } from './backend.ts'
import { type Changes, cluster, endpoints, removed, routeConfiguration, routesTo } from './documents.ts'

export interface MovingShop {
  /** The cluster of a round. */
  clusterOf(round: number): string
  /** All that is there in a round. */
  documentsOf(round: number): Changes
  /** From the round before to that one, in one write: the new cluster, what names it, and the old one is deleted. */
  moveTo(round: number): Changes
  /** The backend that answers in a round. */
  backendOf(round: number): 'even' | 'odd'
}

const byRoutes = (clusterName: string): Changes => routeConfiguration('routes', routesTo(clusterName))

/** @param users what names the cluster; the route configuration `routes` by default */
export async function startMovingShop(users: (clusterName: string) => Changes = byRoutes): Promise<MovingShop> {
  const backends = { even: await startBackend({ name: 'even' }), odd: await startBackend({ name: 'odd' }) }
  const clusterOf = (round: number): string => `shop-${round}`
  const backendOf = (round: number): 'even' | 'odd' => (round % 2 === 0 ? 'even' : 'odd')
  const documentsOf = (round: number): Changes => {
    const name = clusterOf(round)
    return { ...cluster(name), ...endpoints(name, backends[backendOf(round)]), ...users(name) }
  }
  const moveTo = (round: number): Changes => {
    const old = clusterOf(round - 1)
    return { ...documentsOf(round), ...removed(`cluster/${old}`, `endpoint/${old}`) }
  }
  return { clusterOf, documentsOf, moveTo, backendOf }
}
