import { expect, test } from 'vitest'
import { type Fleet, type FleetEnvoy, type Replica, startFleet } from '../support/fleet.ts'
import { describeWithEnvoy, describeWithEtcd } from '../support/needs.ts'
import { eventually } from '../support/poll.ts'
import { modificationsOf } from '../support/shop.ts'

const isLong = process.env['FAIRLEAD_TEST_LONG'] === '1'
const rounds = isLong ? 6 : 1

/** No longer may an Envoy be without a control plane when its replica went. */
const reconnectedMs = 5_000

const noResources = { cluster: 0, endpoint: 0, listener: 0, route: 0 }

/** How a replica ends: the two ends of each pair move all Envoys to one replica, and then to the other. */
const ends: readonly (readonly [string, (replica: Replica) => Promise<unknown>])[] = [
  ['kill -9', (replica) => replica.kill()],
  ['kill -9', (replica) => replica.kill()],
  ['SIGTERM', async (replica) => expect(await replica.terminate()).toBe(0)],
  ['SIGTERM', async (replica) => expect(await replica.terminate()).toBe(0)],
]

describeWithEnvoy('two replicas on an etcd of three, with stock Envoys that know both', () => {
  describeWithEtcd('under 200 requests a second', () => {
    test("when either is killed or terminated, or etcd's leader is killed, no request fails, nothing is sent over delta, and no Envoy modifies anything", async () => {
      const fleet = await startFleet()
      const modifications = (): Promise<unknown> => Promise.all(fleet.envoys.map(({ envoy }) => modificationsOf(envoy)))
      const before = await modifications()
      const times: number[] = []
      for (let round = 0; round < rounds; round++) {
        for (const [, end] of ends) {
          const moved = await moveAway(fleet, end, times)
          for (const envoy of moved.filter(({ protocol }) => protocol === 'delta')) {
            const { node } = await fleet.whereIs(envoy)
            const sent = Object.entries(node.types).map(([type, { resources }]) => [type, resources] as const)
            expect(Object.fromEntries(sent)).toEqual(noResources)
          }
        }
        const leader = await fleet.etcd.leader()
        await leader.kill()
        await fleet.etcd.leader()
        await Promise.all(fleet.envoys.map(({ load }) => load.next(20)))
        await leader.start()
      }
      expect(await modifications()).toEqual(before)
      await expectWhole(fleet)
      expect(Math.max(...times)).toBeLessThan(reconnectedMs)
      console.log(`${tell(times)}; ${fleet.totals().requests} requests, none failed`)
    })

    test('nor with a change in that moment that takes away the cluster in use, which arrives', async () => {
      const fleet = await startFleet()
      const times: number[] = []
      for (let round = 0; round < rounds; round++) {
        for (const [, end] of ends) {
          await moveAway(fleet, (replica) => Promise.all([end(replica), fleet.move()]), times)
          await fleet.arrived()
        }
        const leader = await fleet.etcd.leader()
        await Promise.all([leader.kill(), fleet.move()])
        await fleet.arrived()
        await leader.start()
      }
      await expectWhole(fleet)
      expect(Math.max(...times)).toBeLessThan(reconnectedMs)
      console.log(`${tell(times)}; ${fleet.totals().requests} requests and ${fleet.round} changes, none failed`)
    })
  })
})

/**
 * Ends the replica that has the more Envoys; resolves to them when they have all that they are to have of the other, and
 * the one that was ended is there again.
 */
async function moveAway(
  fleet: Fleet,
  end: (replica: Replica) => Promise<unknown>,
  times: number[],
): Promise<readonly FleetEnvoy[]> {
  const [[from, moving]] = (
    await Promise.all(fleet.replicas.map(async (replica) => [replica, await fleet.envoysOf(replica)] as const))
  ).sort(([, a], [, b]) => b.length - a.length) as [[Replica, readonly FleetEnvoy[]]]
  const others = fleet.replicas.filter((replica) => replica !== from)
  expect(moving.length).toBeGreaterThan(0)
  const began = performance.now()
  const ended = end(from)
  await Promise.all(
    moving.map(async (envoy) => {
      await fleet.whereIs(envoy, others)
      times.push(performance.now() - began)
    }),
  )
  await ended
  await from.start()
  return moving
}

/** No request has failed, no Envoy has refused anything, and both replicas serve the same. */
async function expectWhole(fleet: Fleet): Promise<void> {
  await eventually(async () => {
    const [one, two] = await fleet.versions()
    expect(one).toEqual(two)
  })
  expect(fleet.totals().failures).toEqual([])
  for (const { envoy } of fleet.envoys) {
    expect([...(await envoy.stats(/update_rejected$/)).values()].filter((count) => count > 0)).toEqual([])
  }
}

function tell(times: readonly number[]): string {
  const [slowest, mean] = [Math.max(...times), times.reduce((sum, ms) => sum + ms, 0) / times.length]
  return `${times.length} moves of an Envoy to the other replica took ${mean.toFixed(0)} ms, the slowest ${slowest.toFixed(0)} ms`
}
