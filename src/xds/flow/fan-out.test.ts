import { setImmediate as setTurn } from 'node:timers'
import { setImmediate } from 'node:timers/promises'
import { afterEach, expect, test, vi } from 'vitest'
import { systemClock } from '../../clock.ts'
import { FanOut, type FanOutOptions, type Sender } from './fan-out.ts'

afterEach(() => void vi.useRealTimers())

const options: FanOutOptions = {
  maxUnflushedBytes: 100,
  sliceMs: 1000,
  clock: systemClock,
  defer: (act) => void setTurn(act),
}

const sender = (advance: () => void): Sender => ({ isAsked: false, advance })

test('Every stream has its turn once, however often it was scheduled', async () => {
  const fanOut = new FanOut(options)
  const turns: string[] = []
  const [a, b] = ['a', 'b'].map((name) => sender(() => void turns.push(name))) as [Sender, Sender]
  for (const scheduled of [a, b, a, b]) fanOut.schedule(scheduled)
  expect(turns).toEqual([])
  await setImmediate()
  expect(turns).toEqual(['a', 'b'])
})

test('Whose client has asked goes before all pushes, even if it waits among them already', async () => {
  const fanOut = new FanOut(options)
  const turns: string[] = []
  const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((name) => sender(() => void turns.push(name))) as [
    Sender,
    Sender,
    Sender,
    Sender,
  ]
  for (const pushed of [a, b, c]) fanOut.schedule(pushed)
  fanOut.schedule(d, true)
  fanOut.schedule(b, true)
  await setImmediate()
  expect(turns).toEqual(['d', 'b', 'a', 'c'])
})

test('Streams wait while too many bytes are on their way, and go on when they are gone', async () => {
  const fanOut = new FanOut(options)
  const turns: string[] = []
  for (const name of ['a', 'b', 'c']) {
    const speak = (): void => {
      turns.push(name)
      fanOut.reserve(60)
    }
    fanOut.schedule(sender(speak))
  }
  await setImmediate()
  await setImmediate()
  expect(turns).toEqual(['a', 'b'])
  fanOut.release(60)
  await setImmediate()
  expect(turns).toEqual(['a', 'b', 'c'])
})

test('A socket that takes nothing for a second holds up nobody', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'performance'] })
  const fanOut = new FanOut(options)
  const stalled: number[] = []
  const writer = {
    releaseIfStalled: (sinceMs: number) => {
      stalled.push(sinceMs)
      fanOut.release(100)
    },
  }
  fanOut.open(writer)
  fanOut.reserve(100)
  const turns: string[] = []
  fanOut.schedule(sender(() => void turns.push('a')))
  await setImmediate()
  expect(turns).toEqual([])
  vi.advanceTimersByTime(1000)
  await setImmediate()
  expect(stalled).toHaveLength(1)
  expect(turns).toEqual(['a'])
})

test('A long fan-out lets the event loop turn', async () => {
  const fanOut = new FanOut({ ...options, sliceMs: 0 })
  const turns: number[] = []
  const all = Array.from({ length: 10 }, (_, index) => index)
  for (const index of all) fanOut.schedule(sender(() => void turns.push(index)))
  await setImmediate()
  expect(turns.length).toBeLessThan(10)
  await expect.poll(() => turns).toEqual(all)
})

test('A stream that is gone has no turn', async () => {
  const fanOut = new FanOut(options)
  const turns: string[] = []
  const gone = sender(() => void turns.push('gone'))
  fanOut.schedule(gone)
  fanOut.close({ releaseIfStalled: () => {} }, gone)
  await setImmediate()
  expect(turns).toEqual([])
})

test('A stream waits once, however often it is asked while nothing can be said', async () => {
  const fanOut = new FanOut(options)
  fanOut.reserve(100)
  let turns = 0
  const [asked, pushed] = [sender(() => void turns++), sender(() => {})]
  for (let request = 0; request < 1000; request++) {
    fanOut.schedule(asked, request % 2 === 1)
    fanOut.schedule(pushed)
  }
  expect(fanOut.waiting).toBe(2)
  fanOut.release(100)
  await setImmediate()
  expect([turns, fanOut.waiting]).toEqual([1, 0])
})

test('Whose client asks while others have their turn is the next', async () => {
  const fanOut = new FanOut(options)
  const turns: string[] = []
  const asking = sender(() => void turns.push('asking'))
  fanOut.schedule(sender(() => fanOut.schedule(asking, true)))
  fanOut.schedule(sender(() => void turns.push('pushed')))
  fanOut.schedule(asking)
  await setImmediate()
  expect(turns).toEqual(['asking', 'pushed'])
})
