import { describe, expect, it } from 'vitest'
import type { Endpoint } from '../../config/kinds/service-form.ts'
import { forgottenZones, localitiesOf, placesOf } from './localities.ts'

const endpoint = (port: number, rest: Partial<Endpoint> = {}): Endpoint => ({ address: '10.0.0.1', port, ...rest })

/** `<priority> <zone>/<subZone> [weight]: ports` */
const told = (endpoints: readonly Endpoint[], weights?: Record<string, number>): string[] =>
  localitiesOf(endpoints, weights).map(
    ({ priority, zone, subZone, weight, endpoints: members }) =>
      `${priority} ${zone}/${subZone}${weight === undefined ? '' : ` ${weight}`}: ${members.map(({ port }) => port).join()}`,
  )

describe('localities', () => {
  it('are in the same order whatever that of the endpoints, which keep theirs', () => {
    const endpoints = [
      endpoint(1, { zone: 'b' }),
      endpoint(2, { zone: 'a', subZone: 'y' }),
      endpoint(3, { zone: 'a', subZone: 'x' }),
      endpoint(4, { zone: 'b' }),
    ]
    expect(told(endpoints)).toEqual(['0 a/x: 3', '0 a/y: 2', '0 b/: 1,4'])
    expect(told(endpoints.toReversed())).toEqual(['0 a/x: 3', '0 a/y: 2', '0 b/: 4,1'])
  })

  it('have no gaps between their priorities, and none in words of more digits', () => {
    const priorities = [100, 7, 0, 7].map((priority, index) => endpoint(index, { priority }))
    expect(told(priorities)).toEqual(['0 /: 2', '1 /: 1,3', '2 /: 0'])
  })

  it('are apart by region, and by how far it is behind what an endpoint says of its priority', () => {
    const endpoints = [
      endpoint(1, { region: 'us', zone: 'a' }),
      endpoint(2, { region: 'eu', zone: 'a' }),
      endpoint(3, { region: 'eu', zone: 'a', priority: 1 }),
      endpoint(4, { region: 'us', zone: 'a', priority: 1 }),
    ]
    const byRegion = (rankOf?: (one: Endpoint) => number): string[] =>
      localitiesOf(endpoints, undefined, rankOf).map(
        ({ priority, region, endpoints: members }) =>
          `${priority} ${region}: ${members.map(({ port }) => port).join()}`,
      )
    expect(byRegion()).toEqual(['0 eu: 2', '0 us: 1', '1 eu: 3', '1 us: 4'])
    expect(byRegion(({ region }) => (region === 'us' ? 0 : 7))).toEqual(['0 us: 1', '1 eu: 2', '2 us: 4', '3 eu: 3'])
  })

  it('have no more priorities than Envoy knows', () => {
    const endpoints = Array.from({ length: 200 }, (_, index) => endpoint(index, { region: `r${index}` }))
    const found = localitiesOf(endpoints, undefined, ({ port }) => port).map(({ priority }) => priority)
    expect(Math.max(...found)).toBe(127)
    expect(found.filter((priority) => priority < 127)).toHaveLength(127)
  })

  it('are places alone for who must not see priorities', () => {
    const endpoints = [endpoint(1, { zone: 'a', priority: 3 }), endpoint(2, { zone: 'a' }), endpoint(3, { zone: 'b' })]
    expect(
      placesOf(endpoints).map(({ zone, priority, endpoints: { length } }) => `${priority} ${zone} ${length}`),
    ).toEqual(['0 a 2', '0 b 1'])
  })

  it('leave out endpoints without weight, and with them a priority of nothing else', () => {
    expect(told([endpoint(1, { weight: 0 }), endpoint(2, { priority: 1 })])).toEqual(['0 /: 2'])
    expect(told([endpoint(1, { weight: 0 })])).toEqual([])
  })

  it('share the weight of their zone by the number of their endpoints', () => {
    const endpoints = [
      endpoint(1, { zone: 'a', subZone: 'x' }),
      endpoint(2, { zone: 'a', subZone: 'y' }),
      endpoint(3, { zone: 'a', subZone: 'y' }),
      endpoint(4, { zone: 'b' }),
      endpoint(5, { zone: 'c' }),
    ]
    expect(told(endpoints, { a: 3, b: 1, c: 0 })).toEqual([
      '0 a/x 1000: 1',
      '0 a/y 2000: 2,3',
      '0 b/ 1000: 4',
      '0 c/: 5',
    ])
    expect(forgottenZones(endpoints, { a: 3, c: 0 })).toEqual(['b'])
  })

  it('are as one where weights speak of other zones: a Mesh may have weights for zones that a Service is not in', () => {
    const endpoints = [endpoint(1), endpoint(2, { zone: 'b' })]
    expect(told(endpoints, { a: 1 })).toEqual(['0 / 500: 1', '0 b/ 500: 2'])
    expect(told(endpoints, { constructor: 1, toString: 1 })).toEqual(['0 / 500: 1', '0 b/ 500: 2'])
    expect(forgottenZones(endpoints, { a: 1 })).toEqual([])
  })
})
