import { get } from 'node:http'
import { connect, isIPv6 } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { ControlPlaneError } from '../errors.ts'
import { serviceDefaults } from '../translate/defaults.ts'

/** Asks an instance whether it is well. Never rejects. */
export type Probe = () => Promise<boolean>

// As proxies have it, where a Service says nothing of its health check.
const timeoutMs = serviceDefaults.healthTimeoutMs.value
const unhealthyAfter = serviceDefaults.unhealthyAfter.value
const healthyAfter = serviceDefaults.healthyAfter.value

/**
 * @param wanted `tcp`: it takes connections; a path of it, or a URL of anything: the answer is 2xx
 * @throws ControlPlaneError `usage` for what is none of these
 */
export function probeOf(wanted: string, host: string, port: number): Probe {
  if (wanted === 'tcp') return async () => await takesConnections(host, port)
  const text = wanted.startsWith('/') ? `http://${isIPv6(host) ? `[${host}]` : host}:${port}${wanted}` : wanted
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol === 'http:') return async () => await answersWell(url)
  const message = `--health ${wanted} cannot be used: give it tcp, a path such as /health, or a URL with http`
  throw new ControlPlaneError('usage', message)
}

/** Resolves when the instance is well, or `signal` aborts. */
export async function untilWell(probe: Probe, signal: AbortSignal): Promise<void> {
  while (!signal.aborted && !(await probe())) await sleep(100, undefined, { signal }).catch(() => {})
}

interface WatchOptions {
  readonly intervalMs: number
  readonly signal: AbortSignal
  /** Told each time that an instance, which was well, no longer is, or is again; never after `signal` aborts. */
  readonly onChange: (isWell: boolean) => void
}

/** One answer that is lost takes no instance out, and a lucky one brings none back. */
export async function watchHealth(probe: Probe, { intervalMs, signal, onChange }: WatchOptions): Promise<void> {
  let isWell = true
  let inARow = 0
  for (;;) {
    await sleep(intervalMs, undefined, { signal }).catch(() => {})
    const answer = !signal.aborted && (await probe())
    if (signal.aborted) return
    inARow = answer === isWell ? 0 : inARow + 1
    if (inARow < (isWell ? unhealthyAfter : healthyAfter)) continue
    isWell = answer
    inARow = 0
    onChange(isWell)
  }
}

async function takesConnections(host: string, port: number): Promise<boolean> {
  const socket = connect({ host, port, timeout: timeoutMs })
  return await new Promise((resolve) => {
    const settle = (is: boolean): void => {
      socket.destroy()
      resolve(is)
    }
    socket.once('connect', () => settle(true))
    socket.once('error', () => settle(false))
    socket.once('timeout', () => settle(false))
  })
}

async function answersWell(url: URL): Promise<boolean> {
  return await new Promise((resolve) => {
    // A connection of its own each time: who answers an old one may take no new ones.
    const request = get(url, { agent: false, signal: AbortSignal.timeout(timeoutMs) }, ({ statusCode = 0 }) => {
      request.destroy()
      resolve(statusCode >= 200 && statusCode < 300)
    })
    request.on('error', () => resolve(false))
  })
}
