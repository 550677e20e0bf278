import { canName, type ResourceWord, resourceTypes, type TypeUrl, wordOf } from '../../src/resource/type-url.ts'
import type { ResourceSet } from '../../src/snapshot/resource-set.ts'
import { type Drains, noDrains } from '../../src/xds/transition/drain.ts'
import { plan, type Step } from '../../src/xds/transition/planner.ts'
import { noTypes } from '../../src/xds/transition/progress.ts'
import { additionOrder, setIn, type View } from '../../src/xds/transition/view.ts'
import { showView } from './small-view.ts'

/** A client that is told each view at once, and answers when the test says so. */
export class SmallClient {
  readonly #types: readonly TypeUrl[]
  readonly #mayHold = new Map<TypeUrl, ResourceSet[]>()
  #accepted: ResourceSet | undefined
  view: View
  drains: Drains = noDrains
  unanswered: ReadonlySet<TypeUrl> = noTypes

  /** It has accepted all of `view`, of the types that it asks for: all unless some are named. */
  constructor(view: View, ...words: readonly ResourceWord[]) {
    this.#types = words.length === 0 ? additionOrder : words.map((word) => resourceTypes[word].typeUrl)
    this.view = view
    for (const typeUrl of this.#types) this.#mayHold.set(typeUrl, [setIn(view, typeUrl)])
    this.#accepted = this.#mayHold.get(resourceTypes.cluster.typeUrl)?.[0]
  }

  /** Of the clusters it has accepted just these. */
  accept(clusters: ResourceSet): void {
    this.#accepted = clusters
  }

  /** The next step; the client is told what it changes. */
  move(to: View): Step {
    const clusters = this.#mayHold.get(resourceTypes.cluster.typeUrl)
    const step = plan(this.view, to, {
      clusters: clusters && [...(this.#accepted ? [this.#accepted] : []), ...clusters.slice(1)],
      mayHold: this.#types.filter(canName).flatMap((typeUrl) => this.#mayHold.get(typeUrl) ?? []),
      drains: this.drains,
      unanswered: this.unanswered,
    })
    for (const typeUrl of this.#types) {
      const [before, after] = [setIn(this.view, typeUrl), setIn(step.view, typeUrl)]
      if (before.version !== after.version) this.#mayHold.get(typeUrl)?.push(after)
    }
    this.view = step.view
    return step
  }

  /** Accepts all that it was told, of some types or of all. */
  ack(...words: readonly ResourceWord[]): void {
    const chosen = words.length === 0 ? this.#types : words.map((word) => resourceTypes[word].typeUrl)
    for (const typeUrl of chosen) {
      const newest = this.#mayHold.get(typeUrl)?.at(-1)
      if (newest === undefined) continue
      this.#mayHold.set(typeUrl, [newest])
      if (wordOf(typeUrl) === 'cluster') this.#accepted = newest
    }
  }

  /** What it is told on the way: a list of views, the client answering everything after each, until nothing changes. */
  travel(to: View): readonly (readonly string[])[] {
    const views: (readonly string[])[] = []
    // Once more than needed: the last answer may lead on.
    for (let still = 0; still < 2; still++) {
      const before = this.view
      this.move(to)
      this.ack()
      if (this.view === before) continue
      views.push(showView(this.view))
      still = 0
    }
    return views
  }
}
