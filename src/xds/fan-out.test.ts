import { setImmediate } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { FanOut } from './fan-out.ts'

test('Every stream has its turn once, however often it was scheduled', async () => {
  const fanOut = new FanOut({ maxUnflushedBytes: 100, sliceMs: 1000 })
  const turns: string[] = []
  const [a, b] = ['a', 'b'].map((name) => ({ advance: () => void turns.push(name) })) as [never, never]
  for (const sender of [a, b, a, b]) fanOut.schedule(sender)
  expect(turns).toEqual([])
  await setImmediate()
  expect(turns).toEqual(['a', 'b'])
})

test('Streams wait while too many bytes are on their way, and go on when they are gone', async () => {
  const fanOut = new FanOut({ maxUnflushedBytes: 100, sliceMs: 1000 })
  const turns: string[] = []
  for (const name of ['a', 'b', 'c']) {
    fanOut.schedule({
      advance: () => {
        turns.push(name)
        fanOut.reserve(60)
      },
    })
  }
  await setImmediate()
  await setImmediate()
  expect(turns).toEqual(['a', 'b'])
  fanOut.release(60)
  await setImmediate()
  expect(turns).toEqual(['a', 'b', 'c'])
})

test('A long fan-out lets the event loop turn', async () => {
  const fanOut = new FanOut({ maxUnflushedBytes: 100, sliceMs: 0 })
  const turns: number[] = []
  for (let index = 0; index < 5; index++) fanOut.schedule({ advance: () => void turns.push(index) })
  await setImmediate()
  expect(turns.length).toBeLessThan(5)
  await expect.poll(() => turns).toEqual([0, 1, 2, 3, 4])
})

test('A stream that is gone has no turn', async () => {
  const fanOut = new FanOut({ maxUnflushedBytes: 100, sliceMs: 1000 })
  const turns: string[] = []
  const gone = { advance: () => void turns.push('gone') }
  fanOut.schedule(gone)
  fanOut.forget(gone)
  await setImmediate()
  expect(turns).toEqual([])
})
