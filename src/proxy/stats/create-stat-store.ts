import { Quantiles } from './quantiles.ts'
import type { Counter, Gauge, Histogram, StatScope, StatStore, Text } from './stat-store.ts'

export function createStatStore(): StatStore {
  return new Store()
}

class Count implements Counter {
  value = 0

  add(amount = 1): void {
    this.value += amount
  }
}

class Level implements Gauge {
  value = 0

  set(value: number): void {
    this.value = value
  }

  add(amount: number): void {
    this.value += amount
  }
}

class Word implements Text {
  value = ''

  set(value: string): void {
    this.value = value
  }
}

/** Stats of one kind, each for as long as some scope holds it. */
class Shelf<Stat> {
  readonly #create: () => Stat
  readonly #held = new Map<string, { readonly stat: Stat; holders: number }>()

  constructor(create: () => Stat) {
    this.#create = create
  }

  hold(name: string): Stat {
    const known = this.#held.get(name)
    if (known !== undefined) {
      known.holders++
      return known.stat
    }
    const stat = this.#create()
    this.#held.set(name, { stat, holders: 1 })
    return stat
  }

  letGo(name: string): void {
    const held = this.#held.get(name)
    if (held !== undefined && --held.holders === 0) this.#held.delete(name)
  }

  get inOrder(): ReadonlyMap<string, Stat> {
    const names = [...this.#held.keys()].sort()
    return new Map(names.map((name) => [name, (this.#held.get(name) as { stat: Stat }).stat]))
  }
}

interface Shelves {
  readonly counters: Shelf<Count>
  readonly gauges: Shelf<Level>
  readonly histograms: Shelf<Quantiles>
  readonly texts: Shelf<Word>
}

/** What one scope holds of a shelf, by the names within the scope: looked up without putting names together. */
class Holding<Stat> {
  readonly #shelf: Shelf<Stat>
  readonly #prefix: string
  readonly #stats = new Map<string, Stat>()

  constructor(shelf: Shelf<Stat>, prefix: string) {
    this.#shelf = shelf
    this.#prefix = prefix
  }

  get(name: string): Stat {
    const known = this.#stats.get(name)
    if (known !== undefined) return known
    const stat = this.#shelf.hold(this.#prefix + name)
    this.#stats.set(name, stat)
    return stat
  }

  close(): void {
    for (const name of this.#stats.keys()) this.#shelf.letGo(this.#prefix + name)
    this.#stats.clear()
  }
}

class Scope implements StatScope {
  readonly #shelves: Shelves
  readonly #prefix: string
  readonly #onClosed: () => void
  readonly #counters: Holding<Count>
  readonly #gauges: Holding<Level>
  readonly #histograms: Holding<Quantiles>
  readonly #texts: Holding<Word>
  readonly #inner = new Set<Scope>()

  constructor(shelves: Shelves, prefix: string, onClosed: () => void) {
    this.#shelves = shelves
    this.#prefix = prefix
    this.#onClosed = onClosed
    this.#counters = new Holding(shelves.counters, prefix)
    this.#gauges = new Holding(shelves.gauges, prefix)
    this.#histograms = new Holding(shelves.histograms, prefix)
    this.#texts = new Holding(shelves.texts, prefix)
  }

  counter(name: string): Counter {
    return this.#counters.get(name)
  }

  gauge(name: string): Gauge {
    return this.#gauges.get(name)
  }

  histogram(name: string): Histogram {
    return this.#histograms.get(name)
  }

  text(name: string): Text {
    return this.#texts.get(name)
  }

  scope(prefix: string): StatScope {
    const inner: Scope = new Scope(this.#shelves, this.#prefix + prefix, () => this.#inner.delete(inner))
    this.#inner.add(inner)
    return inner
  }

  close(): void {
    for (const inner of this.#inner) inner.close()
    for (const holding of [this.#counters, this.#gauges, this.#histograms, this.#texts]) holding.close()
    this.#onClosed()
  }
}

class Store extends Scope implements StatStore {
  readonly #shelves: Shelves

  constructor() {
    const shelves: Shelves = {
      counters: new Shelf(() => new Count()),
      gauges: new Shelf(() => new Level()),
      histograms: new Shelf(() => new Quantiles()),
      texts: new Shelf(() => new Word()),
    }
    super(shelves, '', () => undefined)
    this.#shelves = shelves
  }

  get counters(): ReadonlyMap<string, Count> {
    return this.#shelves.counters.inOrder
  }

  get gauges(): ReadonlyMap<string, Level> {
    return this.#shelves.gauges.inOrder
  }

  get histograms(): ReadonlyMap<string, Quantiles> {
    return this.#shelves.histograms.inOrder
  }

  get texts(): ReadonlyMap<string, Word> {
    return this.#shelves.texts.inOrder
  }
}
