import { ConfigRejection } from '../config/config-rejection.ts'
import type { FieldReader, JsonObject, Read } from '../config/field-reader.ts'
import { readPercent } from '../config/fraction.ts'
import { type RuntimeDouble, readRuntimeDouble } from '../config/runtime-double.ts'

/** Which host takes a request, of those of the priority that it falls to. */
export type BalanceConfig =
  | RoundRobinConfig
  | LeastRequestConfig
  | RandomConfig
  | RingHashConfig
  | MaglevConfig
  | ReportedWeightConfig
  | PeakEwmaConfig
  | SubsetConfig
  | ClusterProvidedConfig

export interface RoundRobinConfig {
  readonly policy: 'round robin'
  readonly slowStart: SlowStartConfig | undefined
  readonly locality: LocalityConfig
}

export interface LeastRequestConfig {
  readonly policy: 'least request'
  /** How many are drawn, of which the one with the fewest requests is taken. */
  readonly choices: number
  readonly isFullScan: boolean
  /** Where weights differ: a host's weight is divided by (its requests + 1) to this power. */
  readonly activeRequestBias: RuntimeDouble
  readonly slowStart: SlowStartConfig | undefined
  readonly locality: LocalityConfig
}

export interface RandomConfig {
  readonly policy: 'random'
  readonly locality: LocalityConfig
}

export interface RingHashConfig {
  readonly policy: 'ring hash'
  readonly hash: 'xxHash' | 'murmur'
  readonly minimumRingSize: number
  readonly maximumRingSize: number
  readonly hashing: ConsistentHashing
}

export interface MaglevConfig {
  readonly policy: 'maglev'
  readonly tableSize: number
  readonly hashing: ConsistentHashing
}

/** Round robin by weights that follow from what hosts report of their load with their responses. Times are ms. */
export interface ReportedWeightConfig {
  readonly policy: 'reported weights'
  /** What a host says counts when it has said something for so long. */
  readonly blackoutMs: number
  /** What it said is forgotten after that. */
  readonly expirationMs: number
  readonly updatePeriodMs: number
  /** How much errors count as utilization. */
  readonly errorPenalty: number
  readonly locality: LocalityConfig
}

/** By how long hosts take to answer; a stock Envoy has it only where it was built with its contributed extensions. */
export interface PeakEwmaConfig {
  readonly policy: 'peak ewma'
  /** After so long an answer counts 1/e of what it did. */
  readonly decayMs: number
  /** What a host takes to answer for as long as nobody knows. */
  readonly defaultMs: number
  /** What a host costs that has requests and has never answered. */
  readonly penalty: number
}

export interface ConsistentHashing {
  /** A host's place follows from its name, not its address. */
  readonly usesHostname: boolean
  /** In percent of the mean load, what a host may have before others help; 0: no bound. */
  readonly balanceFactor: number
  readonly isLocalityWeighted: boolean
}

/** Hosts are grouped by their `envoy.lb` metadata, and a request goes to the group that has what its route asks for. */
export interface SubsetConfig {
  readonly policy: 'subset'
  readonly fallback: SubsetFallback
  readonly defaultSubset: JsonObject
  readonly selectors: readonly SubsetSelector[]
  readonly isLocalityWeightAware: boolean
  readonly scalesLocalityWeight: boolean
  /** A subset in panic lets any host of the cluster in. */
  readonly panicsToAny: boolean
  /** A list in a host's metadata stands for each of its members. */
  readonly listsAsAny: boolean
  /** Of the request's metadata: `fallback_list` has further choices, tried in their order. */
  readonly hasFallbackList: boolean
  readonly allowsRedundantKeys: boolean
  readonly inner: BalanceConfig
}

export type SubsetFallback = 'none' | 'any endpoint' | 'default subset'

export interface SubsetSelector {
  /** Sorted. */
  readonly keys: readonly string[]
  readonly isSingleHost: boolean
  /** Undefined: as the whole says. */
  readonly fallback: SubsetFallback | 'keys' | undefined
  readonly fallbackKeys: readonly string[]
}

/** The cluster's kind has a way of its own. */
export interface ClusterProvidedConfig {
  readonly policy: 'cluster provided'
}

/** A new host gets its whole load by and by. */
export interface SlowStartConfig {
  readonly windowMs: number
  readonly aggression: RuntimeDouble
  /** The least share of its weight, from 0 to 1. */
  readonly minWeight: number
}

/** What the localities of hosts mean. */
export type LocalityConfig =
  | { readonly by: 'weight' }
  | {
      readonly by: 'zone'
      /** From 0 to 100. */
      readonly routingEnabledPercent: number
      readonly minClusterSize: number
      readonly failsTrafficOnPanic: boolean
    }

/** Zones count wherever the proxy knows its peers, even where nothing is said. */
export const byZone: LocalityConfig = {
  by: 'zone',
  routingEnabledPercent: 100,
  minClusterSize: 6,
  failsTrafficOnPanic: false,
}

const noBias: RuntimeDouble = { byDefault: 1, runtimeKey: '' }
const evenHashing: ConsistentHashing = { usesHostname: false, balanceFactor: 0, isLocalityWeighted: false }
const extensions = 'envoy.extensions.load_balancing_policies'

/** What is said of all policies of a cluster. */
export interface CommonBalance {
  /** In percent: with fewer hosts available than that, health does not count. */
  readonly panicThreshold: number
  readonly updateMergeWindowMs: number
  readonly ignoresNewHostsUntilFirstCheck: boolean
  readonly locality: LocalityConfig
  readonly hashing: ConsistentHashing
}

/** `envoy.config.cluster.v3.Cluster.CommonLbConfig` */
export function readCommonBalance(fields: FieldReader): CommonBalance {
  const threshold = fields.message('healthy_panic_threshold', readPercent)
  const locality = readLocalityConfig(fields)
  if (fields.flag('close_connections_on_host_set_change')) {
    fields.refuse('close_connections_on_host_set_change', 'connections stay while their hosts do')
  }
  return {
    panicThreshold: threshold === undefined ? 50 : Math.round(threshold * 100),
    updateMergeWindowMs: fields.durationMs('update_merge_window') ?? 1000,
    ignoresNewHostsUntilFirstCheck: fields.flag('ignore_new_hosts_until_first_hc'),
    locality,
    hashing: {
      ...(fields.message('consistent_hashing_lb_config', readConsistentHashing) ?? evenHashing),
      isLocalityWeighted: locality.by === 'weight',
    },
  }
}

export const defaultCommonBalance: CommonBalance = {
  panicThreshold: 50,
  updateMergeWindowMs: 1000,
  ignoresNewHostsUntilFirstCheck: false,
  locality: byZone,
  hashing: evenHashing,
}

/** The policy of a cluster, by `load_balancing_policy` or, in the older form, `lb_policy` and what goes with it. */
export function readBalance(cluster: FieldReader, common: CommonBalance): BalanceConfig {
  const named = cluster.choice('lb_policy', [
    'ROUND_ROBIN',
    'LEAST_REQUEST',
    'RING_HASH',
    'RANDOM',
    'MAGLEV',
    'CLUSTER_PROVIDED',
    'LOAD_BALANCING_POLICY_CONFIG',
  ])
  if (cluster.has('load_balancing_policy') || named === 'LOAD_BALANCING_POLICY_CONFIG') return readTyped(cluster)
  const inner = readNamed(cluster, named, common)
  const subset = cluster.message('lb_subset_config', (of) => readSubset(of, inner))
  // Envoy takes one without selectors for none.
  return subset === undefined || subset.selectors.length === 0 ? inner : subset
}

function readNamed(cluster: FieldReader, named: string, { locality, hashing }: CommonBalance): BalanceConfig {
  switch (named) {
    case 'LEAST_REQUEST':
      return (
        cluster.message('least_request_lb_config', (of) => ({ ...readLeastRequest(of), locality })) ?? {
          ...plainLeastRequest,
          locality,
        }
      )
    case 'RING_HASH': {
      const ring = cluster.message('ring_hash_lb_config', readRing)
      return { policy: 'ring hash', ...(ring ?? plainRing), hashing }
    }
    case 'MAGLEV': {
      const tableSize = cluster.message('maglev_lb_config', readTableSize) ?? defaultTableSize
      return { policy: 'maglev', tableSize, hashing }
    }
    case 'RANDOM':
      return { policy: 'random', locality }
    case 'CLUSTER_PROVIDED':
      return { policy: 'cluster provided' }
    default: {
      const slowStart = cluster.message('round_robin_lb_config', readSlowStartOf)
      return { policy: 'round robin', slowStart, locality }
    }
  }
}

function readTyped(cluster: FieldReader): BalanceConfig {
  if (!cluster.has('load_balancing_policy')) {
    throw new ConfigRejection('cluster: field load_balancing_policy need to be set')
  }
  if (cluster.has('lb_subset_config')) {
    throw new ConfigRejection('cluster: load_balancing_policy cannot be combined with lb_subset_config')
  }
  return (
    cluster.message('load_balancing_policy', (of) => readPolicies(of, cluster.string('name'))) ?? {
      policy: 'round robin',
      slowStart: undefined,
      locality: byZone,
    }
  )
}

/** `envoy.config.cluster.v3.LoadBalancingPolicy`: the first that this proxy knows, as Envoy takes it. */
function readPolicies(fields: FieldReader, clusterName: string): BalanceConfig {
  const names: string[] = []
  let chosen: BalanceConfig | undefined
  fields.list('policies', (policy) =>
    policy.message('typed_extension_config', (extension) => {
      names.push(extension.string('name'))
      const type = typeOf(extension.struct('typed_config'))
      if (chosen === undefined && policyTypes[type] !== undefined) chosen = extension.any('typed_config', policyTypes)
    }),
  )
  if (chosen !== undefined) return chosen
  throw new ConfigRejection(
    `cluster: didn't find a registered load balancer factory implementation for cluster: '${clusterName}' with names from [${names.join(', ')}]`,
  )
}

function typeOf(any: JsonObject | undefined): string {
  const url = any?.['@type']
  return typeof url === 'string' ? url.replace(/^.*\//, '') : ''
}

function readPeakEwma(fields: FieldReader): PeakEwmaConfig {
  fields.ignore('aggregation_interval', 'what is measured counts at once, for there is but one thread')
  fields.ignore('max_samples_per_host', 'what is measured counts at once, so that none is kept')
  return {
    policy: 'peak ewma',
    decayMs: fields.durationMs('decay_time') ?? 10_000,
    defaultMs: fields.durationMs('default_rtt') ?? 10,
    penalty: fields.number('penalty_value') ?? 1_000_000,
  }
}

const policyTypes: Readonly<Record<string, Read<BalanceConfig>>> = {
  [`${extensions}.round_robin.v3.RoundRobin`]: (fields) => ({
    policy: 'round robin',
    slowStart: readSlowStartOf(fields),
    locality: fields.message('locality_lb_config', readLocalityConfig) ?? byZone,
  }),
  [`${extensions}.least_request.v3.LeastRequest`]: readLeastRequest,
  [`${extensions}.random.v3.Random`]: (fields) => ({
    policy: 'random',
    locality: fields.message('locality_lb_config', readLocalityConfig) ?? byZone,
  }),
  [`${extensions}.ring_hash.v3.RingHash`]: (fields) => ({
    policy: 'ring hash',
    ...readRing(fields),
    hashing: readTypedHashing(fields, {
      usesHostname: fields.flag('use_hostname_for_hashing'),
      balanceFactor: fields.number('hash_balance_factor') ?? 0,
    }),
  }),
  [`${extensions}.maglev.v3.Maglev`]: (fields) => ({
    policy: 'maglev',
    tableSize: readTableSize(fields),
    hashing: readTypedHashing(fields, evenHashing),
  }),
  [`${extensions}.subset.v3.Subset`]: (fields) => {
    const inner = fields.message('subset_lb_policy', (of) => readPolicies(of, ''))
    return readSubset(fields, inner ?? { policy: 'round robin', slowStart: undefined, locality: byZone })
  },
  [`${extensions}.client_side_weighted_round_robin.v3.ClientSideWeightedRoundRobin`]: (fields) => {
    if (fields.flag('enable_oob_load_report')) fields.refuse('enable_oob_load_report', 'it is not supported')
    fields.ignore('oob_reporting_period', 'there are no reports beside those with responses')
    return {
      policy: 'reported weights',
      blackoutMs: fields.durationMs('blackout_period') ?? 10_000,
      expirationMs: fields.durationMs('weight_expiration_period') ?? 180_000,
      updatePeriodMs: fields.durationMs('weight_update_period') ?? 1000,
      errorPenalty: fields.number('error_utilization_penalty') ?? 1,
      locality: fields.message('locality_lb_config', readLocalityConfig) ?? byZone,
    }
  },
  [`${extensions}.peak_ewma.v3alpha.PeakEwma`]: readPeakEwma,
  [`${extensions}.peak_ewma.v3.PeakEwma`]: readPeakEwma,
  [`${extensions}.cluster_provided.v3.ClusterProvided`]: () => ({ policy: 'cluster provided' }),
}

const plainLeastRequest: LeastRequestConfig = {
  policy: 'least request',
  choices: 2,
  isFullScan: false,
  activeRequestBias: noBias,
  slowStart: undefined,
  locality: byZone,
}

function readLeastRequest(fields: FieldReader): LeastRequestConfig {
  const isOldFullScan = fields.flag('enable_full_scan')
  return {
    policy: 'least request',
    choices: fields.number('choice_count') ?? plainLeastRequest.choices,
    isFullScan: fields.choice('selection_method', ['N_CHOICES', 'FULL_SCAN']) === 'FULL_SCAN' || isOldFullScan,
    activeRequestBias: fields.message('active_request_bias', readRuntimeDouble) ?? noBias,
    slowStart: readSlowStartOf(fields),
    locality: fields.message('locality_lb_config', readLocalityConfig) ?? byZone,
  }
}

type Ring = Pick<RingHashConfig, 'hash' | 'minimumRingSize' | 'maximumRingSize'>

const maximumRingSize = 8 * 1024 * 1024
const plainRing: Ring = { hash: 'xxHash', minimumRingSize: 1024, maximumRingSize }

/** @throws ConfigRejection where the ring would have to be larger than it may be */
function readRing(fields: FieldReader): Ring {
  const hash = fields.choice('hash_function', ['XX_HASH', 'DEFAULT_HASH', 'MURMUR_HASH_2'])
  const ring: Ring = {
    hash: hash === 'MURMUR_HASH_2' ? 'murmur' : 'xxHash',
    minimumRingSize: fields.number('minimum_ring_size') ?? plainRing.minimumRingSize,
    maximumRingSize: fields.number('maximum_ring_size') ?? plainRing.maximumRingSize,
  }
  if (ring.minimumRingSize > ring.maximumRingSize) {
    throw new ConfigRejection(
      `ring hash: minimum_ring_size (${ring.minimumRingSize}) > maximum_ring_size (${ring.maximumRingSize})`,
    )
  }
  return ring
}

const defaultTableSize = 65_537

/** @throws ConfigRejection for a size that is no prime number */
function readTableSize(fields: FieldReader): number {
  const size = fields.number('table_size') ?? defaultTableSize
  if (!isPrime(size)) throw new ConfigRejection('The table size of maglev must be prime number')
  return size
}

function isPrime(value: number): boolean {
  if (value < 2) return false
  for (let divisor = 2; divisor * divisor <= value; divisor++) if (value % divisor === 0) return false
  return true
}

type HashingWithoutLocality = Omit<ConsistentHashing, 'isLocalityWeighted'>

function readConsistentHashing(fields: FieldReader): HashingWithoutLocality {
  return {
    usesHostname: fields.flag('use_hostname_for_hashing'),
    balanceFactor: fields.number('hash_balance_factor') ?? 0,
  }
}

function readTypedHashing(fields: FieldReader, otherwise: HashingWithoutLocality): ConsistentHashing {
  return {
    ...(fields.message('consistent_hashing_lb_config', readConsistentHashing) ?? otherwise),
    isLocalityWeighted: fields.message('locality_weighted_lb_config', () => true) ?? false,
  }
}

function readSlowStartOf(fields: FieldReader): SlowStartConfig | undefined {
  return fields.message('slow_start_config', (of) => ({
    windowMs: of.durationMs('slow_start_window') ?? 0,
    aggression: of.message('aggression', readRuntimeDouble) ?? { byDefault: 1, runtimeKey: '' },
    minWeight: of.message('min_weight_percent', readPercent) ?? 0.1,
  }))
}

function readLocalityConfig(fields: FieldReader): LocalityConfig {
  const zone = fields.message('zone_aware_lb_config', (of): LocalityConfig => {
    const enabled = of.message('routing_enabled', readPercent)
    return {
      by: 'zone',
      routingEnabledPercent: enabled === undefined ? 100 : Math.round(enabled * 100),
      minClusterSize: of.number('min_cluster_size') ?? 6,
      failsTrafficOnPanic: of.flag('fail_traffic_on_panic'),
    }
  })
  const isWeighted = fields.message('locality_weighted_lb_config', () => true) ?? false
  return isWeighted ? { by: 'weight' } : (zone ?? byZone)
}

const fallbacks = { NO_FALLBACK: 'none', ANY_ENDPOINT: 'any endpoint', DEFAULT_SUBSET: 'default subset' } as const

function readSubset(fields: FieldReader, inner: BalanceConfig): SubsetConfig {
  return {
    policy: 'subset',
    fallback: fallbacks[fields.choice('fallback_policy', ['NO_FALLBACK', 'ANY_ENDPOINT', 'DEFAULT_SUBSET'])],
    defaultSubset: fields.struct('default_subset') ?? {},
    selectors: fields.list('subset_selectors', readSelector),
    isLocalityWeightAware: fields.flag('locality_weight_aware'),
    scalesLocalityWeight: fields.flag('scale_locality_weight'),
    panicsToAny: fields.flag('panic_mode_any'),
    listsAsAny: fields.flag('list_as_any'),
    hasFallbackList:
      fields.choice('metadata_fallback_policy', ['METADATA_NO_FALLBACK', 'FALLBACK_LIST']) === 'FALLBACK_LIST',
    allowsRedundantKeys: fields.flag('allow_redundant_keys'),
    inner,
  }
}

const selectorFallbacks = { ...fallbacks, NOT_DEFINED: undefined, KEYS_SUBSET: 'keys' } as const

/** @throws ConfigRejection in Envoy's words for fallback keys that are no true part of the keys */
function readSelector(fields: FieldReader): SubsetSelector {
  const keys = [...new Set(fields.strings('keys'))].sort()
  const fallbackKeys = [...new Set(fields.strings('fallback_keys_subset'))].sort()
  const fallback = fields.choice('fallback_policy', [
    'NOT_DEFINED',
    'NO_FALLBACK',
    'ANY_ENDPOINT',
    'DEFAULT_SUBSET',
    'KEYS_SUBSET',
  ])
  const isSingleHost = fields.flag('single_host_per_subset')
  if (fallback === 'KEYS_SUBSET') {
    if (fallbackKeys.length === 0) throw new ConfigRejection('fallback_keys_subset cannot be empty')
    if (!fallbackKeys.every((key) => keys.includes(key))) {
      throw new ConfigRejection('fallback_keys_subset must be a subset of selector keys')
    }
    if (fallbackKeys.length === keys.length) {
      throw new ConfigRejection('fallback_keys_subset cannot be equal to keys')
    }
  } else if (fallbackKeys.length > 0) {
    throw new ConfigRejection('fallback_keys_subset can be set only for KEYS_SUBSET fallback_policy')
  }
  return { keys, isSingleHost, fallback: selectorFallbacks[fallback], fallbackKeys }
}
