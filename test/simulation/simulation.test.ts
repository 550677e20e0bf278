import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { noDrains } from '../../src/xds/transition/drain.ts'
import type * as Planner from '../../src/xds/transition/planner.ts'
import type { ClientState } from '../../src/xds/transition/planner.ts'
import type { Break } from './client.ts'
import { generate, type ScenarioSize } from './generator.ts'
import { knownGaps } from './known-gaps.ts'
import { play } from './play.ts'
import { reportOf } from './report.ts'
import type { Scenario } from './scenario.ts'
import { shrink } from './shrink.ts'

const isLong = process.env['FAIRLEAD_TEST_LONG'] === '1'

/** What the planner is told of a client; a test may keep something from it. */
const planner = vi.hoisted(() => ({ told: (client: ClientState): ClientState => client }))

vi.mock('../../src/xds/transition/planner.ts', async (original) => {
  const real = await original<typeof Planner>()
  return { ...real, plan: ((from, to, client) => real.plan(from, to, planner.told(client))) satisfies typeof real.plan }
})

afterEach(() => {
  planner.told = (client) => client
})

interface Failure {
  readonly scenario: Scenario
  readonly found: Break
}

/** Plays one seed after the other; until the first break, or so many client-transitions. */
async function playUntil(total: number, size: ScenarioSize): Promise<{ failure?: Failure; played: number }> {
  let played = 0
  for (let seed = 1; played < total; seed++) {
    const scenario = generate(seed, size)
    const { found, clientTransitions } = play(scenario)
    played += clientTransitions
    if (found !== undefined) return { failure: { scenario, found }, played }
    // What nobody holds any more is let go of between two turns only.
    await turn()
  }
  return { played }
}

function explain({ scenario, found }: Failure, { transitions, clients }: ScenarioSize): string {
  const replay = `npm run simulate -- --seed ${scenario.seed} --transitions ${transitions} --clients ${clients}`
  return reportOf(scenario, found, replay)
}

describe('simulation', () => {
  const total = isLong ? 1_000_000 : 20_000

  test(`no invariant breaks in ${total.toLocaleString('en')} client-transitions`, { timeout: 3_600_000 }, async () => {
    const size = { clients: 20, transitions: 100 }
    const { failure, played } = await playUntil(total, size)
    if (failure !== undefined) expect.fail(explain(failure, size))
    expect(played).toBeGreaterThanOrEqual(total)
  })

  test('a scenario has the same outcome every time', () => {
    const scenario = generate(7, { clients: 6, transitions: 30 })
    const outcomes = [1, 2].map(() => play(scenario, { transcriptOf: 'n0' }))
    expect(outcomes[0]?.transcript.length).toBeGreaterThan(50)
    expect(outcomes[0]).toEqual(outcomes[1])
  })

  test('the list of known gaps has not grown', () => {
    expect(knownGaps.map(({ id }) => id)).toEqual([])
  })
})

describe('the simulation finds', () => {
  const size = { clients: 6, transitions: 30 }

  test.each<[what: string, told: (client: ClientState) => ClientState, kinds: readonly string[]]>([
    [
      'a planner that holds no route back for its cluster',
      (client) => ({ ...client, clusters: undefined }),
      ['missing-cluster', 'misled'],
    ],
    [
      'a planner that defers no removal until its users are gone',
      (client) => ({ ...client, mayHold: [] }),
      ['missing-cluster'],
    ],
    ['a planner that forgets what drains', (client) => ({ ...client, drains: noDrains }), ['missing-cluster']],
  ])('%s', async (_, told, kinds) => {
    planner.told = told
    const { failure } = await playUntil(20_000, size)
    if (failure === undefined) expect.fail('nothing was found')
    expect(kinds).toContain(failure.found.kind)
    // With the planner as it is the same scenario is harmless.
    planner.told = (client) => client
    expect(play(failure.scenario).found).toBeUndefined()
  })

  test('a break, and shrinks it to one client and a few changes', { timeout: 30_000 }, async () => {
    planner.told = (client) => ({ ...client, mayHold: [] })
    const { failure } = await playUntil(20_000, size)
    if (failure === undefined) expect.fail('nothing was found')
    const { scenario } = shrink(failure.scenario, failure.found)
    expect(scenario.clients).toHaveLength(1)
    expect(scenario.steps.length).toBeLessThanOrEqual(4)
    const text = explain(failure, size)
    expect(text).toContain(`npm run simulate -- --seed ${scenario.seed} --transitions 30 --clients 6`)
    expect(text).toMatch(/\+cluster \w+@1/)
    expect(text).toMatch(/BREAK missing-cluster: .* names the missing cluster/)
  })
})
