import type { ClientRequest, IncomingHttpHeaders } from 'node:http'

export interface Answer {
  readonly status: number
  readonly body: string
  readonly headers: IncomingHttpHeaders
}

/** A request that got no whole answer: `ECONNRESET: … (on a kept-alive connection)`, `timeout: no answer in 50 ms`. */
export interface NoAnswer {
  readonly reason: string
}

/** Sends the request, which has no body, and tells how it went. Never rejects. */
export function outcomeOf(request: ClientRequest, timeoutMs: number): Promise<Answer | NoAnswer> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      resolve({ reason: `timeout: no answer in ${timeoutMs} ms` })
      request.destroy()
    }, timeoutMs)
    const settle = (outcome: Answer | NoAnswer): void => {
      clearTimeout(timer)
      resolve(outcome)
    }
    const onError = (error: NodeJS.ErrnoException): void => {
      const connection = request.reusedSocket ? 'kept-alive' : 'new'
      settle({ reason: `${error.code ?? error.name}: ${error.message} (on a ${connection} connection)` })
    }
    // Not once: a request that was given up fails afterwards, too.
    request.on('error', onError)
    request.once('response', (response) => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (text: string) => {
        body += text
      })
      response.on('error', onError)
      response.once('end', () => settle({ status: response.statusCode ?? 0, body, headers: response.headers }))
    })
    request.end()
  })
}
