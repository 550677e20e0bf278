import { type SteadyTraffic, startSteadyTraffic } from './steady-traffic.ts'

/** Which backend answered, and when. */
export interface Answer {
  readonly backend: 'blue' | 'green'
  readonly at: number
}

/** Requests that flow through Envoy, and where they came out. */
export interface Traffic extends SteadyTraffic<Answer> {
  /** The share of blue among the answers of the last moments, in percent; undefined before the first. */
  share(): number | undefined
}

export const requestsPerSecond = 200

/** How far the live picture looks back. */
const windowMs = 1_500

export function startTraffic(port: number): Traffic {
  const traffic = startSteadyTraffic({
    perSecond: requestsPerSecond,
    calls: [{ port }],
    read: (body): Answer | undefined =>
      body === 'blue' || body === 'green' ? { backend: body, at: performance.now() } : undefined,
  })
  const all = traffic.count()
  return Object.assign(traffic, {
    share: () => percentOfBlue(all.slice(all.findLastIndex(({ at }) => at < performance.now() - windowMs) + 1)),
  })
}

/** Undefined of none. */
export function percentOfBlue(answers: readonly Answer[]): number | undefined {
  if (answers.length === 0) return undefined
  return (answers.filter(({ backend }) => backend === 'blue').length / answers.length) * 100
}
