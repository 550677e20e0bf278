import { setImmediate } from 'node:timers/promises'
import { afterEach, expect, test, vi } from 'vitest'
import { FanOut } from './fan-out.ts'

afterEach(() => void vi.useRealTimers())

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
  const writer = { releaseIfStalled: () => {} }
  for (const name of ['a', 'b', 'c']) {
    fanOut.schedule({
      advance: () => {
        turns.push(name)
        fanOut.reserve(writer, 60)
      },
    })
  }
  await setImmediate()
  await setImmediate()
  expect(turns).toEqual(['a', 'b'])
  fanOut.release(writer, 60, false)
  await setImmediate()
  expect(turns).toEqual(['a', 'b', 'c'])
})

test('A socket that takes nothing for a second holds up nobody', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'performance'] })
  const fanOut = new FanOut({ maxUnflushedBytes: 100, sliceMs: 1000 })
  const stalled: number[] = []
  const writer = {
    releaseIfStalled: (sinceMs: number) => {
      stalled.push(sinceMs)
      fanOut.release(writer, 100, true)
    },
  }
  fanOut.reserve(writer, 100)
  const turns: string[] = []
  fanOut.schedule({ advance: () => void turns.push('a') })
  await setImmediate()
  expect(turns).toEqual([])
  vi.advanceTimersByTime(1000)
  await setImmediate()
  expect(stalled).toHaveLength(1)
  expect(turns).toEqual(['a'])
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
