import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { asks, isLong, protocols } from '../support/conversation.ts'
import { eventually } from '../support/poll.ts'
import { resource } from '../support/resource.ts'
import { apply, client, given, playTranscript, server, step, type World } from '../support/transcript.ts'

const rounds = isLong ? 10_000 : 100

function expectNobody({ cache, server: { status } }: World): void {
  expect(cache.groups()).toEqual([])
  expect(status.nodes()).toEqual([])
}

const collectGarbage = (() => {
  setFlagsFromString('--expose-gc')
  return runInNewContext('gc') as () => void
})()

for (const protocol of protocols) {
  for (const end of ['leaves', 'resets'] as const) {
    test(
      `rule 16: of a client that ${end} nothing stays, ${rounds} times (${protocol})`,
      { timeout: isLong ? 600_000 : 20_000 },
      () =>
        playTranscript(
          protocol,
          given(resource('cluster', 'a'), resource('endpoint', 'a')),
          step(`${rounds} times: connect, subscribe, leave`, async (world) => {
            let heapBefore = 0
            for (let round = 0; round < rounds; round++) {
              await client({ type: 'cluster' }).play(world)
              await server({ type: 'cluster', resources: ['a'] }).play(world)
              await client(asks('endpoint', 'a')).play(world)
              // Half of them go in the middle of an answer.
              if (round % 2 === 0) await server({ type: 'endpoint', resources: ['a'] }).play(world)
              expect(world.server.status.nodes()).toHaveLength(1)
              await client[end]().play(world)
              await eventually(() => world.server.status.nodes().length === 0, { intervalMs: 1 })
              if (round === 999) {
                collectGarbage()
                heapBefore = process.memoryUsage().heapUsed
              }
            }
            expectNobody(world)
            if (heapBefore === 0) return
            collectGarbage()
            // The test itself remembers what every round was told: about 1 kB of it.
            expect((process.memoryUsage().heapUsed - heapBefore) / (rounds - 1000)).toBeLessThan(5_000)
          }),
          apply(resource('cluster', 'a', 2)),
          step('nobody is watching', expectNobody),
        ),
    )
  }
}
