import { describe, expect, it } from 'vitest'
import type { Clock } from '../../clock.ts'
import { Heart } from './heart.ts'

interface Bed {
  readonly clock: Clock
  readonly timers: () => number
  /** Lets time pass, and gives the moments of the beats in it. */
  run(ms: number): void
}

function bed(): Bed {
  let now = 0
  const timers = new Set<{ readonly atMs: number; readonly act: () => void }>()
  return {
    clock: {
      now: () => now,
      after(ms, act) {
        const timer = { atMs: now + ms, act }
        timers.add(timer)
        return { cancel: () => void timers.delete(timer) }
      },
    },
    timers: () => timers.size,
    run(ms) {
      const end = now + ms
      for (;;) {
        const [next] = [...timers].sort((a, b) => a.atMs - b.atMs)
        if (next === undefined || next.atMs > end) break
        timers.delete(next)
        now = next.atMs
        next.act()
      }
      now = end
    },
  }
}

/** Beats as a stream does; `isMissed` says for each whether there was no room. */
function beating(at: Bed, seed: number, periodMs: number, isMissed: (beat: number) => boolean = () => false) {
  const beats: number[] = []
  const heart: Heart = new Heart(at.clock, seed, () => {
    if (heart.isDue('a')) {
      beats.push(at.clock.now())
      heart.next('a', periodMs, isMissed(beats.length))
    }
    heart.arm()
  })
  heart.keep('a', periodMs, false)
  heart.arm()
  return { heart, beats }
}

const gapsOf = (beats: readonly number[]): number[] => beats.map((beat, index) => beat - (beats[index - 1] ?? 0))

describe('Heart', () => {
  it('beats within each period, with one timer', () => {
    const at = bed()
    const { beats } = beating(at, 1, 1000)
    at.run(10_000)
    expect(beats.length).toBeGreaterThanOrEqual(10)
    for (const gap of gapsOf(beats)) {
      expect(gap).toBeGreaterThanOrEqual(800)
      expect(gap).toBeLessThanOrEqual(1002)
    }
    expect(at.timers()).toBe(1)
  })

  it('spreads the beats of many streams', () => {
    const at = bed()
    const first = Array.from({ length: 100 }, (_, seed) => beating(at, seed, 10_000))
    at.run(10_001)
    const moments = first.map(({ beats }) => Math.floor(((beats[0] ?? 0) - 8000) / 200)).filter((slot) => slot >= 0)
    const busiest = Math.max(...moments.map((slot) => moments.filter((other) => other === slot).length))
    expect(new Set(moments).size).toBe(10)
    expect(busiest).toBeLessThanOrEqual(12)
  })

  it('tries again before it is too late when there was no room', () => {
    const at = bed()
    const { beats } = beating(at, 1, 1000, (beat) => beat === 2)
    at.run(3000)
    const [, , third] = gapsOf(beats)
    expect(third).toBeLessThanOrEqual(252)
  })

  it('beats at once for what the client had before, and sooner when a shorter TTL comes', () => {
    const at = bed()
    const { heart, beats } = beating(at, 1, 100_000)
    at.run(1000)
    heart.keep('a', 500, false)
    heart.arm()
    at.run(502)
    expect(beats).toHaveLength(1)
    heart.keep('b', 1000, true)
    expect(heart.isDue('b')).toBe(true)
  })

  it('has no timer when nothing expires, and none when it is stopped', () => {
    const at = bed()
    const { heart } = beating(at, 1, 1000)
    expect(at.timers()).toBe(1)
    heart.drop('a')
    heart.arm()
    expect(at.timers()).toBe(0)
    heart.keep('a', 1000, false)
    heart.arm()
    heart.stop()
    expect(at.timers()).toBe(0)
  })

  it('knows the nonces of its beats, each once, and few of a client that answers none', () => {
    const { heart } = beating(bed(), 1, 1000)
    for (let nonce = 1; nonce <= 20; nonce++) heart.noteSent('a', String(nonce), [`n${nonce}`])
    expect(heart.answered('a', '1')).toBeUndefined()
    expect(heart.answered('a', '15')).toEqual(['n15'])
    expect(heart.answered('a', '15')).toBeUndefined()
    expect(heart.answered('a', '14')).toBeUndefined()
    expect(heart.answered('b', '16')).toBeUndefined()
    expect(heart.answered('a', '20')).toEqual(['n20'])
  })
})
