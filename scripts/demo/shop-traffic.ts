import { Agent, request } from 'node:http'

/** What answered a request: `catalog v2 zone a`. */
export interface Served {
  readonly service: string
  readonly version: string
  readonly zone: string
}

export interface Call {
  readonly port: number
  readonly host: string
  readonly path: string
}

/** Requests that flow through Envoy, to one call after the other. */
export interface ShopTraffic {
  readonly answered: number
  readonly failed: number
  /** In plain words; undefined while there is none. */
  readonly firstFailure: string | undefined
  /** What requests came to that are sent from now on. */
  count(): readonly Served[]
  /** Sends no more, and resolves when all that was sent is answered. */
  stop(): Promise<void>
}

export const requestsPerSecond = 240
const timeoutMs = 5_000

/** Sends by the clock, never waiting for answers: what stalls shows as a failure, not as fewer requests. */
export function startShopTraffic(calls: readonly Call[]): ShopTraffic {
  const agent = new Agent({ keepAlive: true })
  const began = performance.now()
  const counters = new Set<{ readonly from: number; readonly served: Served[] }>()
  let [sent, answered, failed] = [0, 0, 0]
  let firstFailure: string | undefined
  let onIdle: (() => void) | undefined

  const settle = (index: number, outcome: Served | string): void => {
    if (typeof outcome === 'string') {
      failed += 1
      firstFailure ??= outcome
    } else {
      answered += 1
      for (const { from, served } of counters) if (index >= from) served.push(outcome)
    }
    if (answered + failed === sent) onIdle?.()
  }
  const send = (): void => {
    const index = sent
    sent += 1
    const { port, host, path } = calls[index % calls.length] as Call
    void ask({ port, host, path }, agent).then((outcome) => settle(index, outcome))
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
    count() {
      const served: Served[] = []
      counters.add({ from: sent, served })
      return served
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

/** Never rejects: what is no answer of a service is told in plain words. */
function ask({ port, host, path }: Call, agent: Agent): Promise<Served | string> {
  return new Promise((resolve) => {
    const options = { host: '127.0.0.1', port, path, agent, headers: { host }, timeout: timeoutMs }
    const call = request(options, (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text
      })
      response.on('error', (error) => resolve(`${host}${path}: ${error.message}`))
      response.on('end', () => {
        const [, service, version, zone] = /^(\S+) (\S+) zone (\S+)$/.exec(body.trim()) ?? []
        if (service === undefined || version === undefined || zone === undefined || response.statusCode !== 200) {
          resolve(`${host}${path}: ${response.statusCode} ${body.trim().slice(0, 100)}`)
        } else resolve({ service, version, zone })
      })
    })
    call.on('timeout', () => call.destroy(new Error(`no answer in ${timeoutMs / 1000} s`)))
    call.on('error', (error) => resolve(`${host}${path}: ${error.message}`))
    call.end()
  })
}
