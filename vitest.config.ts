import { availableParallelism } from 'node:os'
import { defineConfig, type ViteUserConfig } from 'vitest/config'
import { LongestFirst } from './test/support/longest-first.ts'

/** `npm run test:long` sets it: more seeds, longer loads, every Envoy version. */
const isLong = process.env['FAIRLEAD_TEST_LONG'] === '1'

/** What is about the reference proxy, and what takes long by its nature: `npm run test:proxy`, which CI runs after the check. */
const ofReferenceProxy = [
  'test/e2e/mesh/long-cases.test.ts',

  'src/proxy/**/*.test.ts',
  'test/e2e/proxy/**/*.test.ts',
  'test/e2e/mesh/reference-suite.test.ts',
]

/** What is asked of both sorts of proxies. */
const ofEachPlane = ['main-job', 'transition', 'warming', 'mesh/route-agreement'].map(
  (name) => `test/e2e/${name}.test.ts`,
)

const report = `test-results/${process.env['FAIRLEAD_TEST_REPORT'] ?? 'report'}.json`

/** One more than there are cores, for some tests wait for timers and processes. */
const workers = Math.max(2, availableParallelism()) + 1

const shared = {
  globalSetup: ['test/support/global-setup.ts'],
  setupFiles: ['test/support/file-end.ts'],
  restoreMocks: true,
  // Every file would load the server and Envoy's API again, which takes longer than most of them.
  isolate: false,
}

const config: ViteUserConfig = defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
    reporters: process.env['CI'] ? ['default', ['json', { outputFile: report }]] : ['default'],
    projects: [
      {
        test: {
          ...shared,
          name: 'alone',
          // It puts another module in the place of one of ours, which works only where nobody has loaded that before.
          include: ['test/simulation/**/*.test.ts'],
          isolate: true,
          testTimeout: isLong ? 300_000 : 10_000,
          maxWorkers: workers,
        },
      },
      {
        test: {
          ...shared,
          name: 'fast',
          include: [
            'src/**/*.test.ts',
            'test/conformance/**/*.test.ts',
            'test/fuzz/**/*.test.ts',
            'test/golden/**/*.test.ts',
            'test/protocol/**/*.test.ts',
            'test/support/**/*.test.ts',
            'test/*.test.ts',
          ],
          exclude: ofReferenceProxy,
          testTimeout: isLong ? 300_000 : 10_000,
          hookTimeout: 20_000,
          maxWorkers: workers,
        },
      },
      {
        test: {
          ...shared,
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          exclude: ofReferenceProxy,
          testTimeout: isLong ? 600_000 : 60_000,
          hookTimeout: 60_000,
          // Every Envoy is a process of its own with load on it: four files at a time on any machine, and two tests of each.
          // They wait for much of their time; fewer at a time take longer than the four minutes that a check may. In the long
          // form, with four, a load of minutes waits for a processor so long that its requests fail for that.
          maxWorkers: isLong ? 3 : 4,
          maxConcurrency: 2,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          ...shared,
          name: 'proxy',
          include: [...ofReferenceProxy, ...ofEachPlane],
          env: { FAIRLEAD_TEST_PLANE: 'reference' },
          testTimeout: isLong ? 600_000 : 60_000,
          hookTimeout: 60_000,
          maxWorkers: isLong ? 3 : 4,
          maxConcurrency: 2,
          sequence: { groupOrder: 2 },
        },
      },
      {
        test: {
          ...shared,
          name: 'fleet',
          include: ['test/fleet/**/*.test.ts'],
          testTimeout: isLong ? 2_400_000 : 180_000,
          hookTimeout: 300_000,
          // Containers, replicas, three etcds, Envoys and what goes wrong with them: each file has many processes of its own.
          maxWorkers: isLong ? 1 : 2,
          maxConcurrency: 1,
          sequence: { groupOrder: 3 },
        },
      },
    ],
  },
})

export default config
