import { Quantiles } from './quantiles.ts'
import type { Counter, Gauge, Histogram, StatScope, StatStore, Text } from './stat-store.ts'

export function createStatStore(): StatStore {
  return new Store()
}

/** A stat, with how many scopes hold it: there are many, so that each is one small object. */
interface Held {
  holders: number
}

class Count implements Counter, Held {
  holders = 0
  value = 0

  add(amount = 1): void {
    this.value += amount
  }
}

class Level implements Gauge, Held {
  holders = 0
  value = 0

  set(value: number): void {
    this.value = value
  }

  add(amount: number): void {
    this.value += amount
  }
}

class Word implements Text, Held {
  holders = 0
  value = ''

  set(value: string): void {
    this.value = value
  }
}

class HeldQuantiles extends Quantiles implements Held {
  holders = 0
}

/** Stats of one kind, each for as long as some scope holds it. */
class Shelf<Stat extends Held> {
  readonly #create: () => Stat
  readonly #stats = new Map<string, Stat>()

  constructor(create: () => Stat) {
    this.#create = create
  }

  hold(name: string): Stat {
    const known = this.#stats.get(name)
    const stat = known ?? this.#create()
    if (known === undefined) this.#stats.set(name, stat)
    stat.holders++
    return stat
  }

  letGo(name: string, stat: Stat): void {
    if (--stat.holders === 0) this.#stats.delete(name)
  }

  get inOrder(): ReadonlyMap<string, Stat> {
    return new Map([...this.#stats].sort(([one], [other]) => (one < other ? -1 : 1)))
  }
}

interface Shelves {
  readonly counters: Shelf<Count>
  readonly gauges: Shelf<Level>
  readonly histograms: Shelf<HeldQuantiles>
  readonly texts: Shelf<Word>
}

/** What one scope holds of a shelf, by the names within the scope: looked up without putting names together. */
type Holding<Stat> = Map<string, Stat>

class Scope implements StatScope {
  readonly #shelves: Shelves
  readonly #prefix: string
  readonly #onClosed: (() => void) | undefined
  // Made when they are needed: most scopes hold but one or two kinds.
  #counters: Holding<Count> | undefined
  #gauges: Holding<Level> | undefined
  #histograms: Holding<HeldQuantiles> | undefined
  #texts: Holding<Word> | undefined
  #inner: Set<Scope> | undefined

  constructor(shelves: Shelves, prefix: string, onClosed: (() => void) | undefined) {
    this.#shelves = shelves
    this.#prefix = prefix
    this.#onClosed = onClosed
  }

  counter(name: string): Counter {
    this.#counters ??= new Map()
    return this.#get(this.#counters, this.#shelves.counters, name)
  }

  gauge(name: string): Gauge {
    this.#gauges ??= new Map()
    return this.#get(this.#gauges, this.#shelves.gauges, name)
  }

  histogram(name: string): Histogram {
    this.#histograms ??= new Map()
    return this.#get(this.#histograms, this.#shelves.histograms, name)
  }

  text(name: string): Text {
    this.#texts ??= new Map()
    return this.#get(this.#texts, this.#shelves.texts, name)
  }

  scope(prefix: string): StatScope {
    this.#inner ??= new Set()
    const siblings = this.#inner
    const inner: Scope = new Scope(this.#shelves, this.#prefix + prefix, () => siblings.delete(inner))
    siblings.add(inner)
    return inner
  }

  close(): void {
    for (const inner of this.#inner ?? []) inner.close()
    this.#letGo(this.#counters, this.#shelves.counters)
    this.#letGo(this.#gauges, this.#shelves.gauges)
    this.#letGo(this.#histograms, this.#shelves.histograms)
    this.#letGo(this.#texts, this.#shelves.texts)
    this.#onClosed?.()
  }

  #get<Stat extends Held>(holding: Holding<Stat>, shelf: Shelf<Stat>, name: string): Stat {
    const known = holding.get(name)
    if (known !== undefined) return known
    const stat = shelf.hold(this.#prefix + name)
    holding.set(name, stat)
    return stat
  }

  #letGo<Stat extends Held>(holding: Holding<Stat> | undefined, shelf: Shelf<Stat>): void {
    for (const [name, stat] of holding ?? []) shelf.letGo(this.#prefix + name, stat)
    holding?.clear()
  }
}

class Store extends Scope implements StatStore {
  readonly #shelves: Shelves

  constructor() {
    const shelves: Shelves = {
      counters: new Shelf(() => new Count()),
      gauges: new Shelf(() => new Level()),
      histograms: new Shelf(() => new HeldQuantiles()),
      texts: new Shelf(() => new Word()),
    }
    super(shelves, '', undefined)
    this.#shelves = shelves
  }

  get counters(): ReadonlyMap<string, Count> {
    return this.#shelves.counters.inOrder
  }

  get gauges(): ReadonlyMap<string, Level> {
    return this.#shelves.gauges.inOrder
  }

  get histograms(): ReadonlyMap<string, HeldQuantiles> {
    return this.#shelves.histograms.inOrder
  }

  get texts(): ReadonlyMap<string, Word> {
    return this.#shelves.texts.inOrder
  }
}
