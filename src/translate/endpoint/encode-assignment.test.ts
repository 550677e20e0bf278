import { describe, expect, it } from 'vitest'
import { createRandom, seedsOf } from '../../../test/support/random.ts'
import type { Endpoint } from '../../config/kinds/service-form.ts'
import { encodeAssignment } from '../../resource/encode-assignment.ts'
import { loadEnvoyApi } from '../../resource/envoy-api.ts'
import { messageToJson } from '../../resource/json/codec.ts'
import { resourceTypes } from '../../resource/type-url.ts'
import { buildGenerated } from '../build-generated.ts'
import type { Assignment } from '../contract.ts'
import { assignmentJson } from './assignment-json.ts'
import { localitiesOf } from './localities.ts'

const api = loadEnvoyApi()
const from = {
  document: {
    key: 'cart.yaml',
    origin: { name: 'cart.yaml' },
    form: { kind: 'Service', name: 'cart', protocol: 'http' },
    places: { at: () => undefined },
  },
  path: '',
} as const

/** The JSON of both ways, so that a difference is seen as one. */
function bothWays(assignment: Assignment): readonly [fast: unknown, slow: unknown] {
  const { resource, problems } = buildGenerated(api, 'endpoint', assignmentJson(assignment), from)
  expect(problems).toEqual([])
  const fast = encodeAssignment(assignment)
  if (resource !== undefined && Buffer.compare(fast, resource.bytes) === 0) return [true, true]
  const json = (bytes: Uint8Array): unknown => messageToJson(api, resourceTypes.endpoint.typeUrl, bytes)
  return [json(fast), resource && json(resource.bytes)]
}

const expectSame = (assignment: Assignment): void => {
  const [fast, slow] = bothWays(assignment)
  expect(fast).toEqual(slow)
  expect(fast, 'the same content in other bytes').toBe(true)
}

describe('an encoded assignment', () => {
  const one: Endpoint = { address: '10.0.0.1', port: 80 }

  it.each<[string, Assignment]>([
    ['nobody', { name: 'cart', localities: [] }],
    ['one', { name: 'cart/v1', localities: localitiesOf([one]) }],
    [
      'one of everything',
      {
        name: 'cart',
        overprovisioningFactor: 100_000,
        healthPort: 81,
        localities: localitiesOf(
          [
            {
              ...one,
              region: 'eu',
              zone: 'a',
              subZone: 'b',
              labels: { b: 'x', a: '' },
              weight: 3,
              health: 'degraded',
              hostname: 'cart-1',
            },
          ],
          { a: 2 },
        ),
      },
    ],
    [
      'labels that are none, or look like numbers, or are of other scripts',
      {
        name: 'cart',
        localities: localitiesOf([
          { ...one, labels: {} },
          { ...one, labels: { 10: 'x', 9: 'y', é𝒳: '日本' } },
        ]),
      },
    ],
    [
      'labels that objects have of themselves',
      {
        name: 'cart',
        localities: localitiesOf([
          { ...one, labels: JSON.parse('{"__proto__": "x", "constructor": "y"}') as Record<string, string> },
        ]),
      },
    ],
  ])('of %s is what its JSON becomes, byte for byte', (_, assignment) => {
    expectSame(assignment)
  })

  it('of endpoints of chance is what its JSON becomes, also when their Service asks at another port for their health', () => {
    for (const seed of seedsOf(30)) {
      const random = createRandom(seed)
      const maybe = <T>(value: T): T | undefined => (random.chance(0.5) ? value : undefined)
      const endpoints = Array.from({ length: random.below(12) }, (_, index): Endpoint => {
        const fields = {
          address: index % 2 === 0 ? `10.0.0.${index}` : `fd00::${index}`,
          port: 1 + random.below(65_535),
          region: maybe(`region-${random.below(2)}`),
          zone: maybe(`zone-${random.below(3)}`),
          subZone: maybe(`rack-${random.below(3)}`),
          weight: maybe(random.below(3)),
          priority: maybe(random.below(3)),
          health: maybe((['healthy', 'unhealthy', 'draining', 'degraded'] as const)[random.below(4)]),
          healthPort: maybe(1 + random.below(65_535)),
          hostname: maybe(`host-${index}`),
          labels: maybe(
            Object.fromEntries(
              Array.from({ length: random.below(4) }, () => [`l${random.below(20)}`, `${random.below(9)}`]),
            ),
          ),
        }
        return Object.fromEntries(
          Object.entries(fields).filter(([, value]) => value !== undefined),
        ) as unknown as Endpoint
      })
      for (const healthPort of [undefined, 8081, 8082]) {
        const weights = maybe({ 'zone-0': 3, 'zone-1': 1 })
        expectSame({
          name: 'cart',
          localities: localitiesOf(endpoints, weights),
          ...(healthPort !== undefined && { healthPort }),
        })
      }
    }
  })
})
