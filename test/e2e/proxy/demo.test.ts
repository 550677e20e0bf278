import { describe, expect } from 'vitest'
import { runDemo } from '../../support/run-demo.ts'
import { testBeside } from '../../support/side-by-side.ts'

describe('the demo on the reference proxy', () => {
  testBeside('says why it is, moves the split while requests flow, without a failed one, and cleans up', async () => {
    const { code, text, left } = await runDemo({ ENVOY_BIN: '/nothere/envoy' })
    expect(text).toMatch(
      /✓ reference proxy +for there is no Envoy:\n +ENVOY_BIN=\/nothere\/envoy is not an executable file\n/,
    )
    expect(text).toMatch(/✓ the proxy is live +\$ fairlead proxy -c <\(fairlead bootstrap --id edge-1 --cluster edge\)/)
    expect(text).toMatch(/✓ saved +and in force in the proxy \d+ ms later/)
    expect(text).toMatch(/✓ done +[\d,]+ requests, 0 failed; the split went from \d\d\/\d+ to \d\d\/\d\d/)
    expect([code, left]).toEqual([0, []])
  })

  testBeside('shows the shop, where it is asked for', async () => {
    const { code, text, left } = await runDemo({ FAIRLEAD_DEMO_PROXY: 'reference' }, undefined, 'shop')
    expect(text).toMatch(/✓ reference proxy +for FAIRLEAD_DEMO_PROXY says so\n/)
    expect(text).toMatch(/^ {3}localhost:\d+ +200 {2}in the list\n {3}elsewhere\.example +403 {2}not in the list$/m)
    expect(text).toMatch(/✓ done +\d+ requests, 0 failed; the canary went from \d+ to \d+ %, zone a from \d+ to 0 %/)
    expect([code, left]).toEqual([0, []])
  })
})
