import { once } from 'node:events'
import { createServer } from 'node:net'

/** Below the range from which systems take the ports of outgoing connections, and a part of it for each worker of a run. */
const firstPort = 10_000
const portsPerWorker = 1_000
const workers = 20

const worker = Number(process.env['VITEST_POOL_ID'] ?? 0) % workers
let next = Math.floor(Math.random() * portsPerWorker)

/**
 * A port of 127.0.0.1 that nobody takes by accident before it is used: for an Envoy's listeners. Several listeners of port
 * 0 have one address as Envoy sees it, and a new one may be given the socket of another that drains (measured: 1.37 to 1.40).
 */
export async function lowPort(): Promise<number> {
  for (let tries = 0; tries < portsPerWorker; tries++) {
    const port = firstPort + worker * portsPerWorker + (next++ % portsPerWorker)
    if (await isFree(port)) return port
  }
  throw new Error(`no free port from ${firstPort + worker * portsPerWorker}`)
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  server.listen(port, '127.0.0.1')
  try {
    await once(server, 'listening')
  } catch {
    return false
  }
  server.close()
  await once(server, 'close')
  return true
}
