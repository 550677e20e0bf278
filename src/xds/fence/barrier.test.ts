import { expect, test } from 'vitest'
import { createManualClock } from '../../../test/support/manual-clock.ts'
import type { Log } from '../../log.ts'
import { Barrier, type Doubter } from './barrier.ts'

/** A barrier whose questions the test answers. */
function bed() {
  const clock = createManualClock()
  const logged: string[] = []
  const write = (fields: unknown, message?: string): void => void logged.push(message ?? String(fields))
  const questions: { readonly answer: () => void; readonly fail: () => void }[] = []
  const counts: number[] = []
  const barrier = new Barrier({
    caughtUp: (signal) =>
      new Promise((resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error))
        questions.push({ answer: resolve, fail: () => reject(new Error('no')) })
      }),
    clock,
    log: { warn: write, info: write } as unknown as Log,
    onHeld: (count) => counts.push(count),
  })
  const proven: string[] = []
  const doubter = (name: string): Doubter => ({ prove: () => void proven.push(name) })
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
  return { clock, logged, questions, counts, barrier, proven, doubter, turn }
}

test('who comes while a question is under way has the answer of the next one, however many they are', async () => {
  const { clock, questions, barrier, proven, doubter, turn } = bed()
  barrier.enter(doubter('first'))
  for (const name of ['second', 'third']) barrier.enter(doubter(name))
  expect(questions).toHaveLength(1)
  questions[0]?.answer()
  await turn()
  expect([proven, questions.length]).toEqual([['first'], 1])
  clock.pass(100)
  expect(questions).toHaveLength(2)
  questions[1]?.answer()
  await turn()
  expect(proven).toEqual(['first', 'second', 'third'])
  expect([barrier.doubting, clock.waiting]).toEqual([0, 0])
})

test('who has gone is told nothing, and nothing is asked for it', async () => {
  const { clock, questions, barrier, proven, doubter, turn } = bed()
  const [one, two] = [doubter('one'), doubter('two')]
  barrier.enter(one)
  barrier.enter(two)
  barrier.leave(one)
  barrier.leave(two)
  questions[0]?.answer()
  await turn()
  clock.pass(1_000)
  expect([proven, questions.length, barrier.doubting]).toEqual([[], 1, 0])
})

test('a question that fails is asked again', async () => {
  const { clock, questions, barrier, proven, doubter, turn } = bed()
  barrier.enter(doubter('one'))
  questions[0]?.fail()
  await turn()
  clock.pass(1_000)
  questions[1]?.answer()
  await turn()
  expect(proven).toEqual(['one'])
})

test('that clients are held back is told once after five seconds, and when it is over', () => {
  const { clock, counts, logged, barrier, doubter } = bed()
  const [one, two, three] = [doubter('one'), doubter('two'), doubter('three')]
  barrier.hold(one)
  clock.pass(4_000)
  barrier.hold(two)
  barrier.letGo(one)
  clock.pass(4_000)
  expect(logged).toEqual([])
  clock.pass(1_000)
  barrier.hold(three)
  clock.pass(60_000)
  expect(logged).toEqual([expect.stringContaining('held back')])
  barrier.letGo(two)
  barrier.leave(three)
  expect(logged.slice(1)).toEqual([expect.stringContaining('no client is held back any more')])
  expect(counts).toEqual([1, 2, 1, 2, 1, 0])
  expect(clock.waiting).toBe(0)
})

test('those who are held back for a moment, one after another, are not worth a line', () => {
  const { clock, logged, barrier, doubter } = bed()
  for (let index = 0; index < 100; index++) {
    const one = doubter(String(index))
    barrier.hold(one)
    clock.pass(100)
    barrier.letGo(one)
  }
  expect(logged).toEqual([])
})

test('proof is given in time or not at all', async () => {
  const { clock, questions, barrier, turn } = bed()
  const [early, late] = [barrier.proof(2_000), barrier.proof(2_000)]
  questions[0]?.answer()
  expect(await early).toBe(true)
  clock.pass(2_000)
  expect(await late).toBe(false)
  questions[1]?.answer()
  await turn()
  expect([barrier.doubting, clock.waiting]).toEqual([0, 0])
})

test('once closed it asks nothing more, and leaves nothing behind', async () => {
  const { clock, logged, questions, barrier, doubter, turn } = bed()
  barrier.enter(doubter('one'))
  barrier.hold(doubter('one'))
  barrier.enter(doubter('two'))
  barrier.close()
  await turn()
  clock.pass(10_000)
  expect([questions.length, logged, clock.waiting]).toEqual([1, [], 0])
})
