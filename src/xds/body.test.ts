import { expect, test } from 'vitest'
import { buildResource } from '../resource/resource.ts'
import { type ResourceSet, setOfResources } from '../snapshot/resource-set.ts'
import { BodyCache } from './body.ts'
import { deltaContent, type Question } from './content.ts'
import { noNames } from './names.ts'

const typeUrl = 'type.googleapis.com/test.Type'
const options = { identifier: 'test', maxBodies: 10, maxBytes: 1_000_000 }

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
  const first = ask(bodies, questionFor(one, two)).message(0)
  expect(ask(bodies, questionFor(one, two)).message(0)).toBe(first)
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
    nonces.push(ask(bodies, question).message(nonces.at(-1) ?? 0).nonce)
  }
  expect(nonces.every((nonce, index) => index === 0 || nonce > (nonces[index - 1] as number))).toBe(true)
  expect(bodies.builds).toBe(2)
})

test('The least recently used answers go when there are too many, or too many bytes', () => {
  const sets = Array.from({ length: 6 }, (_, index) => setOf(String(index).repeat(1000)))
  const [base, ...others] = sets as [ResourceSet, ...ResourceSet[]]
  for (const limits of [{ maxBodies: 2 }, { maxBytes: 5000 }]) {
    const bodies = new BodyCache({ ...options, ...limits })
    for (const to of others) ask(bodies, questionFor(base, to)).message(0)
    expect(bodies.builds).toBe(5)
    ask(bodies, questionFor(base, others[4] as ResourceSet))
    expect(bodies.builds).toBe(5)
    ask(bodies, questionFor(base, others[0] as ResourceSet))
    expect(bodies.builds).toBe(6)
  }
})
