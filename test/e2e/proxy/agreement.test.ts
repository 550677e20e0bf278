import { beforeAll, describe, expect, test } from 'vitest'
import { createProxy } from '../../../src/proxy/create-proxy.ts'
import { atTestEnd } from '../../support/at-test-end.ts'
import { startEnvoy } from '../../support/envoy.ts'
import { freePorts } from '../../support/free-ports.ts'
import { describeWithEnvoy } from '../../support/needs.ts'
import {
  type Asker,
  createAsker,
  logFile,
  type Ports,
  protocols,
  startEcho,
  startHttp2Echo,
  staticBootstrap,
} from './agreement-bed.ts'
import { agreementCases } from './agreement-cases.ts'

describeWithEnvoy('a reference proxy and a stock Envoy agree:', () => {
  let [stock, reference]: Asker[] = []

  beforeAll(async () => {
    const [down = 0] = await freePorts(1)
    // Each has an app of its own, which counts what it is asked.
    const apps = async (): Promise<Ports> => ({ app: await startEcho(), http2App: await startHttp2Echo(), down })
    const ports = { stock: await apps(), reference: await apps() }
    const logs = { stock: logFile('stock'), reference: logFile('reference') }
    const envoy = await startEnvoy({
      bootstrap: staticBootstrap(agreementCases, ports.stock, logs.stock),
      args: ['--file-flush-interval-msec', '10'],
    })
    await envoy.waitLive()
    stock = createAsker({ name: 'stock', port: (listener) => envoy.listenerPort(listener) }, logs.stock)
    const proxy = await createProxy({ bootstrap: staticBootstrap(agreementCases, ports.reference, logs.reference) })
    atTestEnd(() => proxy.close())
    await proxy.live
    reference = createAsker(
      { name: 'reference', port: (listener) => Promise.resolve(proxy.listenerPort(listener) ?? 0) },
      logs.reference,
    )
  })

  describe.each(protocols)('over %s,', (protocol) => {
    test.each(agreementCases.map((one) => [one.name, one] as const))('%s', async (_, { listener, host, asks }) => {
      for (const [index, ask] of asks.entries()) {
        if (ask.isOnlyOfHttp1 && protocol !== 'HTTP/1.1') continue
        const [expected, outcome] = await Promise.all(
          [stock, reference].map(async (asker) => await asker?.ask(protocol, listener ?? 'plain', host, index, ask)),
        )
        expect(outcome, JSON.stringify(ask)).toEqual(expected)
      }
    })
  })
})
