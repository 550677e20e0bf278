import type { TypeUrl } from '../../resource/type-url.ts'
import type { ReadRequest } from '../protocol/request-reader.ts'
import { setIn, type View } from '../transition/view.ts'
import { type Claim, isMetBy } from './claim.ts'

/** A request that is not heard yet. */
export interface Unheard {
  readonly typeUrl: TypeUrl
  readonly read: ReadRequest
}

/** Subscriptions and ACKs that one client may send meanwhile. */
export const maxUnheard = 1000

/** Clients can make up types without end. */
const maxClaims = 200

/**
 * Of one client that said with its first requests what it has: until it is known that what is in force here is not older, it is
 * given nothing else (rule 87). One that says what is in force is answered, and kept only from what comes next, and not for long:
 * a change that was made and taken back elsewhere may be on its way here.
 */
export class StreamFence {
  readonly #claims = new Map<TypeUrl, Claim>()
  #openAtMs: number
  #seen: View | undefined
  #isMet = false

  /** `openAtMs`: when a client that says what is in force is kept from nothing any more. */
  constructor(openAtMs: number) {
    this.#openAtMs = openAtMs
  }

  /** When it opens by itself; infinite where only proof opens it. */
  get openAtMs(): number {
    return this.#openAtMs
  }

  /** Whether the client's first word on a type is still of interest. */
  isOpenTo(typeUrl: TypeUrl): boolean {
    return this.#claims.size < maxClaims && !this.#claims.has(typeUrl)
  }

  /** `target`: what is in force now. */
  note(claim: Claim, target: View | undefined): void {
    const isMet = target !== undefined && isMetBy(claim, setIn(target, claim.typeUrl))
    if (!isMet) this.#openAtMs = Number.POSITIVE_INFINITY
    // Thousands that come back at once have thousands of names each: none is looked at twice.
    if (this.#claims.size === 0) this.#isMet = isMet
    else if (target === this.#seen) this.#isMet &&= isMet
    else this.#isMet = target !== undefined && isMet && this.#areMet(target)
    this.#seen = target
    this.#claims.set(claim.typeUrl, claim)
  }

  /** The client may be given `target`, for it says that it has that. */
  admits(target: View): boolean {
    if (target !== this.#seen) {
      this.#seen = target
      this.#isMet = this.#areMet(target)
    }
    return this.#isMet
  }

  #areMet(target: View): boolean {
    return [...this.#claims.values()].every((claim) => isMetBy(claim, setIn(target, claim.typeUrl)))
  }
}
