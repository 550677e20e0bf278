import type { FieldReader, ReadByType } from '../config/field-reader.ts'
import type { Headers } from '../http/headers.ts'
import { type CompileFormat, type HeaderChanges, readHeaderChanges } from './header-changes.ts'

/** Which cluster a route leads to. */
export type ClusterChoice =
  | { readonly kind: 'one'; readonly name: string }
  /** The cluster that a header of the request names. */
  | { readonly kind: 'header'; readonly header: string }
  | WeightedChoice

export interface WeightedChoice {
  readonly kind: 'weighted'
  readonly clusters: readonly WeightedCluster[]
  readonly total: number
  readonly usesHash: boolean
  /** A header whose number stands in place of chance. */
  readonly randomHeader: string | undefined
}

export interface WeightedCluster {
  readonly name: string
  /** The header that names it, where `name` is empty. */
  readonly header: string
  readonly weight: number
  readonly metadataMatch: MetadataMatch | undefined
  readonly hostRewrite: string | undefined
  readonly request: HeaderChanges | undefined
  readonly response: HeaderChanges | undefined
  readonly perFilter: ReadonlyMap<string, unknown>
}

/** What of `envoy.lb` a host must have. */
export type MetadataMatch = Readonly<Record<string, unknown>>

/** Of a `Metadata` message, the part that balancers go by. */
export function readMetadataMatch(fields: FieldReader): MetadataMatch {
  const all = fields.struct('filter_metadata') ?? {}
  return (all['envoy.lb'] as MetadataMatch | undefined) ?? {}
}

/** `envoy.config.route.v3.WeightedCluster`. */
export function readWeightedChoice(
  fields: FieldReader,
  compile: CompileFormat,
  perRoute: ReadByType<unknown>,
): WeightedChoice {
  fields.ignore('total_weight', 'deprecated: the sum counts')
  const clusters = fields.list('clusters', (cluster) => ({
    name: cluster.string('name'),
    header: cluster.string('cluster_header').toLowerCase(),
    weight: cluster.number('weight') ?? 0,
    metadataMatch: cluster.message('metadata_match', readMetadataMatch),
    hostRewrite: cluster.has('host_rewrite_literal') ? cluster.string('host_rewrite_literal') : undefined,
    request: readHeaderChanges(cluster, 'request', compile),
    response: readHeaderChanges(cluster, 'response', compile),
    perFilter: cluster.anyMap('typed_per_filter_config', perRoute),
  }))
  const total = clusters.reduce((sum, { weight }) => sum + weight, 0)
  if (total === 0) fields.refuse('clusters', 'Sum of weights in the weighted_cluster must be greater than 0.')
  return {
    kind: 'weighted',
    clusters,
    total,
    usesHash: fields.flag('use_hash_policy'),
    randomHeader: fields.has('header_name') ? fields.string('header_name').toLowerCase() : undefined,
  }
}

export interface ChosenCluster {
  /** Undefined where the header that should name it is absent. */
  readonly name: string | undefined
  readonly weighted: WeightedCluster | undefined
}

/** `random` is from 0 up to 1; `hash` that of the route's hash policies. */
export function chooseCluster(
  choice: ClusterChoice,
  request: Headers,
  random: number,
  hash: bigint | undefined,
): ChosenCluster {
  if (choice.kind === 'one') return { name: choice.name, weighted: undefined }
  if (choice.kind === 'header') return { name: nameIn(request, choice.header), weighted: undefined }
  const weighted = byWeight(choice, placeOf(choice, request, random, hash))
  return { name: weighted.name === '' ? nameIn(request, weighted.header) : weighted.name, weighted }
}

function nameIn(request: Headers, header: string): string | undefined {
  const name = request.get(header)
  return name === '' ? undefined : name
}

function placeOf({ total, usesHash, randomHeader }: WeightedChoice, request: Headers, random: number, hash?: bigint) {
  if (usesHash && hash !== undefined) return Number(hash % BigInt(total))
  const given = randomHeader === undefined ? undefined : request.get(randomHeader)
  if (given !== undefined && /^\d+$/.test(given)) return Number(BigInt(given) % BigInt(total))
  return Math.floor(random * total)
}

function byWeight({ clusters }: WeightedChoice, place: number): WeightedCluster {
  let end = 0
  for (const cluster of clusters) {
    end += cluster.weight
    if (place < end) return cluster
  }
  return clusters.at(-1) as WeightedCluster
}
