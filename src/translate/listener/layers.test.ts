import { describe, expect, it } from 'vitest'
import { accessLogOf } from './layers.ts'

describe('an access log', () => {
  it('is what the nearest layer says of each field', () => {
    const mesh = { format: 'json', path: '/var/log/mesh', minStatus: 400 } as const
    expect(accessLogOf(mesh, { minStatus: 500 })).toEqual({ ...mesh, minStatus: 500 })
    expect(accessLogOf(mesh, { off: true })).toMatchObject({ off: true })
  })

  it('is of JSON where fields are given, whatever the format was', () => {
    expect(accessLogOf({ format: 'text', text: 'x' }, { fields: { a: 'b' } })?.format).toBe('json')
  })

  it('that is off for all is on again where somebody says what is logged', () => {
    expect(accessLogOf({ off: true }, { minStatus: 500 })).toEqual({ minStatus: 500 })
    expect(accessLogOf({ off: true }, { path: '/a' }, { off: true })).toEqual({ path: '/a', off: true })
    expect(accessLogOf({ off: true }, undefined)).toEqual({ off: true })
  })
})
