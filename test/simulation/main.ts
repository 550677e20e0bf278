import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { generate } from './generator.ts'
import { play } from './play.ts'
import { reportOf } from './report.ts'

/**
 * `npm run simulate`: plays scenarios until so many client-transitions have passed, or plays the one of a seed again. Ends
 * with status 1 at the first broken invariant, and shows it as small as it gets.
 */
const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    transitions: { type: 'string', default: '100' },
    clients: { type: 'string', default: '20' },
    /** Client-transitions over all seeds, where none is given. */
    total: { type: 'string', default: '100000' },
    from: { type: 'string', default: '1' },
  },
})

const size = { clients: Number(values.clients), transitions: Number(values.transitions) }
const only = values.seed === undefined ? undefined : Number(values.seed)
const total = only === undefined ? Number(values.total) : 1
const startedAt = performance.now()
let [done, responses, toldAt] = [0, 0, startedAt]

function tell(seed: number): void {
  const seconds = (performance.now() - startedAt) / 1000
  console.log(
    `seed ${seed}: ${done} client-transitions, ${responses} responses, ${Math.round(done / seconds)} a second (of ${cpus().length} cores, one)`,
  )
}

let seed = only ?? Number(values.from)
for (; done < total; seed++) {
  const scenario = generate(seed, size)
  const outcome = play(scenario)
  done += outcome.clientTransitions
  responses += outcome.responses
  if (outcome.found !== undefined) {
    const again = `npm run simulate -- --seed ${seed} --transitions ${size.transitions} --clients ${size.clients}`
    console.log(reportOf(scenario, outcome.found, again))
    process.exitCode = 1
    break
  }
  if (only !== undefined) break
  if (performance.now() - toldAt > 5000) {
    toldAt = performance.now()
    tell(seed)
  }
}
tell(seed)
