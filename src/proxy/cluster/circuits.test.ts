import { describe, expect, it } from 'vitest'
import { createTestContext, type TestContext } from '../../../test/support/proxy-context.ts'
import { type CircuitConfig, defaultCircuits } from './circuit-config.ts'
import { createCircuit } from './circuits.ts'
import type { Circuit, Resource } from './cluster.ts'

function create(changes: Partial<CircuitConfig>): { readonly circuit: Circuit; readonly context: TestContext } {
  const context = createTestContext()
  const owner = { stats: context.stats.scope('cluster.cart.'), runtime: context.runtime, cluster: 'cart' }
  return { context, circuit: createCircuit({ ...defaultCircuits.default, ...changes }, 'default', owner) }
}

const takeAll = (resource: Resource, atMost = 2000): number => {
  let taken = 0
  while (taken < atMost && resource.take()) taken++
  return taken
}

describe('a circuit', () => {
  it.each<readonly [kind: keyof Circuit, limit: keyof CircuitConfig, open: string, byDefault: number]>([
    ['connections', 'maxConnections', 'cx_open', 1024],
    ['pending', 'maxPendingRequests', 'rq_pending_open', 1024],
    ['requests', 'maxRequests', 'rq_open', 1024],
    ['retries', 'maxRetries', 'rq_retry_open', 3],
  ])('allows so many %s at a time', (kind, limit, open, byDefault) => {
    expect(takeAll(create({}).circuit[kind])).toBe(byDefault)
    const { circuit, context } = create({ [limit]: 2 })
    const resource = circuit[kind]
    const isOpen = (): number | undefined => context.stat(`cluster.cart.circuit_breakers.default.${open}`)
    expect([resource.take(), isOpen(), resource.take(), isOpen()]).toEqual([true, 0, true, 1])
    expect([resource.take(), resource.active]).toEqual([false, 2])
    resource.give()
    expect([isOpen(), resource.active, resource.take()]).toEqual([0, 1, true])
  })

  it.each([
    [0, 0, 3],
    [10, 0, 3],
    [20, 0, 5],
    [20, 20, 10],
  ])('with a budget allows, of %i active and %i pending requests, %i retries', (active, pending, retries) => {
    const { circuit } = create({ maxRetries: 0, retryBudget: { share: 0.25, minConcurrency: 3 } })
    takeAll(circuit.requests, active)
    takeAll(circuit.pending, pending)
    expect(takeAll(circuit.retries)).toBe(retries)
  })

  it('goes by the runtime', () => {
    const { circuit, context } = create({ maxRequests: 5 })
    context.runtime.setLayer('test', { 'circuit_breakers.cart.default.max_requests': 2 })
    expect(takeAll(circuit.requests)).toBe(2)
  })

  it('tells what is left where that is wished', () => {
    const { circuit, context } = create({ maxRequests: 5, tracksRemaining: true })
    const left = (): number | undefined => context.stat('cluster.cart.circuit_breakers.default.remaining_rq')
    expect(left()).toBe(5)
    circuit.requests.take()
    expect(left()).toBe(4)
    circuit.requests.give()
    expect(left()).toBe(5)
    expect(create({}).context.stat('cluster.cart.circuit_breakers.default.remaining_rq')).toBeUndefined()
  })
})
