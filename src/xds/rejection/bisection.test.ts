import { expect, test } from 'vitest'
import { buildResource, type Resource } from '../../resource/resource.ts'
import { resourceTypes } from '../../resource/type-url.ts'
import { setOfResources } from '../../snapshot/resource-set.ts'
import {
  acquit,
  type Bisection,
  beginBisection,
  isHeldBack,
  judge,
  probe,
  probeIntervalMs,
  suspect,
} from './bisection.ts'

const { typeUrl } = resourceTypes.cluster

function resource(name: string, text = name): Resource {
  return buildResource({ typeUrl, name, bytes: Buffer.from(text), origin: { name: 'x.yaml' } })
}

interface Outcome {
  readonly found: readonly string[]
  readonly probes: number
  readonly tookMs: number
  /** The sets that the client rejected, as lists of names. */
  readonly rejected: readonly string[]
}

/** Plays the client: it rejects whatever holds a bad one, and takes the rest. */
function play(names: readonly string[], bad: readonly string[], mentioned: readonly string[] = []): Outcome {
  const resources = names.map((name) => resource(name))
  const start: Bisection = beginBisection(resources, mentioned, 'first', 0)
  let bisection: Bisection | undefined = start
  const found: string[] = []
  const rejected: string[] = []
  let [now, probes] = [0, 0]
  while (bisection !== undefined) {
    if (bisection.tried.size === 0) {
      now = bisection.dueMs
      bisection = probe(bisection, now)
    }
    probes++
    expect(bisection.tried.size).toBeGreaterThan(0)
    const current: Bisection = bisection
    const sent = resources.filter(({ name }) => !found.includes(name) && !isHeldBack(current, name))
    const isBad = sent.some(({ name }) => bad.includes(name))
    if (isBad) rejected.push(sent.map(({ name }) => name).join(' '))
    const verdict = {
      set: setOfResources(typeUrl, sent),
      sentAtMs: now,
      message: isBad ? `probe ${probes}` : undefined,
    }
    const step = judge(current, verdict, now + 5)
    found.push(...step.found.map((one) => one.resource.name))
    bisection = step.bisection
    expect(probes).toBeLessThan(100)
  }
  return { found: found.sort(), probes, tookMs: now, rejected }
}

const eight = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']

test.each([
  ['one of two', ['a', 'b'], ['b']],
  ['one of eight', eight, ['f']],
  ['the first', eight, ['a']],
  ['the last', eight, ['h']],
  ['two of eight', eight, ['b', 'c']],
  ['two far apart', eight, ['a', 'h']],
  ['all of them', ['a', 'b', 'c'], ['a', 'b', 'c']],
])('Finds %s', (_what, names, bad) => {
  const { found } = play(names, bad)
  expect(found).toEqual(bad)
})

test('Finds one of a thousand in ten probes and one for the rest, a second each', () => {
  const names = Array.from({ length: 1024 }, (_, index) => `c${String(index).padStart(4, '0')}`)
  const { found, probes, tookMs } = play(names, ['c0777'])
  expect(found).toEqual(['c0777'])
  expect(probes).toBe(11)
  expect(tookMs).toBe(11 * probeIntervalMs)
})

test('Never sends two probes within a second', () => {
  const bisection = beginBisection([resource('a'), resource('b'), resource('c')], [], 'no', 0)
  expect(probe(bisection, probeIntervalMs - 1)).toBe(bisection)
  const first = probe(bisection, probeIntervalMs)
  expect([...first.tried]).toEqual(['a'])
  const { bisection: second } = judge(
    first,
    { set: setOfResources(typeUrl, [resource('a')]), sentAtMs: probeIntervalMs, message: undefined },
    probeIntervalMs + 5,
  )
  expect(second?.dueMs).toBe(2 * probeIntervalMs)
  expect(second?.groups).toEqual([{ names: ['b', 'c'], message: 'no' }])
})

test('Whom the message mentions is found without being sent again, and at once', () => {
  expect(play(eight, ['f'], ['f'])).toEqual({ found: ['f'], probes: 1, tookMs: 0, rejected: [] })
})

test('Whom it mentions wrongly is found innocent', () => {
  expect(play(eight, ['f'], ['b']).found).toEqual(['f'])
})

test('One that was mentioned beside another that was not: both are found', () => {
  expect(play(eight, ['f', 'b'], ['b']).found).toEqual(['b', 'f'])
})

test('A verdict on what was sent before the probe is none on it', () => {
  const bisection = probe(beginBisection([resource('a'), resource('b')], [], 'no', 0), probeIntervalMs)
  const set = setOfResources(typeUrl, [resource('a'), resource('b')])
  expect(judge(bisection, { set, sentAtMs: 500, message: undefined }, 1200)).toEqual({ bisection, found: [] })
})

test('When what is left without the suspects is rejected too, nothing is tried until something changes', () => {
  const bisection = beginBisection([resource('a'), resource('b')], [], 'no', 0)
  const set = setOfResources(typeUrl, [resource('z')])
  const step = judge(bisection, { set, sentAtMs: 1, message: 'that neither' }, 10)
  const hopeless = step.bisection as Bisection
  expect(probe(hopeless, 1e9)).toBe(hopeless)
  expect(['a', 'b'].every((name) => isHeldBack(hopeless, name))).toBe(true)
  const accepted = judge(hopeless, { set, sentAtMs: 20, message: undefined }, 2000).bisection as Bisection
  expect(probe(accepted, 2000).tried.size).toBe(1)
  const changed = suspect(hopeless, [resource('a', 'mended')], 5000)
  expect([...probe(changed, 6000).tried]).toEqual(['a', 'b'])
})

test('Who was named meanwhile, changed or went is suspected no more, and of the others nothing is known', () => {
  const bisection = beginBisection([resource('a'), resource('b'), resource('c')], [], 'no', 0)
  const left = acquit(bisection, new Set(['a']), 10) as Bisection
  expect(left.groups).toEqual([{ names: ['b', 'c'], message: undefined }])
  expect([...probe(left, 2000).tried]).toEqual(['b', 'c'])
  expect(acquit(left, new Set(['b', 'c']), 20)).toBeUndefined()
  expect(acquit(left, new Set(['x']), 20)).toBe(left)
})

test('What changes meanwhile is held back and tried in its turn, in its new form', () => {
  const bisection = beginBisection([resource('a'), resource('b')], [], 'no', 0)
  const changed = suspect(bisection, [resource('b', 'mended'), resource('n')], 10)
  expect(isHeldBack(changed, 'n')).toBe(true)
  expect(changed.groups.map(({ names }) => names)).toEqual([['a', 'b', 'n']])
  expect(changed.suspects.get('b')?.version).toBe(resource('b', 'mended').version)
})
