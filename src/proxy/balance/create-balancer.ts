import { type BalanceConfig, byZone } from './balance-config.ts'
import type { Balancer, BalancerOwner } from './balancer.ts'
import { maglev, ringHash } from './hash-policies.ts'
import { ListBalancer } from './list-balancer.ts'
import { leastRequest, random, reportedWeights, roundRobin } from './list-policies.ts'
import { peakEwma } from './peak-ewma.ts'

/** Of subsets that are to be balanced by what the cluster has itself, which these have not. */
const nobody: Balancer = { choose: () => undefined, update: () => undefined, close: () => undefined }

/** The balancer that a cluster's configuration asks for; undefined where the cluster's kind has a way of its own. */
export function createBalancer(config: BalanceConfig, owner: BalancerOwner): Balancer | undefined {
  switch (config.policy) {
    case 'least request':
      return new ListBalancer(owner, leastRequest(owner, config), config.locality)
    case 'random':
      return new ListBalancer(owner, random(owner), config.locality)
    case 'peak ewma':
      return new ListBalancer(owner, peakEwma(owner, config), byZone)
    case 'reported weights':
      return new ListBalancer(owner, reportedWeights(owner, config), config.locality)
    case 'round robin':
      return new ListBalancer(owner, roundRobin(owner, config), config.locality)
    case 'ring hash':
      return ringHash(owner, config)
    case 'maglev':
      return maglev(owner, config)
    case 'subset':
      return new SubsetBalancer(config, owner.stats, () => createBalancer(config.inner, owner) ?? nobody)
    case 'cluster provided':
      return undefined
  }
}

import { SubsetBalancer } from './subset-balancer.ts'
