import { Agent, request } from 'node:http'

export interface Call {
  readonly port: number
  readonly host?: string
  readonly path?: string
}

/** Requests that flow through Envoy, and what they came to. */
export interface SteadyTraffic<Answer> {
  readonly answered: number
  readonly failed: number
  /** In plain words; undefined while there is none. */
  readonly firstFailure: string | undefined
  /** What requests came to that are sent from now on. */
  count(): readonly Answer[]
  /** Sends no more, and resolves when all that was sent is answered. */
  stop(): Promise<void>
}

export interface SteadyTrafficOptions<Answer> {
  readonly perSecond: number
  /** One after the other, and then again. */
  readonly calls: readonly Call[]
  /** What the body of an answer says; undefined where no backend of ours says such a thing. */
  readonly read: (body: string) => Answer | undefined
}

const timeoutMs = 5_000

/** Sends by the clock, never waiting for answers: what stalls shows as a failure, not as fewer requests. */
export function startSteadyTraffic<Answer extends object>({
  perSecond,
  calls,
  read,
}: SteadyTrafficOptions<Answer>): SteadyTraffic<Answer> {
  const agent = new Agent({ keepAlive: true })
  const began = performance.now()
  const counters = new Set<{ readonly from: number; readonly answers: Answer[] }>()
  let [sent, answered, failed] = [0, 0, 0]
  let firstFailure: string | undefined
  let onIdle: (() => void) | undefined

  const settle = (index: number, outcome: Answer | string): void => {
    if (typeof outcome === 'string') {
      failed += 1
      firstFailure ??= outcome
    } else {
      answered += 1
      for (const { from, answers } of counters) if (index >= from) answers.push(outcome)
    }
    if (answered + failed === sent) onIdle?.()
  }
  const send = (): void => {
    const index = sent
    sent += 1
    void ask(calls[index % calls.length] as Call, agent, read).then((outcome) => settle(index, outcome))
  }
  const ticker = setInterval(() => {
    const due = Math.floor(((performance.now() - began) / 1000) * perSecond)
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
      const answers: Answer[] = []
      counters.add({ from: sent, answers })
      return answers
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

/** Never rejects: what is no answer of a backend is told in plain words. */
function ask<Answer>(
  { port, host = `127.0.0.1:${port}`, path = '/' }: Call,
  agent: Agent,
  read: (body: string) => Answer | undefined,
): Promise<Answer | string> {
  return new Promise((resolve) => {
    const fail = (why: string): void => resolve(`${host}${path}: ${why}`)
    const options = { host: '127.0.0.1', port, path, agent, headers: { host }, timeout: timeoutMs }
    const call = request(options, (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text
      })
      response.on('error', (error) => fail(error.message))
      response.on('end', () => {
        const answer = response.statusCode === 200 ? read(body.trim()) : undefined
        if (answer === undefined) fail(`${response.statusCode} ${body.trim().slice(0, 100)}`)
        else resolve(answer)
      })
    })
    call.on('timeout', () => call.destroy(new Error(`no answer in ${timeoutMs / 1000} s`)))
    call.on('error', (error) => fail(error.message))
    call.end()
  })
}
