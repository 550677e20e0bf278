import { describe, expect, it } from 'vitest'
import type { Problem } from '../errors.ts'
import { buildResource, type Resource } from '../resource/resource.ts'
import { ownTypeUrl, resourceTypes } from '../resource/type-url.ts'
import { type Candidate, createWorld, type Judge, type Unit, type UnitChange, type World } from './world.ts'

const service = ownTypeUrl('Service')
const route = ownTypeUrl('Route')
const cluster = resourceTypes.cluster.typeUrl

function resource(typeUrl: string, name: string, refs: readonly string[], content: number, file: string): Resource {
  return buildResource({
    typeUrl,
    name,
    bytes: Buffer.from(`${content}`),
    origin: { name: file, line: 1, column: 1 },
    references: refs.map((ref, index) => ({
      typeUrl: typeUrl === route ? service : cluster,
      name: ref,
      path: `rules[${index}].backends[0].service`,
      line: 3 + index,
      column: 5,
    })),
  })
}

const unitOf = (key: string, resources: readonly Resource[], declares: Unit['declares'] = []): Unit => ({
  key,
  origin: { name: `${key}.yaml` },
  selectors: [],
  resources,
  declares,
})

const serviceUnit = (name: string, content = 1): Unit =>
  unitOf(
    `Service/${name}`,
    [resource(service, name, [], content, `Service/${name}.yaml`)],
    [
      { typeUrl: service, name: `${name}/v1` },
      { typeUrl: cluster, name },
    ],
  )
const routeUnit = (name: string, services: readonly string[], content = 1): Unit =>
  unitOf(`Route/${name}`, [resource(route, name, services, content, `Route/${name}.yaml`)])
const rawUnit = (key: string, clusters: readonly string[], own: readonly string[] = []): Unit =>
  unitOf(key, [
    resource(resourceTypes.listener.typeUrl, `${key}-listener`, clusters, 1, `${key}.yaml`),
    ...own.map((name) => resource(cluster, name, [], 1, `${key}.yaml`)),
  ])

const valid = (unit: Unit): UnitChange => ({ kind: 'valid', unit })
const deleted = (key: string): UnitChange => ({ kind: 'deleted', key })

const veto = (key: string): Problem => ({
  severity: 'error',
  code: 'duplicate',
  origin: { name: `${key}.yaml`, line: 1 },
  path: '',
  message: `${key} may not`,
  fix: 'change it',
})

interface Outcome {
  readonly told: readonly string[]
  readonly upserted: readonly string[]
}

interface Bed {
  readonly world: World
  /** What was asked, a list of `key:content` a round; `✓` after those that were accepted. */
  readonly asked: string[]
  readonly apply: (...changes: UnitChange[]) => Outcome
}

/** A world whose judge vetoes what `refuse` says of a candidate. */
function bed(refuse: (candidate: Candidate) => readonly string[], first: readonly UnitChange[] = []): Bed {
  const asked: string[] = []
  const judge: Judge = (candidate) => {
    const text = candidate.changes
      .map(
        ({ key, next }) =>
          `${key}:${next === undefined ? 'gone' : Buffer.from(next.resources[0]?.bytes ?? []).toString()}`,
      )
      .sort()
    asked.push(text.join(' '))
    const index = asked.length - 1
    return {
      upserted: [],
      removed: [],
      vetoes: new Map(refuse(candidate).map((key) => [key, [veto(key)]])),
      problems: new Map(),
      accept: () => {
        asked[index] += ' ✓'
      },
    }
  }
  const world = createWorld({ staticNames: {}, allowPartial: true, judge })
  world.apply(first, { isFirst: true })
  asked.length = 0
  return {
    world,
    asked,
    apply(...changes) {
      const step = world.apply(changes, { isFirst: false })
      return {
        told: step.problems.map(({ code, origin, path }) => `${code} ${origin.name}:${origin.line} ${path}`),
        upserted: step.upserted.map(({ key }) => key).sort(),
      }
    },
  }
}

const changes = (candidate: Candidate, key: string, content?: number): boolean =>
  candidate.changes.some(
    (one) =>
      one.key === key &&
      (content === undefined || Buffer.from(one.next?.resources[0]?.bytes ?? []).equals(Buffer.from(`${content}`))),
  )
const contentIs = (unit: Unit | undefined, content: number): boolean =>
  Buffer.from(unit?.resources[0]?.bytes ?? []).equals(Buffer.from(`${content}`))
const contentOf = (world: World, key: string): string | undefined =>
  world.inForce.get(key)?.resources.map(({ bytes }) => Buffer.from(bytes).toString())[0]

describe('a document of a kind', () => {
  it('provides what it declares to raw documents and to other kinds', () => {
    const { world, apply } = bed(() => [])
    const step = apply(
      valid(serviceUnit('cart')),
      valid(rawUnit('raw', ['cart'])),
      valid(routeUnit('r', ['cart', 'cart/v1'])),
    )
    expect(step.told).toEqual([])
    expect(world.inForce.size).toBe(3)
  })

  it('is kept out by a reference to a Service that is nowhere, at the line of the reference', () => {
    const { world, apply } = bed(() => [], [valid(serviceUnit('cart'))])
    expect(apply(valid(routeUnit('r', ['cart', 'cart/v2']))).told).toEqual([
      'dangling-reference Route/r.yaml:4 rules[1].backends[0].service',
    ])
    expect(world.inForce.has('Route/r')).toBe(false)
  })

  it('stays when it is deleted while a raw document names a cluster that it declares', () => {
    const { world, apply } = bed(() => [], [valid(serviceUnit('cart')), valid(rawUnit('raw', ['cart']))])
    expect(apply(deleted('Service/cart')).told).toEqual(['still-needed Service/cart.yaml:undefined '])
    expect(world.inForce.has('Service/cart')).toBe(true)
    expect(apply(deleted('raw')).told).toEqual([])
    expect(world.inForce.size).toBe(0)
  })

  it('is no duplicate of a raw cluster of the name that it declares: the judge sees whether they meet', () => {
    const { apply } = bed(() => [])
    expect(apply(valid(serviceUnit('cart')), valid(rawUnit('raw', [], ['cart']))).told).toEqual([])
  })
})

describe('what the judge vetoes', () => {
  it('falls back to its last good form, says why, and everything else takes effect', () => {
    const refuse = (candidate: Candidate): string[] => (changes(candidate, 'Service/a', 2) ? ['Service/a'] : [])
    const { world, asked, apply } = bed(refuse, [valid(serviceUnit('a')), valid(serviceUnit('b'))])
    const step = apply(valid(serviceUnit('a', 2)), valid(serviceUnit('b', 2)))
    expect(step).toEqual({ told: ['duplicate Service/a.yaml:1 '], upserted: ['Service/b'] })
    expect([contentOf(world, 'Service/a'), contentOf(world, 'Service/b')]).toEqual(['1', '2'])
    expect(asked).toEqual(['Service/a:2 Service/b:2', 'Service/b:2 ✓'])
  })

  it('takes what needs it along', () => {
    const refuse = (candidate: Candidate): string[] => (changes(candidate, 'Service/a') ? ['Service/a'] : [])
    const { world, asked, apply } = bed(refuse)
    const step = apply(valid(serviceUnit('a')), valid(routeUnit('r', ['a'])), valid(serviceUnit('b')))
    expect(step.told).toEqual([
      'dangling-reference Route/r.yaml:3 rules[0].backends[0].service',
      'duplicate Service/a.yaml:1 ',
    ])
    expect([...world.inForce.keys()]).toEqual(['Service/b'])
    expect(asked.at(-1)).toBe('Service/b:1 ✓')
  })

  it('is tried again at the next change, and its problem goes when nothing speaks against it any more', () => {
    const isRefused = { now: true }
    const refuse = (candidate: Candidate): string[] =>
      isRefused.now && changes(candidate, 'Service/a') ? ['Service/a'] : []
    const { world, apply } = bed(refuse)
    expect(apply(valid(serviceUnit('a'))).told).toHaveLength(1)
    expect(apply(valid(serviceUnit('b'))).told).toHaveLength(1)
    isRefused.now = false
    expect(apply(valid(serviceUnit('c')))).toEqual({ told: [], upserted: ['Service/a', 'Service/c'] })
    expect(world.inForce.size).toBe(3)
  })

  it('keeps a deletion from taking effect, too', () => {
    const refuse = (candidate: Candidate): string[] =>
      candidate.changes.some(({ key, next }) => key === 'Service/a' && next === undefined) ? ['Service/a'] : []
    const { world, apply } = bed(refuse, [valid(serviceUnit('a'))])
    expect(apply(deleted('Service/a')).told).toEqual(['duplicate Service/a.yaml:1 '])
    expect(world.inForce.has('Service/a')).toBe(true)
  })

  it('ends when veto after veto leaves nothing', () => {
    const refuse = (candidate: Candidate): string[] =>
      candidate.changes
        .filter(({ next }) => contentIs(next, 2))
        .slice(0, 1)
        .map(({ key }) => key)
    const { world, asked, apply } = bed(refuse, [valid(serviceUnit('a'))])
    const names = ['a', 'b', 'c', 'd']
    expect(apply(...names.map((name) => valid(serviceUnit(name, 2)))).told).toHaveLength(4)
    expect(asked).toHaveLength(5)
    expect(asked.filter((round) => round.includes('✓'))).toEqual([' ✓'])
    expect([contentOf(world, 'Service/a'), world.inForce.size]).toEqual(['1', 1])
  })

  it('is only told where the document has no change that could fall back', () => {
    const refuse = (candidate: Candidate): string[] =>
      changes(candidate, 'Service/b') ? ['Service/a', 'Service/b'] : []
    const { world, asked, apply } = bed(refuse, [valid(serviceUnit('a'))])
    expect(apply(valid(serviceUnit('b'))).told).toEqual(['duplicate Service/a.yaml:1 ', 'duplicate Service/b.yaml:1 '])
    expect([...world.inForce.keys()]).toEqual(['Service/a'])
    expect(asked).toEqual(['Service/b:1', ' ✓'])
    expect(apply(deleted('Service/b')).told).toEqual([])
  })

  it('leaves room for what it had taken: two of one name, of which the judge refuses the one in force first', () => {
    const refuse = (candidate: Candidate): string[] => (changes(candidate, 'moved') ? ['moved'] : [])
    const { world, apply } = bed(refuse, [valid(serviceUnit('a'))])
    const moved: Unit = { ...serviceUnit('a', 2), key: 'moved', origin: { name: 'moved.yaml' } }
    // The name moved to another document, which may not: what held it stays.
    expect(apply(deleted('Service/a'), valid(moved)).told).toHaveLength(2)
    expect([...world.inForce.keys()]).toEqual(['Service/a'])
  })
})

it('that fails leaves everything as it was, and is asked again at the next change', () => {
  const isFailing = { now: false }
  const refuse = (): string[] => {
    if (isFailing.now) throw new Error('failed')
    return []
  }
  const { world, apply } = bed(refuse, [valid(serviceUnit('a'))])
  isFailing.now = true
  expect(() => apply(valid(serviceUnit('a', 2)), valid(routeUnit('r', ['a'])))).toThrow('failed')
  expect([contentOf(world, 'Service/a'), world.inForce.size]).toEqual(['1', 1])
  isFailing.now = false
  expect(apply(valid(serviceUnit('b')))).toEqual({ told: [], upserted: ['Route/r', 'Service/a', 'Service/b'] })
})

it('hears of a document that only moved in its file, and of nothing when nothing changed', () => {
  const seen: Candidate[] = []
  const judge: Judge = (candidate) => {
    seen.push(candidate)
    return { upserted: [], removed: [], vetoes: new Map(), problems: new Map(), accept: () => {} }
  }
  const restored = serviceUnit('a')
  const world = createWorld({ staticNames: {}, allowPartial: false, judge, restored: [restored] })
  expect(seen).toMatchObject([{ isRestored: true, changes: [{ key: 'Service/a', old: undefined }] }])
  const again = serviceUnit('a')
  world.apply([valid(again)], { isFirst: true })
  expect(seen[1]).toMatchObject({ isRestored: false, changes: [], moved: [again] })
  world.addStaticNames({ cluster: ['xds'] })
  expect(seen).toHaveLength(2)
})

describe('at the first start, a document of a kind in error withholds', () => {
  const first = (touches: UnitChange & { kind: 'invalid' }): readonly unknown[] => {
    const world = createWorld({
      staticNames: {},
      allowPartial: false,
      nodesOf: (touched) => (touched === 'proxies' ? [{ cluster: 'edge' }] : 'nodes' in touched ? touched.nodes : []),
    })
    return world.apply([touches], { isFirst: true }).withheld.map(({ selectors }) => selectors ?? 'everybody')
  }
  const invalid = { kind: 'invalid', key: 'k', origin: { name: 'k.yaml', line: 2 }, selectors: undefined } as const

  it.each([
    ['the proxies, as a Service may concern any of them', { ...invalid, touches: 'proxies' }, [[{ cluster: 'edge' }]]],
    ['those that it selects itself', { ...invalid, touches: { nodes: [{ id: 'a' }] } }, [[{ id: 'a' }]]],
    ['nobody, when no Gateway of its is there', { ...invalid, touches: { gateways: ['gone'] } }, []],
    ['everybody, when nothing of it could be read', invalid, ['everybody']],
  ] as const)('%s', (_, change, expected) => {
    expect(first(change)).toEqual(expected)
  })
})
