/**
 * Earliest deadline first: each member comes up as often as its weight says, as evenly as that can be. The weight may
 * change from one turn to the next: it counts from then on.
 */
export class EdfSchedule<Member> {
  readonly #weightOf: (member: Member) => number
  /** A heap: none is due before the one at half its index. */
  readonly #turns: Turn<Member>[] = []
  #now = 0
  #order = 0

  /** `start` from 0 up to 1 is where in the whole round it begins, so that proxies do not all begin with the same. */
  constructor(members: readonly Member[], weightOf: (member: Member) => number, start: number) {
    this.#weightOf = weightOf
    const weights = members.map(weightOf)
    const least = Math.min(...weights)
    this.#now = start / least
    members.forEach((member, index) => {
      const weight = weights[index] as number
      // Of whoever had n turns until then, the next is the (n + 1)th.
      this.#push(member, (Math.floor(this.#now * weight) + 1) / weight)
    })
  }

  next(): Member | undefined {
    const first = this.#turns[0]
    if (first === undefined) return undefined
    this.#now = first.deadline
    first.deadline += 1 / this.#weightOf(first.member)
    first.order = this.#order++
    this.#sink(0)
    return first.member
  }

  #push(member: Member, deadline: number): void {
    this.#turns.push({ member, deadline, order: this.#order++ })
    this.#rise(this.#turns.length - 1)
  }

  #rise(from: number): void {
    const turns = this.#turns
    for (let at = from; at > 0; ) {
      const above = (at - 1) >> 1
      if (!isBefore(turns[at] as Turn<Member>, turns[above] as Turn<Member>)) return
      swap(turns, at, above)
      at = above
    }
  }

  #sink(from: number): void {
    const turns = this.#turns
    for (let at = from; ; ) {
      const left = 2 * at + 1
      if (left >= turns.length) return
      const right = left + 1
      const isRight = right < turns.length && isBefore(turns[right] as Turn<Member>, turns[left] as Turn<Member>)
      const below = isRight ? right : left
      if (!isBefore(turns[below] as Turn<Member>, turns[at] as Turn<Member>)) return
      swap(turns, at, below)
      at = below
    }
  }
}

interface Turn<Member> {
  readonly member: Member
  deadline: number
  /** Of two that are due at once, the one that waits longer. */
  order: number
}

function isBefore(one: Turn<unknown>, other: Turn<unknown>): boolean {
  return one.deadline < other.deadline || (one.deadline === other.deadline && one.order < other.order)
}

function swap(turns: unknown[], one: number, other: number): void {
  const held = turns[one]
  turns[one] = turns[other]
  turns[other] = held
}
