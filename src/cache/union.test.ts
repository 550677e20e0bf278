import { describe, expect, test } from 'vitest'
import { createRandom } from '../../test/support/random.ts'
import { buildResource, type Resource } from '../resource/resource.ts'
import { resourceTypes } from '../resource/type-url.ts'
import { type ResourceSet, setOfResources } from '../snapshot/resource-set.ts'
import { buildUnion, type Union } from './union.ts'

const { typeUrl } = resourceTypes.cluster

const resource = (name: string, content: string): Resource =>
  buildResource({ typeUrl, name, bytes: Buffer.from(`${name} ${content}`), origin: { name: 'test' } })

const setOf = (names: Iterable<string>, content: string): ResourceSet =>
  setOfResources(
    typeUrl,
    Array.from(names, (name) => resource(name, content)),
  )

const names = (prefix: string, count: number): string[] => Array.from({ length: count }, (_, at) => `${prefix}-${at}`)

const membersOf = (set: ResourceSet): string[] => Array.from(set.values(), ({ name, version }) => `${name} ${version}`)

/** Of a name that several have the first has the word. */
function merged(inputs: readonly ResourceSet[]): string[] {
  const found = new Map<string, Resource>()
  for (const set of inputs.toReversed()) for (const one of set.values()) found.set(one.name, one)
  return [...found.values()].map(({ name, version }) => `${name} ${version}`).sort()
}

describe('a union of sets', () => {
  test.each([1, 2, 3, 4])('is what all of them hold, however they change (seed %i)', (seed) => {
    const random = createRandom(seed)
    const inputs = Array.from({ length: 2 + seed }, (_, at) =>
      setOf(names('shared', random.below(10)).concat(names(`own${at}`, random.pick([1, 10, 70, 300]))), `of ${at}`),
    )
    let last: Union | undefined
    for (let round = 0; round < 60; round++) {
      const at = random.below(inputs.length)
      const name = `${random.pick(['shared', `own${at}`])}-${random.below(81)}`
      const next = random.chance(0.4) ? undefined : resource(name, `of ${at} in round ${round}`)
      inputs[at] = (inputs[at] as ResourceSet).with(new Map([[name, next]]))
      const [first, ...others] = inputs as [ResourceSet, ...ResourceSet[]]
      last = buildUnion([first, ...others], random.chance(0.9) ? last : undefined)
      expect(membersOf(last.result)).toEqual(merged(inputs))
    }
  })

  test('is made once for what many groups have in common, when it changes too', () => {
    const region = setOf(names('region', 200), 'eu')
    const all = setOf(names('service', 1000), 'all')
    const own = names('sidecar', 3).map((name) => setOf([name], 'own'))
    const first = own.map((set) => buildUnion([region, all, set], undefined))
    expect(new Set(first.map(({ nested }) => nested?.result)).size).toBe(1)
    const changed = all.with(new Map([['service-7', resource('service-7', 'changed')]]))
    const second = own.map((set, at) => buildUnion([region, changed, set], first[at]))
    expect(new Set(second.map(({ nested }) => nested?.result)).size).toBe(1)
    expect(second.map(({ result }) => membersOf(result))).toEqual(own.map((set) => merged([region, changed, set])))
  })
})
