import { describe, expect, it } from 'vitest'
import type { Problem } from '../errors.ts'
import { type Node, nodeOfJson } from '../resource/node.ts'
import type { NodeSelector } from '../resource/node-selector.ts'
import { buildResource, buildUnreadyResource, type Resource } from '../resource/resource.ts'
import { type ResourceWord, resourceTypes } from '../resource/type-url.ts'
import { canMeet, coverageOf, isRequired } from './consistency.ts'
import { isSameForm } from './unit.ts'
import { needsOf } from './unit-index.ts'
import { createWorld, type Unit, type UnitChange, type World, type WorldStep } from './world.ts'

type Name = `${ResourceWord}:${string}`

const split = (name: Name): [ResourceWord, string] => {
  const at = name.indexOf(':')
  return [name.slice(0, at) as ResourceWord, name.slice(at + 1)]
}

/** `cluster:a`, whose content is `content`, referring to `refs`. */
function resource(name: Name, refs: readonly Name[] = [], content = 1, file = 'x.yaml', line = 1): Resource {
  const [word, short] = split(name)
  return buildResource({
    typeUrl: resourceTypes[word].typeUrl,
    name: short,
    bytes: Buffer.from(JSON.stringify([content, refs])),
    origin: { name: file, line, column: 1 },
    references: refs.map((ref, index) => {
      const [refWord, refName] = split(ref)
      return { typeUrl: resourceTypes[refWord].typeUrl, name: refName, path: `refs[${index}]` }
    }),
  })
}

interface Spec {
  readonly nodes?: readonly NodeSelector[]
  readonly content?: number
  readonly [name: Name]: readonly Name[]
}

/** A document `key`.yaml: each name with what it refers to, one a line. */
function unit(key: string, spec: Spec): Unit {
  const names = Object.keys(spec).filter((name): name is Name => name.includes(':'))
  const file = `${key}.yaml`
  return {
    key,
    origin: { name: file },
    selectors: spec.nodes ?? [],
    resources: names.map((name, index) => resource(name, spec[name], spec.content ?? 1, file, index + 1)),
  }
}

const nodeOf = (cluster: string): Node => nodeOfJson({ id: 'n', cluster })

const valid = (key: string, spec: Spec): UnitChange => ({ kind: 'valid', unit: unit(key, spec) })
const deleted = (key: string): UnitChange => ({ kind: 'deleted', key })
const invalid = (key: string, selectors?: readonly NodeSelector[]): UnitChange => ({
  kind: 'invalid',
  key,
  origin: { name: `${key}.yaml`, line: 9, column: 1 },
  selectors,
})

interface Setup {
  readonly world: World
  readonly apply: (...changes: UnitChange[]) => WorldStep
}

/** A world that has read its sources once. */
function worldOf(...first: UnitChange[]): Setup {
  const world = createWorld({ staticNames: {}, allowPartial: false })
  world.apply(first, { isFirst: true })
  return { world, apply: (...changes) => world.apply(changes, { isFirst: false }) }
}

const told = (problems: readonly Problem[]): string[] =>
  problems.map(({ severity, code, origin }) => `${severity} ${code} ${origin.name}:${origin.line ?? 0}`)

/** key -> the content of its resources in force. */
const forms = (world: World): Record<string, string[]> =>
  Object.fromEntries(
    [...world.inForce.values()]
      .map((form): [string, string[]] => [form.key, form.resources.map((r) => `${r.name}@${r.version}`).sort()])
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  )

const edge = { cluster: 'edge' }
const core = { cluster: 'core' }

describe('references', () => {
  it('keeps a new document out that names a cluster which exists nowhere, and says where and what is near', () => {
    const { world, apply } = worldOf(valid('clusters', { 'cluster:cart-v1': [] }))
    const step = apply(valid('routes', { 'route:r': ['cluster:cart-v2'] }))
    expect([...world.inForce.keys()]).toEqual(['clusters'])
    expect(step.problems).toEqual([
      {
        severity: 'error',
        code: 'dangling-reference',
        origin: { name: 'routes.yaml', line: 1, column: 1 },
        path: 'refs[0]',
        message: 'cluster "cart-v2" does not exist',
        fix: expect.stringMatching(/did you mean "cart-v1".*staticNames: \{cluster: \[cart-v2]}.*fairlead bootstrap/),
      },
    ])
    expect(step.withheld).toEqual([])
  })

  it.each(['cluster', 'route', 'secret', 'extension'] as const)('takes a missing %s for an error', (word) => {
    const { world, apply } = worldOf()
    expect(told(apply(valid('a', { 'listener:l': [`${word}:gone`] })).problems)).toEqual([
      'error dangling-reference a.yaml:1',
    ])
    expect(world.inForce.size).toBe(0)
  })

  it('serves a cluster without an assignment, with a warning that goes when the assignment comes', () => {
    const { world, apply } = worldOf(valid('a', { 'cluster:c': ['endpoint:c'] }))
    expect([...world.inForce.keys()]).toEqual(['a'])
    expect(told(apply().problems)).toEqual(['warning missing-assignment a.yaml:1'])
    expect(apply(valid('b', { 'endpoint:c': [] })).problems).toEqual([])
  })

  it('takes documents together that need each other', () => {
    const { world } = worldOf(
      valid('a', { 'listener:l': ['route:r'], 'cluster:c': [] }),
      valid('b', { 'route:r': ['cluster:c'] }),
    )
    expect([...world.inForce.keys()]).toEqual(['a', 'b'])
  })

  it('leaves a document as it was while its new form names what another broken document would bring', () => {
    const { world, apply } = worldOf(valid('r', { 'route:r': [] }))
    const step = apply(valid('r', { 'route:r': ['cluster:new'] }), valid('c', { 'cluster:new': ['secret:gone'] }))
    expect(forms(world)).toEqual(forms(worldOf(valid('r', { 'route:r': [] })).world))
    expect(told(step.problems)).toEqual(['error dangling-reference c.yaml:1', 'error dangling-reference r.yaml:1'])
    expect(step.problems[1]?.message).toBe(
      'cluster "new" is only in c.yaml, which has an error itself and is not in force',
    )
    const mended = apply(valid('s', { 'secret:gone': [] }))
    expect(mended.problems).toEqual([])
    expect(mended.upserted.map(({ key }) => key).sort()).toEqual(['c', 'r', 's'])
  })

  it('takes a form that leans on what another document, falling back, still holds', () => {
    const { world, apply } = worldOf(valid('c', { 'cluster:x': [] }))
    // All at once c would lose x: but c cannot, as its new form is broken.
    const step = apply(
      valid('c', { 'cluster:y': ['secret:gone'] }),
      valid('r', { 'route:r': ['cluster:x'] }),
      valid('l', { 'listener:l': ['route:r'] }),
    )
    expect([...world.inForce.keys()].sort()).toEqual(['c', 'l', 'r'])
    expect(step.upserted.map(({ key }) => key).sort()).toEqual(['l', 'r'])
    // c's own new form is wrong twice over: for the secret, and for x, which r needs by now.
    expect(told(step.problems)).toEqual(['error still-needed c.yaml:0', 'error dangling-reference c.yaml:1'])
  })

  it('knows names of the options and of bootstraps, also when they come later', () => {
    const world = createWorld({ staticNames: { cluster: ['xds'] }, allowPartial: false })
    const changes = [valid('a', { 'listener:l': ['cluster:xds'] }), valid('b', { 'listener:m': ['cluster:local'] })]
    world.apply(changes, { isFirst: true })
    expect([...world.inForce.keys()]).toEqual(['a'])
    const step = world.addStaticNames({ cluster: ['local'], nonsense: ['x'] })
    expect(step.upserted.map(({ key }) => key)).toEqual(['b'])
    expect(step.problems).toEqual([])
    expect(step.withheld).toEqual([])
    expect(world.addStaticNames({ cluster: ['local'] }).upserted).toEqual([])
  })
})

describe('selectors and references', () => {
  it.each<[string, readonly NodeSelector[], readonly NodeSelector[], string[], boolean]>([
    ['everyone needs, everyone has', [], [], [], true],
    ['edge needs, everyone has', [edge], [], [], true],
    ['edge needs, edge has', [edge], [{ cluster: 'e*' }], [], true],
    ['edge and core need, each has', [edge, core], [core, edge], [], true],
    ['edge needs, core has', [edge], [core], ['error dangling-reference r.yaml:1'], false],
    ['edge and core need, core has', [edge, core], [core], ['error dangling-reference r.yaml:1'], false],
    ['everyone needs, edge has', [], [edge], ['warning unselected-reference r.yaml:1'], true],
    ['prod needs, edge has', [{ metadata: { env: 'prod' } }], [edge], ['warning unselected-reference r.yaml:1'], true],
  ])('%s', (_, needing, having, problems, isInForce) => {
    const { world, apply } = worldOf(valid('c', { nodes: having, 'cluster:c': [] }))
    const step = apply(valid('r', { nodes: needing, 'route:r': ['cluster:c'] }))
    expect(told(step.problems)).toEqual(problems)
    expect(world.inForce.has('r')).toBe(isInForce)
  })
})

describe('duplicates', () => {
  it('leaves two new documents with the same name out, and tells each of the other', () => {
    const { world, apply } = worldOf()
    const step = apply(valid('a', { 'cluster:x': [] }), valid('b', { 'cluster:y': [], 'cluster:x': [] }))
    expect(world.inForce.size).toBe(0)
    expect(told(step.problems)).toEqual(['error duplicate a.yaml:1', 'error duplicate b.yaml:2'])
    expect(step.problems.map(({ message }) => message)).toEqual([
      'cluster "x" is also defined in b.yaml:2:1',
      'cluster "x" is also defined in a.yaml:1:1',
    ])
  })

  it('keeps the one in force, tells both, and takes the other when the first goes', () => {
    const { world, apply } = worldOf(valid('a', { 'cluster:x': [] }))
    expect(told(apply(valid('b', { 'cluster:x': [] })).problems)).toEqual([
      'error duplicate a.yaml:1',
      'error duplicate b.yaml:1',
    ])
    expect([...world.inForce.keys()]).toEqual(['a'])
    const step = apply(deleted('a'))
    expect([...world.inForce.keys()]).toEqual(['b'])
    expect(step.problems).toEqual([])
    expect(step.removed).toEqual(['a'])
  })

  it('forgets the problem of both when the new document changes its mind', () => {
    const { apply } = worldOf(valid('a', { 'cluster:x': [] }))
    apply(valid('b', { 'cluster:x': [] }))
    expect(apply(valid('b', { 'cluster:y': [] })).problems).toEqual([])
  })

  it('does not mind the same name for nodes that cannot be the same', () => {
    const { world } = worldOf(
      valid('a', { nodes: [edge], 'cluster:x': [] }),
      valid('b', { nodes: [core], 'cluster:x': [] }),
    )
    expect(world.inForce.size).toBe(2)
  })

  it('takes a document that has a name twice for an error', () => {
    const { world, apply } = worldOf()
    const twice: Unit = { ...unit('a', { 'cluster:x': [] }), resources: [resource('cluster:x'), resource('cluster:x')] }
    expect(told(apply({ kind: 'valid', unit: twice }).problems)).toEqual(['error duplicate x.yaml:1'])
    expect(world.inForce.size).toBe(0)
  })

  it('moves a name from one document to another in one change', () => {
    const { world, apply } = worldOf(
      valid('a', { 'cluster:x': [] }),
      valid('b', { 'cluster:y': [] }),
      valid('r', { 'route:r': ['cluster:x', 'cluster:y'] }),
    )
    const step = apply(valid('b', { 'cluster:y': [], 'cluster:x': [] }), deleted('a'))
    expect([...world.inForce.keys()].sort()).toEqual(['b', 'r'])
    expect(step.problems).toEqual([])
  })

  it('does not move a name to a second document while the first one cannot let go of it', () => {
    const { world, apply } = worldOf(valid('a', { 'cluster:x': [] }))
    const before = forms(world)
    const step = apply(valid('a', { 'cluster:y': ['secret:gone'] }), valid('b', { 'cluster:x': [] }))
    expect(forms(world)).toEqual(before)
    expect(told(step.problems)).toEqual(['error dangling-reference a.yaml:1', 'error duplicate b.yaml:1'])
  })
})

describe('what is still needed', () => {
  const setup = (): Setup => worldOf(valid('c', { 'cluster:x': [] }), valid('r', { 'route:r': ['cluster:x'] }))

  it('keeps a deleted document in force while something names it, and lets it go by itself', () => {
    const { world, apply } = setup()
    const step = apply(deleted('c'))
    expect(step).toMatchObject({ upserted: [], removed: [] })
    expect(told(step.problems)).toEqual(['warning still-needed c.yaml:0'])
    expect(step.problems[0]?.message).toContain('cluster "x" is still named by r.yaml:1:1 (route "r", refs[0])')
    const later = apply(valid('r', { 'route:r': [] }))
    expect(later.removed).toEqual(['c'])
    expect(later.problems).toEqual([])
    expect([...world.inForce.keys()]).toEqual(['r'])
  })

  it('keeps the last form of a document whose new form lacks what something names', () => {
    const { world, apply } = setup()
    const before = forms(world)
    expect(told(apply(valid('c', { 'cluster:z': [] })).problems)).toEqual(['error still-needed c.yaml:0'])
    expect(forms(world)).toEqual(before)
    expect(apply(valid('r', { 'route:r': ['cluster:z'] })).problems).toEqual([])
    expect(forms(world)).not.toEqual(before)
  })

  it('keeps the last form of a document that would no longer select the nodes of its user', () => {
    const { world, apply } = worldOf(
      valid('c', { 'cluster:x': [] }),
      valid('r', { nodes: [edge], 'route:r': ['cluster:x'] }),
    )
    expect(told(apply(valid('c', { nodes: [core], 'cluster:x': [] })).problems)).toEqual([
      'error still-needed c.yaml:0',
    ])
    expect(world.inForce.get('c')?.selectors).toEqual([])
  })

  it('keeps the endpoints of a cluster in force, but lets a document drop its own', () => {
    const { world, apply } = worldOf(
      valid('c', { 'cluster:x': ['endpoint:x'] }),
      valid('e', { 'endpoint:x': [] }),
      valid('own', { 'cluster:y': ['endpoint:y'], 'endpoint:y': [] }),
    )
    expect(told(apply(deleted('e')).problems)).toEqual(['warning still-needed e.yaml:0'])
    expect(world.inForce.has('e')).toBe(true)
    const step = apply(valid('own', { 'cluster:y': ['endpoint:y'] }))
    expect(told(step.problems)).toEqual(['warning still-needed e.yaml:0', 'warning missing-assignment own.yaml:1'])
    expect(step.upserted.map(({ key }) => key)).toEqual(['own'])
  })

  it('deletes what names each other when all of it goes', () => {
    const { world, apply } = setup()
    const step = apply(deleted('c'), deleted('r'))
    expect([...step.removed].sort()).toEqual(['c', 'r'])
    expect(world.inForce.size).toBe(0)
  })
})

describe('broken documents', () => {
  it('stay in force as they last were', () => {
    const { world, apply } = worldOf(valid('a', { 'cluster:x': [] }))
    expect(apply(invalid('a'))).toMatchObject({ upserted: [], removed: [], problems: [], withheld: [] })
    expect(world.inForce.has('a')).toBe(true)
    expect(apply(deleted('a')).removed).toEqual(['a'])
  })

  it('withhold their groups when they are broken at first and no good form is known, until they are mended', () => {
    const world = createWorld({ staticNames: {}, allowPartial: false })
    const first = world.apply(
      [invalid('a', [edge]), invalid('b'), valid('d', { nodes: [core], 'route:r': ['cluster:x'] })],
      { isFirst: true },
    )
    expect(first.withheld.map(({ selectors, problem }) => [selectors, problem.code, problem.origin.name])).toEqual([
      [[edge], 'withheld', 'a.yaml'],
      [undefined, 'withheld', 'b.yaml'],
      [[core], 'withheld', 'd.yaml'],
    ])
    const apply = (...changes: UnitChange[]): string[] =>
      world.apply(changes, { isFirst: false }).withheld.map(({ problem }) => problem.origin.name)
    expect(apply(valid('a', { 'cluster:x': ['secret:gone'] }))).toEqual(['a.yaml', 'b.yaml', 'd.yaml'])
    expect(apply(valid('a', { 'cluster:x': [] }))).toEqual(['b.yaml'])
    expect(apply(deleted('b'))).toEqual([])
  })

  it('are just left out when they are new after the first read, or with --allow-partial', () => {
    expect(worldOf().apply(invalid('a')).withheld).toEqual([])
    const partial = createWorld({ staticNames: {}, allowPartial: true })
    expect(partial.apply([invalid('a')], { isFirst: true }).withheld).toEqual([])
  })

  it('do not withhold when the history has their last good form', () => {
    const world = createWorld({ staticNames: {}, allowPartial: false, restored: [unit('a', { 'cluster:x': [] })] })
    expect(world.apply([invalid('a')], { isFirst: true }).withheld).toEqual([])
    expect(world.inForce.has('a')).toBe(true)
  })
})

describe('restored documents', () => {
  it('are in force before anything is read, and no change when read again with equal content', () => {
    const restored = [unit('c', { 'cluster:x': [] }), unit('r', { 'route:r': ['cluster:x'] })]
    const world = createWorld({ staticNames: {}, allowPartial: false, restored })
    expect(world.inForce.size).toBe(2)
    const again = valid('c', { 'cluster:x': [] })
    const step = world.apply([again, deleted('r')], { isFirst: true })
    expect(step).toMatchObject({ upserted: [], removed: ['r'] })
    expect(again).toMatchObject({ unit: world.inForce.get('c') })
  })

  it('have the word over a new document with the same name', () => {
    const world = createWorld({ staticNames: {}, allowPartial: false, restored: [unit('a', { 'cluster:x': [] })] })
    world.apply([valid('a', { 'cluster:x': [] }), valid('b', { 'cluster:x': [] })], { isFirst: true })
    expect([...world.inForce.keys()]).toEqual(['a'])
  })

  it.each([false, true])(
    'withhold their groups while inline keys are not at hand (--allow-partial %s)',
    (allowPartial) => {
      const listener = resource('listener:l')
      const unready = { ...unit('l', { nodes: [edge] }), resources: [buildUnreadyResource({ ...listener })] }
      const secret = { ...unit('s', {}), resources: [buildUnreadyResource({ ...resource('secret:s') })] }
      const world = createWorld({ staticNames: {}, allowPartial, restored: [unready, secret] })
      const held = world.apply([invalid('l')], { isFirst: true }).withheld
      expect(held.map(({ selectors, problem }) => [selectors, problem.code])).toEqual([[[edge], 'withheld']])
      const ready = { ...unready, resources: [listener] }
      const step = world.apply([{ kind: 'valid', unit: ready }], { isFirst: false })
      expect(step.withheld).toEqual([])
      expect(step.upserted).toEqual([ready])
    },
  )

  it('that contradict each other stay, and are told', () => {
    const restored = [unit('a', { 'route:r': ['cluster:gone'] }), unit('b', { 'route:r': [] })]
    const world = createWorld({ staticNames: {}, allowPartial: false, restored })
    const step = world.apply([], { isFirst: true })
    expect(world.inForce.size).toBe(2)
    expect(told(step.problems)).toEqual([
      'error dangling-reference a.yaml:1',
      'error duplicate a.yaml:1',
      'error duplicate b.yaml:1',
    ])
  })
})

it('does not lose what moves to a document with an error, until that is mended or lets go of it', () => {
  const first = [valid('a', { 'listener:l': [] }), valid('b', { 'cluster:b': [] })]
  const moved = [deleted('a'), valid('b', { 'listener:l': [], 'route:r': ['cluster:typo'] })]
  const { world, apply } = worldOf(...first)
  expect(told(apply(...moved).problems)).toEqual([
    'error still-needed a.yaml:0',
    'error duplicate b.yaml:1',
    'error dangling-reference b.yaml:2',
  ])
  expect(Object.keys(forms(world))).toEqual(['a', 'b'])
  expect(apply(valid('b', { 'listener:l': [], 'route:r': [] }))).toMatchObject({ removed: ['a'], problems: [] })
  expect(Object.keys(forms(world))).toEqual(['b'])

  const other = worldOf(...first)
  other.apply(...moved)
  expect(other.apply(valid('b', { 'cluster:b': [] }))).toMatchObject({ removed: ['a'], problems: [] })
})

it('does not search for what was meant for each of thousands of names that are missing at once', () => {
  const { apply } = worldOf(...Array.from({ length: 200 }, (_, i) => valid(`c${i}`, { [`cluster:cart-${i}`]: [] })))
  const routes = Array.from({ length: 200 }, (_, i) =>
    valid(`r${i}`, { [`route:r${i}`]: [`cluster:carts-${i}` as Name] }),
  )
  const { problems } = apply(...routes)
  expect(problems).toHaveLength(200)
  expect(problems.filter(({ fix }) => fix.includes('did you mean'))).toHaveLength(50)
})

it('looks at no other document when one of ten thousand changes its endpoints', () => {
  const changes = Array.from({ length: 10_000 }, (_, i) => valid(`e${i}`, { [`endpoint:c${i}`]: [] }))
  const clusters = Object.fromEntries(changes.map((_, i) => [`cluster:c${i}`, [`endpoint:c${i}` as Name]]))
  const { world, apply } = worldOf(valid('clusters', clusters), ...changes)
  let reads = 0
  for (const form of world.inForce.values()) {
    const { resources, selectors } = form
    Object.defineProperty(form, 'resources', { get: () => (reads++, resources) })
    Object.defineProperty(form, 'selectors', { get: () => (reads++, selectors) })
  }
  const step = apply(valid('e77', { content: 2, 'endpoint:c77': [] }))
  expect(step.upserted.map(({ key }) => key)).toEqual(['e77'])
  expect(reads).toBeLessThan(50)
})

/** A small generator of its own, so that a failing seed can be run again. */
function random(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

describe('any sequence of changes', () => {
  const selectors: readonly (readonly NodeSelector[])[] = [[], [], [], [edge], [core], [edge, core], [{ id: 'a*' }]]
  const words = ['cluster', 'route', 'listener', 'secret', 'endpoint'] as const
  const refers: Readonly<Record<(typeof words)[number], readonly (typeof words)[number][]>> = {
    cluster: ['endpoint', 'secret'],
    route: ['cluster'],
    listener: ['route', 'cluster', 'secret'],
    secret: [],
    endpoint: [],
  }

  function randomChange(below: (n: number) => number, keys: number, names: number): UnitChange {
    const key = `k${below(keys)}`
    const dice = below(10)
    if (dice === 0) return invalid(key, selectors[below(selectors.length)])
    if (dice <= 2) return deleted(key)
    const spec: Record<Name, Name[]> = {}
    for (let i = below(3); i >= 0; i--) {
      const word = words[below(words.length)] ?? 'cluster'
      const targets = refers[word]
      const refs = Array.from({ length: targets.length === 0 ? 0 : below(3) }, (): Name => {
        return `${targets[below(targets.length)] ?? 'cluster'}:${below(names)}`
      })
      spec[`${word}:${below(names)}`] = refs
    }
    return valid(key, { ...spec, nodes: selectors[below(selectors.length)] ?? [], content: below(2) })
  }

  function expectConsistent(world: World): void {
    const units = [...world.inForce.values()]
    for (const form of units) {
      for (const need of needsOf(form)) {
        if (!isRequired(need.typeUrl)) continue
        const providers = units.filter((u) =>
          u.resources.some((r) => r.typeUrl === need.typeUrl && r.name === need.name),
        )
        expect(coverageOf(form, providers).kind, `${form.key} needs ${need.name}`).not.toBe('missing')
      }
    }
    for (const [i, a] of units.entries()) {
      for (const b of units.slice(i + 1)) {
        const shared = a.resources.some((r) => b.resources.some((o) => o.typeUrl === r.typeUrl && o.name === r.name))
        expect(shared && canMeet(a, b), `${a.key} and ${b.key} share a name`).toBe(false)
      }
    }
  }

  // 397 is one of few that need a second settling: what took effect makes room for what did not.
  const count = process.env['FAIRLEAD_TEST_LONG'] === '1' ? 1000 : 20
  const seeds = [...Array.from({ length: count }, (_, i) => i + 1), 397]

  it.each(seeds)('keeps the world consistent, and is what a check of everything gives (seed %i)', (seed) => {
    const below = random(seed)
    const world = createWorld({ staticNames: {}, allowPartial: true })
    const wanted = new Map<string, UnitChange>()
    for (let step = 0; step < 30; step++) {
      const changes = Array.from({ length: 1 + below(step === 0 ? 15 : 4) }, () => randomChange(below, 12, 5))
      const byKey = new Map(changes.map((c) => [c.kind === 'valid' ? c.unit.key : c.key, c]))
      for (const [key, change] of byKey) wanted.set(key, change)
      const result = world.apply([...byKey.values()], { isFirst: step === 0 })
      expectConsistent(world)
      for (const [key, change] of wanted) {
        const form = world.inForce.get(key)
        if (change.kind !== 'valid' || (form !== undefined && isSameForm(form, change.unit))) continue
        const reasons = result.problems.filter((p) => p.severity === 'error' && p.origin.name === `${key}.yaml`)
        expect(reasons, `${key} is not in force as wanted`).not.toEqual([])
      }

      const scratch = createWorld({ staticNames: {}, allowPartial: true, restored: world.inForce.values() })
      const shuffled = [...wanted.values()].sort(() => below(3) - 1)
      const whole = scratch.apply(shuffled, { isFirst: true })
      expect(forms(scratch)).toEqual(forms(world))
      const withoutFix = (problems: readonly Problem[]): unknown[] =>
        problems.map((problem) => ({ ...problem, fix: '' }))
      expect(withoutFix(whole.problems)).toEqual(withoutFix(result.problems))
    }
  })

  let compared = 0

  it.each(seeds)('ends, when nothing is wrong, where a fresh server begins (seed %i)', (seed) => {
    const below = random(seed)
    const world = createWorld({ staticNames: {}, allowPartial: true })
    const wanted = new Map<string, UnitChange>()
    for (let step = 0; step < 12; step++) {
      const change = randomChange(below, 6, 8)
      wanted.set(change.kind === 'valid' ? change.unit.key : change.key, change)
      const { problems } = world.apply([change], { isFirst: step === 0 })
      const fresh = createWorld({ staticNames: {}, allowPartial: true })
      const hasBroken = [...wanted.values()].some(({ kind }) => kind === 'invalid')
      const first = fresh.apply([...wanted.values()].reverse(), { isFirst: true })
      if (
        hasBroken ||
        [...problems, ...first.problems].some(({ severity, code }) => severity === 'error' || code === 'still-needed')
      )
        continue
      compared++
      expect(forms(world)).toEqual(forms(fresh))
      expect(problems).toEqual(first.problems)
    }
  })

  it('was compared with a fresh server often enough to mean something', () => {
    expect(compared).toBeGreaterThan(seeds.length / 2)
  })
})

it('tells where a resource stands now, though its document only moved it about', () => {
  const { world, apply } = worldOf(valid('a', { 'cluster:x': [], 'cluster:y': [] }))
  const [x, y] = [resource('cluster:x'), resource('cluster:y')]
  const lineOf = (one: Resource) => world.originOf(one, nodeOf('any'))?.line
  expect([x, y].map(lineOf)).toEqual([1, 2])
  expect(apply(valid('a', { 'cluster:y': [], 'cluster:x': [] }))).toMatchObject({ upserted: [], removed: [] })
  expect([x, y].map(lineOf)).toEqual([2, 1])
  expect([resource('cluster:x', [], 2), resource('route:x')].map(lineOf)).toEqual([undefined, undefined])
})

it('tells of each node the document that it has a resource from, though another one gives others an equal one', () => {
  const { world } = worldOf(
    valid('a', { nodes: [{ cluster: 'a' }], 'cluster:x': [] }),
    valid('b', { nodes: [{ cluster: 'b' }], 'cluster:x': [] }),
  )
  const names = ['a', 'b', 'c'].map((cluster) => world.originOf(resource('cluster:x'), nodeOf(cluster))?.name)
  expect(names).toEqual(['a.yaml', 'b.yaml', undefined])
})
