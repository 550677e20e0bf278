import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { cluster, endpoints, removed, routeConfiguration, routesTo } from '../support/documents.ts'
import { type Fleet, type Replica, startFleet } from '../support/fleet.ts'
import { growthOf, type Sample } from '../support/growth.ts'
import { describeWithEnvoy, describeWithEtcd } from '../support/needs.ts'
import { eventually } from '../support/poll.ts'
import { createRandom } from '../support/random.ts'
import { openStream, typeUrlOf } from '../support/wire-client.ts'

const isLong = process.env['FAIRLEAD_TEST_LONG'] === '1'
const mebibyte = 1024 * 1024

/** In the short form much comes in little time, so that whatever is kept of each shows. */
const { warmUpMs, soakMs, sampleMs, changeMs, visitMs } = isLong
  ? { warmUpMs: 300_000, soakMs: 1_500_000, sampleMs: 15_000, changeMs: 1_000, visitMs: 250 }
  : { warmUpMs: 6_000, soakMs: 14_000, sampleMs: 1_000, changeMs: 400, visitMs: 50 }

/** What may come on top from the end of the warm-up to the end, by the slope of all samples. */
const bounds = {
  /** After a collection of garbage, buffers outside of the heap included. In the first minute code is still compiled. */
  heapBytes: (isLong ? 5 : 8) * mebibyte,
  /** Of the process, which gives freed pages back late. */
  residentBytes: isLong ? 24 * mebibyte : 40 * mebibyte,
  files: 4,
  timers: 4,
  handles: 6,
}

type Measure = keyof typeof bounds
const measures = Object.keys(bounds) as readonly Measure[]

/** Of a server's process, all at one time. */
async function measure({ process }: Replica): Promise<Record<Measure, number>> {
  const { heapUsed, external, handles } = await process.ask('usage')
  const resident = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${process.pid}/status`, 'utf8'))?.[1]
  return {
    heapBytes: heapUsed + external,
    residentBytes: Number(resident) * 1024,
    files: readdirSync(`/proc/${process.pid}/fd`).length,
    timers: handles['Timeout'] ?? 0,
    handles: Object.values(handles).reduce((sum, count) => sum + count, 0),
  }
}

describeWithEnvoy('two replicas on an etcd of three', () => {
  describeWithEtcd('under churn', () => {
    test('of documents, endpoints, clients and Envoys that reconnect, keep no memory, files or timers', async () => {
      const fleet = await startFleet({
        envoys: 1,
        rate: 50,
        // A full history, and connections that are ended by age all the time, before it is measured.
        flagsOf: () => ({ historyRevisions: 8, maxConnectionAge: isLong ? '30s' : '3s' }),
        processOf: () => ({ isHooked: true }),
      })
      const over = new AbortController()
      const churn = Promise.all([
        forever(changeMs, over.signal, changeDocuments(fleet)),
        forever(changeMs, over.signal, changeEndpoints(fleet)),
        forever(visitMs, over.signal, () => visit(fleet, 'sotw')),
        forever(visitMs, over.signal, () => visit(fleet, 'delta')),
      ])
      await sleep(warmUpMs)

      const began = performance.now()
      const samples = fleet.replicas.map((): Record<Measure, Sample[]> => {
        return { heapBytes: [], residentBytes: [], files: [], timers: [], handles: [] }
      })
      while (performance.now() - began < soakMs) {
        for (const [index, replica] of fleet.replicas.entries()) {
          const now = await measure(replica)
          for (const what of measures) {
            samples[index]?.[what].push({ atMs: performance.now() - began, value: now[what] })
          }
        }
        await sleep(sampleMs)
      }
      over.abort()
      await churn
      const reconnects = await Promise.all(
        fleet.envoys.map(({ envoy }) => envoy.stat('cluster.fairlead.upstream_cx_total')),
      )
      const { requests, failures } = fleet.totals()
      console.log(
        `${requests} requests, ${changes} changes of documents, ${visits} visits, ${reconnects.join(' and ')} connections of Envoys`,
      )
      console.table(
        samples.flatMap((taken, index) =>
          measures.map((what) => {
            const values = taken[what].map(({ value }) => value)
            const unit = what.endsWith('Bytes') ? mebibyte : 1
            const told = (value: number): number => Math.round((value / unit) * 100) / 100
            return {
              replica: fleet.replicas[index]?.name,
              what: unit === 1 ? what : what.replace('Bytes', ' (MiB)'),
              first: told(values[0] ?? 0),
              last: told(values.at(-1) ?? 0),
              most: told(Math.max(...values)),
              growth: told(growthOf(taken[what])),
              bound: told(bounds[what]),
            }
          }),
        ),
      )
      expect(failures).toEqual([])
      for (const taken of samples) {
        for (const what of measures) expect(growthOf(taken[what]), what).toBeLessThan(bounds[what])
      }
      for (const count of reconnects) expect(count).toBeGreaterThan(2)
      await eventually(async () => {
        const [one, two] = await fleet.versions()
        expect(one).toEqual(two)
      })
    })
  })
})

/** Again and again, with so much time in between; resolves when it is over. */
async function forever(pauseMs: number, signal: AbortSignal, act: () => Promise<void>): Promise<void> {
  while (!signal.aborted) {
    await act()
    await sleep(pauseMs)
  }
}

/** Clusters come, stay for a while and go, and so does what names them; what requests go by stays (`chaos.test.ts` changes that). */
function changeDocuments(fleet: Fleet): () => Promise<void> {
  let count = 0
  return async () => {
    count += 1
    changes += 1
    const [next, last] = [`guest-${count % 7}`, `guest-${(count + 3) % 7}`]
    await fleet.write({
      ...cluster(next, { connect_timeout: `${1 + (count % 9)}s` }),
      ...endpoints(next),
      ...routeConfiguration('guests', routesTo(next)),
      ...removed(`cluster/${last}`, `endpoint/${last}`),
    })
  }
}

/** The number of endpoints of a cluster changes; nobody calls it. */
function changeEndpoints(fleet: Fleet): () => Promise<void> {
  const random = createRandom(7)
  return async () => {
    const hosts = Array.from({ length: random.below(8) }, (_, index) => ({ host: '127.0.0.1', port: 20_000 + index }))
    await fleet.write({ ...cluster('crowd'), ...endpoints('crowd', ...hosts) })
  }
}

let visits = 0
let changes = 0

/** A client comes, takes what it gets, and goes: with an end of its stream, or without. */
async function visit(fleet: Fleet, protocol: 'sotw' | 'delta'): Promise<void> {
  visits += 1
  const replica = fleet.replicas[visits % fleet.replicas.length] as Replica
  const stream = openStream({ port: Number(replica.process.server.split(':')[1]), protocol })
  const node = { id: `guest-${visits % 20}`, cluster: 'edge' }
  stream.send({ node, type_url: typeUrlOf('cluster') })
  const { nonce, version } = await stream.next(20_000)
  stream.send({
    type_url: typeUrlOf('cluster'),
    response_nonce: nonce,
    ...(protocol === 'sotw' && { version_info: version }),
  })
  stream.send({ type_url: typeUrlOf('listener') })
  await stream.next(20_000)
  if (visits % 2 === 0) stream.end()
  else stream.cancel()
  await stream.closed
}
