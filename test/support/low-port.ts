import { once } from 'node:events'
import { mkdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Below the range from which systems take the ports of outgoing connections. */
const firstPort = 10_000
const ports = 20_000

/** A file for each port that a test process has taken, with the number of the process in it. */
const takenPorts = join(tmpdir(), 'fairlead-test-ports')
const own: string[] = []
let next = Math.floor(Math.random() * ports)

/**
 * A port of 127.0.0.1 that nobody takes by accident before it is used: for an Envoy's listeners. Several listeners of port
 * 0 have one address as Envoy sees it, and a new one may be given the socket of another that drains (measured: 1.37 to 1.40).
 * No other test process gets it while this one lives.
 */
export async function lowPort(): Promise<number> {
  for (let tries = 0; tries < ports; tries++) {
    const port = firstPort + (next++ % ports)
    if (take(port) && (await isFree(port))) return port
  }
  throw new Error(`no free port from ${firstPort}`)
}

function take(port: number): boolean {
  if (own.length === 0) process.once('exit', giveBack)
  const file = join(takenPorts, `${port}`)
  const write = (flag: 'w' | 'wx'): void => {
    // The last to end takes it away.
    mkdirSync(takenPorts, { recursive: true })
    writeFileSync(file, `${process.pid}`, { flag })
  }
  try {
    write('wx')
  } catch {
    if (isHeld(file)) return false
    write('w')
  }
  own.push(file)
  return true
}

function isHeld(file: string): boolean {
  try {
    process.kill(Number(readFileSync(file, 'utf8')), 0)
    return true
  } catch {
    // Whoever held it is gone, or gives it back at this moment.
    return false
  }
}

function giveBack(): void {
  for (const file of own) rmSync(file, { force: true })
  try {
    rmdirSync(takenPorts)
  } catch {
    // Others hold theirs.
  }
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
