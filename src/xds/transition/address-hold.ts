import { listenerAddresses } from '../../resource/references/listener-address.ts'
import type { Resource } from '../../resource/resource.ts'
import { resourceTypes } from '../../resource/type-url.ts'
import { diffSets, type ResourceSet } from '../../snapshot/resource-set.ts'
import type { Held } from './user-hold.ts'
import { setIn, type View } from './view.ts'

const listenerType = resourceTypes.listener.typeUrl

/** A listener that leaves an address, and another that is to come there. */
interface Move {
  readonly owner: string
  readonly taker: string
  readonly address: string
}

/**
 * The listeners of `to` that must wait for an address. Envoy refuses one that comes to an address at which it has another
 * one, be that on its way elsewhere: the old version stays until the new one is warm. So a listener that leaves its
 * address to another is taken away first, in the push in which that one comes and takes over the socket, and comes back at
 * its new address when that is accepted. `mayHold` are sets of which the client may have any; `waiting` is what must wait
 * for other reasons: then all that change places with it stay where they are.
 */
export function heldForAddresses(
  from: View,
  to: View,
  mayHold: readonly ResourceSet[],
  waiting: readonly Held[],
): readonly Held[] {
  const moves = mayHold.flatMap((set) =>
    set.typeUrl === listenerType ? movesBetween(set, setIn(to, listenerType)) : [],
  )
  if (moves.length === 0) return []
  const [before, after] = [setIn(from, listenerType), setIn(to, listenerType)]
  const isWaiting = new Set(
    waiting.flatMap(({ resource }) => (resource.typeUrl === listenerType ? [resource.name] : [])),
  )
  const held = new Map<string, Held>()
  const hold = (name: string, instead: Resource | undefined): void => {
    const resource = after.get(name)
    if (resource === undefined || isWaiting.has(name) || resource.version === instead?.version) return
    held.set(name, { resource, instead })
  }
  const due: Move[] = []
  for (const move of moves) {
    const { owner, taker, address } = move
    const told = before.get(owner)
    if (told === undefined) hold(owner, undefined)
    else if (listenerAddresses(told).includes(address)) due.push(move)
    // It was told to go, and may be there still.
    else hold(taker, before.get(taker))
  }
  for (const name of held.keys()) isWaiting.add(name)
  for (const group of groupsOf(due)) {
    const stays = group.some(({ owner, taker }) => isWaiting.has(owner) || isWaiting.has(taker))
    for (const { owner, taker } of group) {
      hold(owner, stays ? before.get(owner) : undefined)
      if (stays) hold(taker, before.get(taker))
    }
  }
  return [...held.values()]
}

const moves = new WeakMap<ResourceSet, WeakMap<ResourceSet, readonly Move[]>>()

/** Computed once for two sets; costs the listeners that differ. */
function movesBetween(before: ResourceSet, after: ResourceSet): readonly Move[] {
  const ofBefore = moves.get(before) ?? new WeakMap<ResourceSet, readonly Move[]>()
  moves.set(before, ofBefore)
  const found = ofBefore.get(after) ?? findMoves(before, after)
  ofBefore.set(after, found)
  return found
}

function findMoves(before: ResourceSet, after: ResourceSet): readonly Move[] {
  const { changed } = diffSets(before, after)
  const takers = new Map<string, string[]>()
  for (const listener of changed) {
    for (const address of listenerAddresses(listener)) {
      takers.set(address, [...(takers.get(address) ?? []), listener.name])
    }
  }
  const found: Move[] = []
  for (const listener of changed) {
    const { name: owner } = listener
    const old = before.get(owner)
    if (old === undefined) continue
    const [had, has] = [listenerAddresses(old), listenerAddresses(listener)]
    for (const address of had) {
      if (has.includes(address)) continue
      for (const taker of takers.get(address) ?? []) found.push({ owner, taker, address })
    }
  }
  return found
}

/** Moves that have a listener in common, directly or over others. */
function groupsOf(due: readonly Move[]): readonly (readonly Move[])[] {
  let groups: Move[][] = []
  for (const move of due) {
    const isLinked = (group: Move[]): boolean =>
      group.some(({ owner, taker }) => [owner, taker].some((name) => name === move.owner || name === move.taker))
    groups = [...groups.filter((group) => !isLinked(group)), [move, ...groups.filter(isLinked).flat()]]
  }
  return groups
}
