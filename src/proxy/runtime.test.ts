import { describe, expect, it } from 'vitest'
import { createRuntime } from './runtime.ts'

describe('the runtime', () => {
  const layers = [
    {
      name: 'static',
      values: { a: { b: 1, c: 'true' }, 'x.y': 0.5, share: { numerator: 5, denominator: 'TEN_THOUSAND' } },
    },
    { name: 'told', values: {} },
  ]

  it('has nested names and names with dots, and a later layer wins', () => {
    const runtime = createRuntime(layers)
    expect([...runtime.entries.keys()]).toEqual(['a.b', 'a.c', 'share', 'x.y'])
    expect(runtime.number('a.b', 7)).toBe(1)
    expect(runtime.flag('a.c', false)).toBe(true)
    runtime.setLayer('told', { 'a.b': 2, a: { c: false } })
    expect(runtime.number('a.b', 7)).toBe(2)
    expect(runtime.flag('a.c', true)).toBe(false)
    runtime.setLayer('told', {})
    expect(runtime.number('a.b', 7)).toBe(1)
  })

  it('falls back where there is nothing of that kind', () => {
    const runtime = createRuntime(layers)
    expect(runtime.number('none', 7)).toBe(7)
    expect(runtime.number('a.c', 7)).toBe(7)
    expect(runtime.flag('a.b', true)).toBe(true)
  })

  it('takes a number as a share of a hundred, and a fraction as it is', () => {
    const runtime = createRuntime(layers)
    const half = { numerator: 50, denominator: 100 }
    expect(runtime.isChosen('none', half, 0.49)).toBe(true)
    expect(runtime.isChosen('none', half, 0.5)).toBe(false)
    expect(runtime.isChosen('a.b', half, 0.009)).toBe(true)
    expect(runtime.isChosen('a.b', half, 0.01)).toBe(false)
    expect(runtime.isChosen('share', half, 0.000_499)).toBe(true)
    expect(runtime.isChosen('share', half, 0.000_5)).toBe(false)
  })

  it('has only the layers that it was made with', () => {
    expect(() => createRuntime(layers).setLayer('nope', {})).toThrow('nope')
  })
})
