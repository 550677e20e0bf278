import { Agent, request } from 'node:http'

export type Backend = 'blue' | 'green'

/** Requests that flow through Envoy, and where they came out. */
export interface Traffic {
  readonly answered: number
  readonly failed: number
  /** In plain words; undefined while there is none. */
  readonly firstFailure: string | undefined
  /** The share of blue among the answers of the last moments; undefined before the first. */
  share(): number | undefined
  /** From now on, what requests that are sent from now on come to. */
  count(): Counted
  /** Sends no more, and resolves when all that was sent is answered. */
  stop(): Promise<void>
}

export interface Counted {
  readonly total: number
  /** In percent. */
  readonly blue: number
}

export const requestsPerSecond = 200

/** How far the live picture looks back. */
const windowMs = 1_500
const timeoutMs = 5_000

/** Sends by the clock, never waiting for answers: what stalls shows as a failure, not as fewer requests. */
export function startTraffic(port: number): Traffic {
  const agent = new Agent({ keepAlive: true })
  const began = performance.now()
  const recent: { readonly at: number; readonly backend: Backend }[] = []
  const counters = new Set<{ readonly from: number; total: number; blue: number }>()
  let [sent, answered, failed] = [0, 0, 0]
  let firstFailure: string | undefined
  let onIdle: (() => void) | undefined

  const settle = (index: number, backend: Backend | undefined, why: string): void => {
    if (backend === undefined) {
      failed += 1
      firstFailure ??= why
    } else {
      answered += 1
      recent.push({ at: performance.now(), backend })
      for (const counter of counters) {
        if (index < counter.from) continue
        counter.total += 1
        if (backend === 'blue') counter.blue += 1
      }
    }
    if (answered + failed === sent) onIdle?.()
  }
  const send = (): void => {
    const index = sent
    sent += 1
    let isSettled = false
    const once = (backend: Backend | undefined, why = ''): void => {
      if (!isSettled) settle(index, backend, why)
      isSettled = true
    }
    const call = request({ host: '127.0.0.1', port, agent, timeout: timeoutMs }, (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text
      })
      response.on('error', (error) => once(undefined, error.message))
      response.on('end', () => {
        const name = body.trim()
        const isOurs = response.statusCode === 200 && (name === 'blue' || name === 'green')
        once(isOurs ? name : undefined, `${response.statusCode} ${name.slice(0, 100)}`)
      })
    })
    call.on('timeout', () => call.destroy(new Error(`no answer in ${timeoutMs / 1000} s`)))
    call.on('error', (error) => once(undefined, error.message))
    call.end()
  }
  const ticker = setInterval(() => {
    const due = Math.floor(((performance.now() - began) / 1000) * requestsPerSecond)
    for (let missing = due - sent; missing > 0; missing -= 1) send()
  }, 5)

  return {
    get answered() {
      return answered
    },
    get failed() {
      return failed
    },
    get firstFailure() {
      return firstFailure
    },
    share() {
      const since = performance.now() - windowMs
      while (recent[0] !== undefined && recent[0].at < since) recent.shift()
      if (recent.length === 0) return undefined
      return recent.filter(({ backend }) => backend === 'blue').length / recent.length
    },
    count() {
      const counter = { from: sent, total: 0, blue: 0 }
      counters.add(counter)
      return {
        get total() {
          return counter.total
        },
        get blue() {
          return counter.total === 0 ? 0 : (counter.blue / counter.total) * 100
        },
      }
    },
    async stop() {
      clearInterval(ticker)
      if (answered + failed < sent) {
        await new Promise<void>((resolve) => {
          onIdle = resolve
        })
      }
      agent.destroy()
    },
  }
}
