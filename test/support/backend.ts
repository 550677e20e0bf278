import { createServer as createHttpServer, type RequestListener, type Server } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { atTestEnd } from './at-test-end.ts'

export interface BackendOptions {
  /** What it answers: `{"backend": NAME, …}`. */
  readonly name: string
  /** 127.0.0.1 by default. */
  readonly host?: string
  /** How long it thinks before it answers; 0 by default. */
  readonly delayMs?: number
  /** The status it answers with; 200 by default. Asked anew for each request: `() => (failing ? 503 : 200)`. */
  readonly status?: () => number
  readonly tls?: BackendTls
}

export interface BackendTls {
  readonly certificate: string
  readonly key: string
  /** Given, a client must have a certificate of one of these authorities (PEM). */
  readonly clientCa?: string
}

export interface Backend {
  readonly name: string
  readonly host: string
  readonly port: number
  /** Requests so far. */
  readonly requests: number
  close(): Promise<void>
}

/** An HTTP/1 server, TLS if so asked, without the lifetime of a test: for programs. Tests use `startBackend`. */
export async function launchBackend(options: BackendOptions): Promise<Backend> {
  const { name, host = '127.0.0.1', delayMs = 0, status = () => 200, tls } = options
  let requests = 0
  const answer: RequestListener = (request, response) => {
    requests += 1
    request.resume()
    const send = (): void => {
      response.writeHead(status(), { 'content-type': 'application/json', 'x-backend': name })
      response.end(JSON.stringify({ backend: name, host: request.headers.host, path: request.url }))
    }
    if (delayMs === 0) send()
    else void sleep(delayMs).then(send)
  }
  const server: Server =
    tls === undefined
      ? createHttpServer(answer)
      : createHttpsServer(
          {
            cert: tls.certificate,
            key: tls.key,
            ...(tls.clientCa !== undefined && { ca: tls.clientCa, requestCert: true, rejectUnauthorized: true }),
          },
          answer,
        )
  // A connection that idles out while Envoy writes on it would be a failure that the test did not ask for.
  server.keepAliveTimeout = 0
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, host, resolve)
  })
  return {
    name,
    host,
    port: (server.address() as AddressInfo).port,
    get requests() {
      return requests
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

/** A backend for one test: closed at its end. */
export async function startBackend(options: BackendOptions): Promise<Backend> {
  const backend = await launchBackend(options)
  atTestEnd(() => backend.close())
  return backend
}
