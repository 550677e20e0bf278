import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { readStored } from '../../src/source/etcd-writer.ts'
import { problemCodes, readiness } from '../support/admin-client.ts'
import { type Bench, type Fault, faults, type Outcome, preparedForFaults } from '../support/faults.ts'
import { type Fleet, startFleet } from '../support/fleet.ts'
import { describeWithEnvoy, describeWithEtcd, notHere } from '../support/needs.ts'
import { eventually } from '../support/poll.ts'
import { createRandom, type Random, seedsOf } from '../support/random.ts'

const isLong = process.env['FAIRLEAD_TEST_LONG'] === '1'
const reportPath = fileURLToPath(new URL('../../test-results/chaos.md', import.meta.url))
const mebibyte = 1024 * 1024

/** The configuration changes so often, all the time: each change takes away the cluster that is in use. */
const changeMs = 1_000
/** How long a fault lasts, and how long there is none between two. */
const { holdMs, restMs } = isLong ? { holdMs: 4_000, restMs: 1_000 } : { holdMs: 1_500, restMs: 300 }
/** Of the long form, for each seed. */
const longMs = 6 * 60_000
/** No longer may an Envoy be without a control plane while another replica is there. */
const reconnectedMs = 5_000
/** What a replica may hold more at the end than at the beginning, after a collection of garbage. */
const growthBytes = 24 * mebibyte

/** A line of the report. */
interface Entry {
  readonly atMs: number
  readonly fault: string
  readonly whom: string
  readonly seconds: number
  readonly requests: number
  readonly failed: number
  readonly reconnectedMs: readonly number[]
}

const possible = faults.filter(({ lacks }) => lacks === undefined)

describeWithEnvoy('two replicas on an etcd of three, under 200 requests a second and changes all the time', () => {
  describeWithEtcd('fail no request and lose nothing', () => {
    for (const seed of seedsOf(isLong ? 2 : 1)) {
      test(`whatever goes wrong: seed ${seed}`, async () => {
        const random = createRandom(seed)
        const { options, handles } = preparedForFaults(2)
        const fleet = await startFleet(options)
        const bench: Bench = { fleet, handles, random, holdMs }
        const over = new AbortController()
        const churn = changeAllTheTime(fleet, over.signal)
        await fleet.arrived()
        const before = await heapsOf(fleet)
        const began = performance.now()
        const entries: Entry[] = []
        let after: readonly number[] = []
        try {
          for (const together of sequenceOf(random, () => performance.now() - began < longMs)) {
            entries.push(...(await Promise.all(together.map((fault) => suffer(fault, bench, began)))))
            await sleep(restMs)
          }
          over.abort()
          await churn
          await fleet.arrived()
          await expectNothingLost(fleet)
          after = await heapsOf(fleet)
        } finally {
          over.abort()
          write(seed, fleet, entries, before, after)
        }
        expect(fleet.totals().failures).toEqual([])
        const times = entries.flatMap((entry) => entry.reconnectedMs)
        expect(times.length).toBeGreaterThan(0)
        expect(Math.max(...times)).toBeLessThan(reconnectedMs)
        for (const [index, bytes] of after.entries()) expect(bytes - (before[index] ?? 0)).toBeLessThan(growthBytes)
      })
    }

    for (const { name, lacks } of faults) {
      if (lacks !== undefined) test.skip(`${name} ${notHere(lacks)}`, () => {})
    }
  })
})

/** One of each kind, in any order; in the long form any for so long, of which two that take hold of different things may be at once. */
function* sequenceOf(random: Random, goesOn: () => boolean): Generator<readonly Fault[]> {
  if (!isLong) {
    for (const fault of random.some(possible, possible.length)) yield [fault]
    return
  }
  while (goesOn()) {
    const one = random.pick(possible)
    const others = possible.filter(({ grip }) => grip !== one.grip)
    yield random.chance(0.3) ? [one, random.pick(others)] : [one]
  }
}

async function suffer(fault: Fault, bench: Bench, began: number): Promise<Entry> {
  const at = performance.now()
  const before = bench.fleet.totals()
  const outcome: Outcome = await fault.run(bench)
  // What was changed meanwhile has come to every Envoy: a fault is over when its traces are.
  await bench.fleet.arrived()
  const after = bench.fleet.totals()
  return {
    atMs: at - began,
    fault: fault.name,
    whom: outcome.whom,
    seconds: (performance.now() - at) / 1000,
    requests: after.requests - before.requests,
    failed: after.failures.length - before.failures.length,
    reconnectedMs: outcome.reconnectedMs ?? [],
  }
}

async function changeAllTheTime(fleet: Fleet, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await fleet.move()
    await sleep(changeMs)
  }
}

/** What etcd holds is what both serve, in equal versions, and nothing of it is in error. */
async function expectNothingLost(fleet: Fleet): Promise<void> {
  const { etcd, prefix, replicas, shop, round } = fleet
  const stored = await readStored({ endpoints: etcd.endpoints, prefix })
  const wanted = [
    'listener/http',
    `cluster/${shop.clusterOf(round)}`,
    `endpoint/${shop.clusterOf(round)}`,
    'route/routes',
  ]
  expect(stored.map(({ key }) => key).sort()).toEqual(wanted.sort())
  await eventually(
    async () => {
      for (const { process } of replicas) {
        expect(await problemCodes(process.adminUrl)).toEqual([])
        expect(await readiness(process.adminUrl)).toMatchObject({
          ready: true,
          serving: 'current',
          errors: 0,
          withheld: [],
        })
      }
      const [one, two] = await fleet.versions()
      expect(one).toEqual(two)
    },
    { timeoutMs: 20_000 },
  )
  for (const { envoy } of fleet.envoys) {
    const dynamic = await envoy.stat('cluster_manager.active_clusters')
    // That of the control plane, and the shop's.
    expect(dynamic).toBe(2)
    expect([...(await envoy.stats(/update_rejected$/)).values()].filter((count) => count > 0)).toEqual([])
  }
}

async function heapsOf({ replicas }: Fleet): Promise<readonly number[]> {
  return await Promise.all(
    replicas.map(async ({ process }) => {
      const { heapUsed, external } = await process.ask('usage')
      return heapUsed + external
    }),
  )
}

/** To the console and to test-results/chaos.md, as far as it came. */
function write(
  seed: number,
  fleet: Fleet,
  entries: readonly Entry[],
  before: readonly number[],
  after: readonly number[],
): void {
  const { requests, failures } = fleet.totals()
  const rows = entries.map(({ atMs, fault, whom, seconds, requests: sent, failed, reconnectedMs: times }) => {
    const slowest = times.length === 0 ? '' : `${times.length} in ${Math.max(...times).toFixed(0)} ms`
    return `| ${(atMs / 1000).toFixed(1)} | ${fault} | ${whom} | ${seconds.toFixed(1)} | ${sent} | ${failed} | ${slowest} |`
  })
  const heaps = fleet.replicas.map(({ name }, index) => {
    const told = (bytes: number | undefined): string => (bytes === undefined ? '?' : (bytes / mebibyte).toFixed(1))
    return `${name}: ${told(before[index])} MiB of heap at the beginning, ${told(after[index])} MiB at the end`
  })
  const text = [
    `# Chaos, seed ${seed}`,
    '',
    `${requests} requests through ${fleet.envoys.length} Envoys, ${failures.length} failed; ${fleet.round} changes.`,
    ...heaps.map((line) => `- ${line}`),
    '',
    '| at (s) | what | whom | seconds | requests | failed | Envoys elsewhere |',
    '|---|---|---|---|---|---|---|',
    ...rows,
    ...faults.flatMap(({ name, lacks }) =>
      lacks === undefined ? [] : [`| – | ${name} | not here: this machine ${lacks} | | | | |`],
    ),
    ...failures.map(({ atMs, reason }) => `- failed after ${(atMs / 1000).toFixed(1)} s: ${reason}`),
    '',
  ].join('\n')
  console.log(text)
  mkdirSync(dirname(reportPath), { recursive: true })
  writeFileSync(reportPath, text, { flag: seed === seedsOf(1)[0] ? 'w' : 'a' })
}
