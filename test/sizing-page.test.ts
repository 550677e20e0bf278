import { expect, test } from 'vitest'
import { sizingPage } from '../scripts/sizing-page.ts'
import type { ClientCrowdFigures } from './bench/client-crowd.ts'
import { report } from './bench/report.ts'
import { clientCrowdRows } from './bench/rows.ts'

/** As the bench would measure it: so many microseconds for a change and in a storm, of each client. */
function figures(changeUs: number, stormUs: number, clients: number): ClientCrowdFigures {
  const server = {
    changeUs: [changeUs],
    lastAckMs: [(changeUs * clients) / 1000],
    stormUs,
    stormMs: (stormUs * clients) / 500,
    liveBytesPerClient: 12_000,
    peakBytesPerClient: 50_000,
    peakBytes: 150e6 + 50_000 * clients,
  }
  return { product: server, floor: server, pushBytes: 500, firstBytes: 57_000 }
}

const machine = { cpu: 'a CPU', cores: 2, memoryGiB: 24, node: 'v20', grpc: '1.14' }
const benchmarks = (...sizes: readonly (readonly [number, ClientCrowdFigures])[]): string =>
  report(
    sizes.flatMap(([clients, of]) => clientCrowdRows(`fleet, delta, ${clients} clients, 100 clusters`, of, undefined)),
    machine,
  )

const cellsOf = (page: string, what: string): readonly string[] =>
  page
    .split('\n')
    .find((line) => line.startsWith(`| ${what} |`))
    ?.split('|')
    .slice(2, -1)
    .map((cell) => cell.trim()) ?? []

test('the page of sizes says what the bench measured, and plans by the worse of the two fleets', () => {
  const page = sizingPage(benchmarks([5000, figures(40, 500, 5000)], [15_000, figures(50, 625, 15_000)]))
  expect(cellsOf(page, 'clients that one core tells of a change, a second')).toEqual(['25,000', '20,000'])
  expect(cellsOf(page, 'clients that one core gives their first answers, a second')).toEqual(['2,000', '1,600'])
  expect(cellsOf(page, 'memory of the process at its peak')).toEqual(['400 MB', '900 MB'])
  expect(page).toContain('*e* · *f* · *d* / 20,000')

  // 15,000 at most; half a core tells 10,000 a second, and five times a second 2,000.
  expect(cellsOf(page, 'proxies at each, one replica lost')).toEqual(['15,000', '10,000', '2,000'])
  expect(cellsOf(page, 'replicas')).toEqual(['8', '11', '51'])
  expect(cellsOf(page, 'CPU of each')).toEqual(['0.075 cores', '0.5 cores', '0.5 cores'])
  expect(cellsOf(page, 'a change to the last proxy, after its build')).toEqual(['750 ms', '500 ms', '100 ms'])
  expect(cellsOf(page, 'memory of each at its peak, without your configuration')).toEqual([
    '900 MB',
    '650 MB',
    '250 MB',
  ])
  expect(cellsOf(page, 'network of each for changes')).toEqual(['0.75 MB/s', '5 MB/s', '5 MB/s'])
  // An eighth of 100,000 to seven others, at 1,600 a second; or an eighth to each.
  expect(cellsOf(page, 'a replica is lost: its proxies at the others')[0]).toBe('1.1 s')
  expect(cellsOf(page, 'all replicas start anew: all proxies back')[0]).toBe('7.8 s')
})

test('there is no page of sizes without the fleets that it plans by', () => {
  expect(() => sizingPage(benchmarks())).toThrow(/no rows of fleets/)
})
