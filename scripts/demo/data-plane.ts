import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pc from 'picocolors'
import { messageOf } from '../../src/errors.ts'
import { launchEnvoy } from '../../test/support/envoy-process.ts'
import { env, main } from './control-plane.ts'
import { findOrFetchEnvoy } from './find-envoy.ts'
import type { Screen } from './screen.ts'

/** What carries the requests of a demo. */
export interface DataPlane {
  /** As a sentence names it. */
  readonly name: 'Envoy' | 'the proxy'
  /** How one starts it by hand, with the bootstrap that this command prints. */
  commandFor(bootstrap: string): string
  /** @returns one that serves what it was sent first */
  start(options: { readonly bootstrap: string; readonly signal: AbortSignal }): Promise<DemoProxy>
}

export interface DemoProxy {
  /** Waits for the listener. */
  listenerPort(listener: string): Promise<number>
  close(): Promise<void>
}

/**
 * A stock Envoy, that of this machine or one that is fetched now; where there is none, or FAIRLEAD_DEMO_PROXY is `reference`,
 * the reference proxy. The screen says which.
 */
export async function chooseDataPlane(screen: Screen): Promise<DataPlane> {
  if (process.env['FAIRLEAD_DEMO_PROXY'] === 'reference') {
    screen.done('reference proxy', 'for FAIRLEAD_DEMO_PROXY says so')
    return referenceProxy
  }
  try {
    const binary = await findOrFetchEnvoy(screen)
    screen.done('stock Envoy', `${versionOf(binary)}  ${pc.dim(binary)}`)
    return stockEnvoy(binary)
  } catch (error) {
    screen.done('reference proxy', 'for there is no Envoy:')
    screen.detail(messageOf(error))
    return referenceProxy
  }
}

function stockEnvoy(binary: string): DataPlane {
  return {
    name: 'Envoy',
    commandFor: (bootstrap) => `envoy -c <(${bootstrap})`,
    async start(options) {
      const envoy = await launchEnvoy({ binary, ...options })
      try {
        await envoy.waitLive()
      } catch (error) {
        await envoy.close()
        throw error
      }
      return envoy
    },
  }
}

/** A process of its own, as one runs it: what a listener logs to stdout is no part of the demo. */
const referenceProxy: DataPlane = {
  name: 'the proxy',
  commandFor: (bootstrap) => `fairlead proxy -c <(${bootstrap})`,
  async start({ bootstrap, signal }) {
    signal.throwIfAborted()
    const directory = mkdtempSync(join(tmpdir(), 'fairlead-proxy-'))
    const file = join(directory, 'bootstrap.json')
    writeFileSync(file, bootstrap)
    const args = ['proxy', '-c', file, '--admin-port', '0', '--drain-time', '0']
    const child = spawn(process.execPath, [main, ...args], { env, stdio: ['ignore', 'ignore', 'pipe'] })
    const killNow = (): void => void child.kill('SIGKILL')
    process.once('exit', killNow)
    const ended = once(child, 'close')
    const close = async (): Promise<void> => {
      process.removeListener('exit', killNow)
      child.kill('SIGTERM')
      await ended
      rmSync(directory, { recursive: true, force: true })
    }
    signal.addEventListener('abort', killNow, { once: true })
    let log = ''
    const live = new Promise<Listeners>((resolve, reject) => {
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        log += text
        const line = /^\{.*"the reference proxy is live"\}$/m.exec(log)?.[0]
        if (line !== undefined) resolve((JSON.parse(line) as { listeners: Listeners }).listeners)
      })
      ended.then(() => reject(new Error(`fairlead proxy ended:\n${log}`)), reject)
    })
    try {
      const listeners = await live
      return {
        listenerPort(listener) {
          const port = Number(/\d+$/.exec(listeners[listener] ?? '')?.[0])
          return port > 0 ? Promise.resolve(port) : Promise.reject(new Error(`there is no listener ${listener}`))
        },
        close,
      }
    } catch (error) {
      await close()
      throw error
    }
  },
}

/** Their addresses by name. */
type Listeners = Readonly<Record<string, string>>

function versionOf(binary: string): string {
  return /\/(\d+\.\d+\.\d+)\//.exec(execFileSync(binary, ['--version'], { encoding: 'utf8' }))?.[1] ?? 'of some version'
}
