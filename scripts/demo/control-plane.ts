import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

/** The built command. */
export const main: string = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))

/** `fairlead serve`, as one runs it. */
export interface DemoControlPlane {
  /** `127.0.0.1:PORT` of xDS. */
  readonly xds: string
  /** `http://127.0.0.1:PORT` */
  readonly admin: string
  close(): Promise<void>
}

/** Options of this shell for another server must not get into the demo. */
export const env: NodeJS.ProcessEnv = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !name.startsWith('FAIRLEAD_')),
)

/** @throws Error with what it said when it does not come up */
export async function startControlPlane(directory: string): Promise<DemoControlPlane> {
  const free = ['--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0', '--drain-timeout', '0']
  const args = ['serve', '--config', 'config', '--snapshots', 'snapshots', '--log-format', 'json', ...free]
  const child = spawn(process.execPath, [main, ...args], { cwd: directory, env, stdio: ['ignore', 'ignore', 'pipe'] })
  const killNow = (): void => void child.kill('SIGKILL')
  process.once('exit', killNow)
  const ended = once(child, 'close')
  let log = ''
  const up = new Promise<{ xds: string; admin: string }>((resolve, reject) => {
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      log += text
      const line = /^\{.*"fairlead is up"\}$/m.exec(log)?.[0]
      if (line !== undefined) resolve(JSON.parse(line) as { xds: string; admin: string })
    })
    ended.then(() => reject(new Error(`fairlead serve ended:\n${log}`)), reject)
  })
  const { xds, admin } = await up
  return {
    xds,
    admin,
    async close() {
      process.removeListener('exit', killNow)
      child.kill('SIGTERM')
      await ended
    },
  }
}

/** What a command of `fairlead` prints. */
export async function fairlead(...args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [main, ...args], { env })
  return stdout
}
