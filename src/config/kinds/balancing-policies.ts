import type { LoadBalancing } from './service-form.ts'

export type BalancingPolicy = NonNullable<LoadBalancing['policy']>

const unhashed = ['least-request', 'round-robin', 'random'] as const
const hashing = ['ring-hash', 'maglev'] as const

/** The policies that know a setting, of those that only some know. */
export const policiesWith: { readonly [F in keyof LoadBalancing]?: readonly BalancingPolicy[] } = {
  slowStart: ['least-request', 'round-robin'],
  choices: ['least-request'],
  hash: hashing,
  zoneAware: unhashed,
  zoneMinEndpoints: unhashed,
  localityWeights: [...unhashed, ...hashing],
}
