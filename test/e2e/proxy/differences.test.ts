import { describe, expect, test } from 'vitest'
import { createProxy } from '../../../src/proxy/create-proxy.ts'
import { forwardingBootstrap } from '../../bench/forwarding-bootstrap.ts'
import { atTestEnd } from '../../support/at-test-end.ts'
import { describeWithEnvoy } from '../../support/needs.ts'
import { validateWithEnvoy } from '../../support/validate-with-envoy.ts'
import { differences, limits } from './differences.ts'

const names = differences.map((one) => [one.what, one] as const)

describe('a difference is one in the reference proxy:', () => {
  test.each(names)('%s', async (_, { parts, reference }) => {
    expect(await start(forwardingBootstrap(1, parts)).catch((error: Error) => error.message)).toMatch(reference)
  })
})

describe('the reference proxy', () => {
  test('takes what is beside a difference', async () => {
    expect(await start(forwardingBootstrap(1))).toBe('taken')
  })

  test('has no more differences than it had', () => {
    expect([differences.length, limits.length]).toEqual([8, 2])
  })
})

describeWithEnvoy('a difference is one from a stock Envoy:', (binary) => {
  test.each(names)('%s', (_, { parts, envoy }) => {
    expect(validateWithEnvoy(binary, forwardingBootstrap(1, parts)) || 'taken').toMatch(envoy)
  })
})

async function start(bootstrap: object): Promise<'taken'> {
  const proxy = await createProxy({ bootstrap })
  atTestEnd(() => proxy.close())
  await proxy.live
  return 'taken'
}
