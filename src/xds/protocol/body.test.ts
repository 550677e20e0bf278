import { expect, test } from 'vitest'
import { buildResource } from '../../resource/resource.ts'
import { resourceTypes } from '../../resource/type-url.ts'
import { type ResourceSet, setOfResources } from '../../snapshot/resource-set.ts'
import { BodyCache } from './body.ts'
import { deltaContent, type Question, sotwContent } from './content.ts'
import { noNames } from './names.ts'

const typeUrl = 'type.googleapis.com/test.Type'
const options = { identifier: 'test', maxBodies: 10, maxBytes: 1_000_000, maxResponseBytes: 1_000_000 }

function setOf(text: string): ResourceSet {
  return setOfResources(typeUrl, [
    buildResource({ typeUrl, name: 'a', bytes: Buffer.from(text), origin: { name: 'x' } }),
  ])
}

function questionFor(from: ResourceSet, to: ResourceSet): Question {
  return {
    to,
    from: [from],
    isWildcard: true,
    names: noNames,
    owed: noNames,
    initialVersions: undefined,
    isComplete: true,
  }
}

function ask(bodies: BodyCache, question: Question): ReturnType<BodyCache['bodyOf']> {
  return bodies.bodyOf(question, 'delta', () => deltaContent(question, () => true))
}

test('One question is answered once, with the same bytes for all', () => {
  const bodies = new BodyCache(options)
  const [one, two] = [setOf('1'), setOf('2')]
  const first = ask(bodies, questionFor(one, two)).messages(0)
  expect(ask(bodies, questionFor(one, two)).messages(0)).toBe(first)
  expect(bodies.builds).toBe(1)
  ask(bodies, questionFor(two, one))
  expect(bodies.builds).toBe(2)
})

test('Over a thousand flips between two sets the nonces of a stream strictly increase, and two answers are computed (rule 11)', () => {
  const bodies = new BodyCache(options)
  const [one, two] = [setOf('1'), setOf('2')]
  const nonces: number[] = []
  for (let flip = 0; flip < 1000; flip++) {
    const question = flip % 2 === 0 ? questionFor(one, two) : questionFor(two, one)
    nonces.push(ask(bodies, question).messages(nonces.at(-1) ?? 0)[0]?.nonce ?? 0)
  }
  expect(nonces.every((nonce, index) => index === 0 || nonce > (nonces[index - 1] as number))).toBe(true)
  expect(bodies.builds).toBe(2)
})

test('The least recently used answers go when there are too many, or too many bytes', () => {
  const sets = Array.from({ length: 6 }, (_, index) => setOf(String(index).repeat(1000)))
  const [base, ...others] = sets as [ResourceSet, ...ResourceSet[]]
  for (const limits of [{ maxBodies: 2 }, { maxBytes: 5000 }]) {
    const bodies = new BodyCache({ ...options, ...limits })
    for (const to of others) ask(bodies, questionFor(base, to)).messages(0)
    expect(bodies.builds).toBe(5)
    ask(bodies, questionFor(base, others[4] as ResourceSet))
    expect(bodies.builds).toBe(5)
    ask(bodies, questionFor(base, others[0] as ResourceSet))
    expect(bodies.builds).toBe(6)
  }
})

test('What is too large goes in parts, what is removed with the last; SotW clusters always go whole (rule 19)', () => {
  const members = (type: string): ResourceSet =>
    setOfResources(
      type,
      ['a', 'b', 'c'].map((name) =>
        buildResource({ typeUrl: type, name, bytes: Buffer.alloc(2000), origin: { name: 'x' } }),
      ),
    )
  const bodies = new BodyCache({ ...options, maxResponseBytes: 6000 })
  const before = setOfResources(typeUrl, [
    buildResource({ typeUrl, name: 'gone', bytes: Buffer.alloc(1), origin: { name: 'x' } }),
  ])
  const parts = ask(bodies, questionFor(before, members(typeUrl))).messages(0)
  expect(parts.map(({ resources, removed }) => [resources, removed])).toEqual([
    [2, 0],
    [1, 1],
  ])
  expect(parts[1]?.nonce).toBeGreaterThan(parts[0]?.nonce ?? 0)
  const clusters = members(resourceTypes.cluster.typeUrl)
  const question = questionFor(setOfResources(clusters.typeUrl, []), clusters)
  const whole = bodies.bodyOf(question, 'sotw', () => sotwContent(question, resourceTypes.cluster, () => true, false))
  expect(whole.messages(0)).toHaveLength(1)
})
