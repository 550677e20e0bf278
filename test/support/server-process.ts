import { type ChildProcess, spawn } from 'node:child_process'
import { on, once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { flagOf } from '../../src/options/options.ts'
import { atTestEnd, ifTestFails } from './at-test-end.ts'
import { tail } from './envoy-process.ts'
import { tempDir } from './temp.ts'

/** `fairlead serve` as a process of its own, which can be killed. */
export interface ServerProcess {
  /** `127.0.0.1:PORT` of xDS, as a bootstrap names it. */
  readonly server: string
  /** `http://127.0.0.1:PORT` */
  readonly adminUrl: string
  readonly pid: number
  /** What it has logged so far, a JSON object a line. */
  log(): string
  /** What only its own process knows or can do; for one that was started with `isHooked`. */
  ask<What extends keyof HookAnswers>(what: What, argument?: number): Promise<HookAnswers[What]>
  /** Resolves when the process is gone, for whatever reason. */
  readonly ended: Promise<unknown>
  /** SIGKILL: it gets to say and write nothing more. */
  kill(): Promise<void>
  /** SIGTERM: it drains. Resolves to its exit code. */
  terminate(): Promise<number | null>
  /** Starts it again as it was, on the same addresses; for one that has ended. Flags are laid over those that it had. */
  startAgain(flags?: Flags): Promise<ServerProcess>
}

/** What server-hook.mjs answers. */
export interface HookAnswers {
  /** Its wall clock goes so many milliseconds forward, or backward. */
  readonly jumpClock: undefined
  /** Each write and sync of a file takes so many milliseconds longer. */
  readonly slowDisk: undefined
  readonly usage: ServerUsage
}

/** Right after a collection of garbage, in bytes; of what the event loop has open, how many of each kind. */
export interface ServerUsage {
  readonly heapUsed: number
  readonly external: number
  readonly arrayBuffers: number
  readonly rss: number
  readonly handles: Readonly<Record<string, number>>
}

export interface ServerProcessOptions {
  /** `ask` works. */
  readonly isHooked?: boolean
  /** What runs in the place of Node: Node within a network namespace. */
  readonly node?: string
  /** Laid over the environment. */
  readonly env?: Readonly<Record<string, string>>
}

/** Options of `serve` by name. */
export type Flags = Readonly<Record<string, unknown>>

const hook = new URL('server-hook.mjs', import.meta.url).href
const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const built = process.env['FAIRLEAD_TEST_BUILT']
/** From the sources, so that no build can be forgotten; from dist/ where it is the same, for that starts in half the time. */
const command = built ? [built] : ['--import', import.meta.resolve('tsx'), main]

/** It needs half a second, and much more while the machine is busy. */
const startMs = 20_000
const answerMs = 20_000

/**
 * Runs the command as a process: killed at the test's end; a failing test shows the
 * end of its log. On free ports and with a history of its own by default.
 * @throws Error with the end of its log when it does not come up
 */
export async function startServer(flags: Flags, options: ServerProcessOptions = {}): Promise<ServerProcess> {
  const { isHooked = false, node = process.execPath, env = {} } = options
  const own = { listen: '127.0.0.1:0', admin: '127.0.0.1:0', snapshots: tempDir(), logFormat: 'json' }
  const given = { ...own, ...flags }
  const child = spawn(node, [...(isHooked ? ['--import', hook] : []), ...command, 'serve', ...argsOf(given)], {
    // Where no options file lies.
    cwd: tempDir(),
    env: {
      ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('FAIRLEAD_'))),
      ...env,
    },
    stdio: ['ignore', 'ignore', 'pipe', ...(isHooked ? (['ipc'] as const) : [])],
  })
  let text = ''
  const log = (): string => text
  child.stderr?.setEncoding('utf8')
  child.stderr?.on('data', (chunk: string) => {
    text += chunk
  })
  const ended = once(child, 'close')
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL')
    await ended
  }
  atTestEnd(kill)
  ifTestFails(() => console.error(`the end of the log of server ${child.pid}:\n${tail(text)}`))
  const { xds, admin } = await addressesOf(child, log, ended)
  return {
    server: xds,
    adminUrl: admin,
    pid: child.pid as number,
    log,
    ended,
    kill,
    ask: (what, argument) => ask(child, what, argument),
    terminate: async () => {
      child.kill('SIGTERM')
      await ended
      return child.exitCode
    },
    startAgain: (more = {}) => startServer({ ...given, listen: xds, admin: new URL(admin).host, ...more }, options),
  }
}

let questions = 0

async function ask<What extends keyof HookAnswers>(
  child: ChildProcess,
  what: What,
  argument?: number,
): Promise<HookAnswers[What]> {
  const id = (questions += 1)
  const signal = AbortSignal.timeout(answerMs)
  child.send({ id, what, argument })
  for await (const [reply] of on(child, 'message', { signal }) as AsyncIterable<[Reply<What>]>) {
    if (reply.id === id) return reply.answer
  }
  throw new Error(`the server does not answer ${what}`)
}

interface Reply<What extends keyof HookAnswers> {
  readonly id: number
  readonly answer: HookAnswers[What]
}

function argsOf(flags: Flags): string[] {
  return Object.entries(flags).flatMap(([name, value]) => {
    if (typeof value === 'boolean') return value ? [flagOf(name)] : []
    const values: readonly unknown[] = Array.isArray(value) ? value : [value]
    return values.flatMap((item) => [flagOf(name), String(item)])
  })
}

/** From the line by which it says that it is up. */
async function addressesOf(
  child: ChildProcess,
  log: () => string,
  ended: Promise<unknown>,
): Promise<{ readonly xds: string; readonly admin: string }> {
  const failed = new AbortController()
  const timer = setTimeout(() => failed.abort(new Error(`it is not up after ${startMs} ms`)), startMs)
  void ended.then(() => failed.abort(new Error(`it ended with ${child.exitCode}`)))
  try {
    for (;;) {
      const line = log()
        .split('\n')
        .find((candidate) => candidate.includes('"fairlead is up"') && candidate.endsWith('}'))
      if (line !== undefined) return JSON.parse(line) as { xds: string; admin: string }
      await once(child.stderr as NodeJS.ReadableStream, 'data', { signal: failed.signal })
    }
  } catch (error) {
    const why = failed.signal.aborted ? (failed.signal.reason as Error).message : String(error)
    throw new Error(`fairlead serve: ${why}; the end of its log:\n${tail(log())}`, { cause: error })
  } finally {
    clearTimeout(timer)
  }
}
