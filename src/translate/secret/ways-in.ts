import type { EnvoyApi } from '../../resource/envoy-api.ts'
import { messageToJson } from '../../resource/json/codec.ts'
import type { Resource } from '../../resource/resource.ts'
import { type ResourceWord, wordOf } from '../../resource/type-url.ts'
import { patternsOver } from '../route/host-pattern.ts'

/** Where somebody gets in: to an address, by the name that is asked for. */
export interface WayIn {
  /** `TCP 0.0.0.0:443`, or `cluster cart`. */
  readonly place: string
  /** As hosts are given; `*` where no name is asked for. */
  readonly name: string
}

export interface WaysIn {
  readonly open: readonly WayIn[]
  /** For which connections are closed, or requests answered 503. */
  readonly closed: readonly WayIn[]
}

/** Of a chain or cluster, Envoy's JSON with proto field names. */
interface ChainJson {
  readonly filter_chain_match?: { readonly server_names?: readonly string[] }
  readonly filters?: readonly unknown[]
}

interface ListenerJson {
  readonly address?: {
    readonly socket_address?: {
      readonly protocol?: string
      readonly address?: string
      readonly port_value?: number
    }
  }
  readonly filter_chains?: readonly ChainJson[]
  readonly default_filter_chain?: ChainJson
}

interface ClusterJson {
  readonly name?: string
  readonly type?: string
  readonly cluster_type?: unknown
  readonly load_assignment?: unknown
}

const none: WaysIn = { open: [], closed: [] }

/** Of a resource in Envoy's JSON: nobody gets in by a chain without filters, or a cluster that can have no endpoint. */
export function waysOf(type: ResourceWord, json: unknown): WaysIn {
  if (type === 'cluster') return waysOfCluster(json as ClusterJson)
  return type === 'listener' ? waysOfListener(json as ListenerJson) : none
}

function waysOfListener(listener: ListenerJson): WaysIn {
  const { filter_chains: chains = [], default_filter_chain: rest } = listener
  const all = rest === undefined ? chains : [...chains, rest]
  const isOpen = ({ filters = [] }: ChainJson): boolean => filters.length > 0
  const waysBy = (isWanted: (chain: ChainJson) => boolean): readonly WayIn[] => {
    const names = all.filter(isWanted).flatMap((chain) => chain.filter_chain_match?.server_names ?? ['*'])
    return names.map((name) => ({ place: placeOf(listener), name }))
  }
  return { open: waysBy(isOpen), closed: waysBy((chain) => !isOpen(chain)) }
}

function placeOf({ address: { socket_address: socket } = {} }: ListenerJson): string {
  return `${socket?.protocol ?? 'TCP'} ${socket?.address}:${socket?.port_value ?? 0}`
}

function waysOfCluster({ name, type = 'STATIC', cluster_type, load_assignment }: ClusterJson): WaysIn {
  const way: WayIn = { place: `cluster ${name}`, name: '*' }
  const isClosed = type === 'STATIC' && cluster_type === undefined && load_assignment === undefined
  return isClosed ? { open: [], closed: [way] } : { open: [way], closed: [] }
}

const known = new WeakMap<Resource, WaysIn>()

/** Those of some resources together. */
export function waysInto(api: EnvoyApi, resources: readonly Resource[]): WaysIn {
  const ways = resources.map((resource) => {
    const { typeUrl, bytes } = resource
    const word = wordOf(typeUrl)
    const found = known.get(resource) ?? waysOf(word as ResourceWord, messageToJson(api, typeUrl, bytes))
    known.set(resource, found)
    return found
  })
  return { open: ways.flatMap(({ open }) => open), closed: ways.flatMap(({ closed }) => closed) }
}

/** Whether somebody who got in before finds it closed now. */
export function losesWays(before: WaysIn, after: WaysIn): boolean {
  const [was, is] = [byPlace(before), byPlace(after)]
  return (
    after.closed.some((way) => stateOf(was, way) === 'open') || before.open.some((way) => stateOf(is, way) === 'closed')
  )
}

type State = 'open' | 'closed'

type Places = ReadonlyMap<string, ReadonlyMap<string, State>>

function byPlace({ open, closed }: WaysIn): Places {
  const places = new Map<string, Map<string, State>>()
  const note = ({ place, name }: WayIn, state: State): void => {
    const names = places.get(place) ?? new Map<string, State>()
    places.set(place, names.set(name, state))
  }
  for (const way of closed) note(way, 'closed')
  // What is open to some, as to those who speak TLS, is no loss for others.
  for (const way of open) note(way, 'open')
  return places
}

/** What becomes of who asks for a name: the nearest pattern has it. Undefined where nobody takes it. */
function stateOf(places: Places, { place, name }: WayIn): State | undefined {
  const names = places.get(place)
  const nearest = names && patternsOver(name).find((pattern) => names.has(pattern))
  return nearest === undefined ? undefined : names?.get(nearest)
}
