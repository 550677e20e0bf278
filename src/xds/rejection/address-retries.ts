import { listenerAddresses } from '../../resource/references/listener-address.ts'
import type { Resource } from '../../resource/resource.ts'
import { resourceTypes } from '../../resource/type-url.ts'
import type { ResourceSet } from '../../snapshot/resource-set.ts'
import { setIn, type View } from '../transition/view.ts'

const listenerType = resourceTypes.listener.typeUrl

/** How long after its rejection a listener is tried again; each time it is twice as long, while all listeners stay as they are. */
export const firstRetryMs = 10_000

/** While all listeners stay as they are: for ten minutes. */
export const maxRetries = 6

/** Of nodes with more such listeners, those that were rejected first wait until they change. */
const maxNames = 1000

/** Of one name, the last rejection. */
interface Refusal {
  readonly version: string
  readonly atMs: number
  /** Nothing that the client was to have then was at one of its addresses. */
  readonly wasFree: boolean
  /** The version of all listeners of the snapshot then. */
  readonly beside: string
  /** It was rejected so often beside these. */
  readonly times: number
}

/** True if Envoy rejected a listener because it has another one at its address. */
export function isAddressTaken({ typeUrl }: Pick<Resource, 'typeUrl'>, message: string): boolean {
  return typeUrl === listenerType && message.includes(' has duplicate address ')
}

/**
 * The listeners that a node rejected because it had another one at their address. That says nothing against their content,
 * which fits when the other one has gone: so they are tried again when what is to be there changes, and, where nothing is to
 * be there, after a while. For Envoy may have more than it was sent here: what another server sent it, or the old version of
 * a listener that it accepted at another address and that warms there still. Never a loop (rule 30): one change brings one
 * try, and time a few.
 */
export class AddressRetries {
  readonly #refusals = new Map<string, Refusal>()

  /** `sent`: all that the client was to have. `beside`: the listeners of the snapshot. */
  note(listener: Resource, sent: ResourceSet, beside: ResourceSet, nowMs: number): void {
    const { name, version } = listener
    const before = this.#refusals.get(name)
    const isAgain = before?.version === version && before.beside === beside.version
    const times = isAgain ? before.times + 1 : 1
    const wasFree = isFree(listener, sent)
    this.#refusals.delete(name)
    this.#refusals.set(name, { version, atMs: nowMs, wasFree, beside: beside.version, times })
    const [oldest] = this.#refusals.keys()
    if (this.#refusals.size > maxNames && oldest !== undefined) this.#refusals.delete(oldest)
  }

  /** A client begins a stream: it may have restarted, and have nothing at any address. */
  noteStream(): void {
    for (const [name, refusal] of this.#refusals) this.#refusals.set(name, { ...refusal, times: 1 })
  }

  /**
   * Those of `standing` that are to be sent again now, and when to look again. `target`: what the client should have while
   * they are not.
   */
  due(
    standing: readonly { readonly resource: Resource }[],
    snapshot: View,
    target: View,
    nowMs: number,
  ): { readonly resources: readonly Resource[]; readonly nextMs: number } {
    const resources: Resource[] = []
    let nextMs = Number.POSITIVE_INFINITY
    if (this.#refusals.size === 0) return { resources, nextMs }
    const wanted = setIn(snapshot, listenerType)
    for (const { resource } of standing) {
      const refusal = resource.typeUrl === listenerType ? this.#refusals.get(resource.name) : undefined
      if (refusal?.version !== resource.version || wanted.get(resource.name)?.version !== resource.version) continue
      const dueMs = refusal.atMs + waitOf(refusal, wanted)
      if (nowMs < dueMs) nextMs = Math.min(nextMs, dueMs)
      else if (isFree(resource, setIn(target, listenerType))) resources.push(resource)
    }
    return { resources, nextMs }
  }
}

function waitOf({ wasFree, beside, times }: Refusal, wanted: ResourceSet): number {
  if (beside !== wanted.version) return wasFree ? firstRetryMs : 0
  return times > maxRetries ? Number.POSITIVE_INFINITY : firstRetryMs * 2 ** (times - 1)
}

function isFree(listener: Resource, others: ResourceSet): boolean {
  const addresses = new Set(listenerAddresses(listener))
  for (const other of others.values()) {
    if (other.name === listener.name || !other.isReady) continue
    if (listenerAddresses(other).some((address) => addresses.has(address))) return false
  }
  return true
}
