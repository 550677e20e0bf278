import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface DemoBackend {
  readonly port: number
  close(): void
}

/** An HTTP server that answers every request with its name. */
export async function startBackend(name: string): Promise<DemoBackend> {
  const server = createServer((incoming, response) => {
    incoming.resume()
    response.end(`${name}\n`)
  })
  // A connection that idles out while Envoy writes on it would be a failure that nobody asked for.
  server.keepAliveTimeout = 0
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      server.close()
      server.closeAllConnections()
    },
  }
}
