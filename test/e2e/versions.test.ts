import { describe, expect, test } from 'vitest'
import { createFileStore } from '../support/document-store.ts'
import { startEnvoy } from '../support/envoy.ts'
import { runMainJob } from '../support/main-job.ts'
import { describeWithEnvoy } from '../support/needs.ts'
import type { StartProxy } from '../support/planes.ts'

const isLong = process.env['FAIRLEAD_TEST_LONG'] === '1'

/** Each is fetched by `npm run fetch:envoy -- 1.37 1.38 1.39`. */
const versions = ['1.37', '1.38', '1.39']

if (!isLong)
  describe.skip(`Envoys ${versions.join(', ')} are for the long run: npm run test:long`, () => test('', () => {}))

for (const version of isLong ? versions : []) {
  describeWithEnvoy(
    `a stock Envoy ${version}`,
    (binary) => {
      const start: StartProxy = (options) => startEnvoy({ ...options, binary })
      test.each(['sotw', 'delta'] as const)(
        'over %s takes every kind of change under load without a failed request',
        async (protocol) => {
          const report = await runMainJob({ protocol, store: createFileStore(), start, rounds: 3 })
          expect(report).toMatchObject({
            http: { failed: 0, failures: [] },
            tls: { failed: 0, failures: [] },
            updateRejected: {},
            rejections: 0,
            problems: [],
          })
        },
      )
    },
    version,
  )
}
