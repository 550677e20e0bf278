import { describe, expect } from 'vitest'
import { createEtcdStore, createFileStore, type DocumentStore } from '../support/document-store.ts'
import { startEtcd } from '../support/etcd.ts'
import { runMainJob } from '../support/main-job.ts'
import { describeWithEtcd } from '../support/needs.ts'
import { describeEachPlane } from '../support/planes.ts'
import { startReferenceProxy } from '../support/reference-proxy.ts'
import { testBothProtocols } from '../support/side-by-side.ts'

const isLong = process.env['FAIRLEAD_TEST_LONG'] === '1'
const rounds = isLong ? 15 : 2

describeEachPlane('with nothing but the printed bootstrap', (start) => {
  const isBrief = !isLong && start === startReferenceProxy

  const suite = (openStore: () => Promise<DocumentStore>): void => {
    testBothProtocols(
      'over %s goes LIVE, routes, and takes every kind of change under load without a failed request',
      async (protocol) => {
        const report = await runMainJob({ protocol, store: await openStore(), start, rounds: isBrief ? 1 : rounds })
        expect(report).toMatchObject({
          http: { failed: 0, failures: [] },
          tls: { failed: 0, failures: [] },
          updateRejected: {},
          rejections: 0,
          problems: [],
        })
        console.log(`${report.http.sent} requests and ${report.tls.sent} over TLS, none failed`)
      },
    )
  }

  describe('from files', () => suite(async () => createFileStore()))

  if (isBrief) return
  describeWithEtcd('from etcd', () => {
    suite(async () => {
      const etcd = await startEtcd()
      return createEtcdStore(etcd)
    })
  })
})
