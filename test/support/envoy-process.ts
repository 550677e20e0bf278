import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually } from './poll.ts'

export interface EnvoyOptions {
  /** The path of the binary. */
  readonly binary: string
  /** The whole bootstrap, as Envoy's JSON, or as text (YAML or JSON). Its admin address is replaced by a free port of loopback. */
  readonly bootstrap: object | string
  /** Ends the process when it aborts. */
  readonly signal?: AbortSignal
  /** `info` by default. */
  readonly logLevel?: 'trace' | 'debug' | 'info' | 'warning'
  /** Worker threads; one by default. */
  readonly threads?: number
  /** More arguments of the command line: `['--drain-time-s', '1']`. */
  readonly args?: readonly string[]
}

/** A running stock Envoy. Whoever starts one closes it (in tests `startEnvoy` of envoy.ts does that). */
export interface EnvoyProcess {
  /** `http://127.0.0.1:PORT` */
  readonly admin: string
  readonly pid: number
  /** Resolves when `/ready` says LIVE. @throws Error with the log's end when it is not, or Envoy ended. */
  waitLive(timeoutMs?: number): Promise<void>
  /** Counters and gauges by name, those that match `pattern`, which Envoy reads as RE2. */
  stats(pattern?: RegExp): Promise<ReadonlyMap<string, number>>
  /** One counter or gauge; undefined when Envoy has none of that name (it makes many of them when first used). */
  stat(name: string): Promise<number | undefined>
  /** Resolves to the value, once `predicate` holds of it. */
  waitForStat(name: string, predicate: (value: number) => boolean, timeoutMs?: number): Promise<number>
  /** `/config_dump?include_eds`. */
  configDump(): Promise<EnvoyConfigDump>
  /** The port that a listener with `port_value: 0` was given. Waits for the listener. */
  listenerPort(name: string, timeoutMs?: number): Promise<number>
  /** Any page of the admin interface, as text. @throws Error unless it answers 200 */
  adminGet(path: string): Promise<string>
  /** What Envoy has written to stdout and stderr so far. */
  log(): string
  /** SIGTERM, and SIGKILL if that does not do it. */
  close(): Promise<void>
}

export interface EnvoyConfigDump {
  readonly configs: readonly { readonly '@type': string; readonly [field: string]: unknown }[]
}

/** Laid over the bootstrap: several Envoys run side by side, and what the bootstrap says is tested as it is otherwise. */
const freeAdminPort = JSON.stringify({
  admin: { address: { socket_address: { address: '127.0.0.1', port_value: 0 } } },
})

/** Envoy ends at once on SIGTERM unless it hangs. */
const termPatienceMs = 5_000

/**
 * Starts an Envoy; resolves once its admin interface answers.
 * @throws Error with the end of Envoy's log when it does not come up, a refused bootstrap for one
 */
export async function launchEnvoy(options: EnvoyOptions): Promise<EnvoyProcess> {
  options.signal?.throwIfAborted()
  const dir = mkdtempSync(join(tmpdir(), 'fairlead-envoy-'))
  const files = { config: join(dir, 'bootstrap.yaml'), log: join(dir, 'envoy.log'), admin: join(dir, 'admin-address') }
  writeFileSync(
    files.config,
    typeof options.bootstrap === 'string' ? options.bootstrap : JSON.stringify(options.bootstrap),
  )
  const output = openSync(files.log, 'a')
  const where = ['--config-path', files.config, '--config-yaml', freeAdminPort, '--admin-address-path', files.admin]
  const how = [
    '--concurrency',
    String(options.threads ?? 1),
    '--use-dynamic-base-id',
    '--log-level',
    options.logLevel ?? 'info',
  ]
  const child = spawn(options.binary, [...where, ...how, ...(options.args ?? [])], {
    stdio: ['ignore', output, output],
  })
  closeSync(output)
  const ended = once(child, 'exit').catch((error: unknown) => error)
  const killNow = (): void => void child.kill('SIGKILL')
  process.once('exit', killNow)

  let finalLog: string | undefined
  const log = (): string => finalLog ?? (existsSync(files.log) ? readFileSync(files.log, 'utf8') : '')
  const close = async (): Promise<void> => {
    options.signal?.removeEventListener('abort', onAbort)
    await end(child, ended)
    process.removeListener('exit', killNow)
    finalLog ??= log()
    rmSync(dir, { recursive: true, force: true })
  }
  const onAbort = (): void => void close()
  options.signal?.addEventListener('abort', onAbort, { once: true })

  const ensureRunning = (): void => {
    if (hasEnded(child)) throw new EnvoyEnded(child, log())
  }
  try {
    const address = await whileRunning(ensureRunning, 'its admin address', log, 10_000, () => {
      const text = existsSync(files.admin) ? readFileSync(files.admin, 'utf8').trim() : ''
      return text !== '' && text
    })
    return overAdmin({ pid: child.pid as number, admin: `http://${address}`, log, ensureRunning, close })
  } catch (error) {
    await close()
    throw error
  }
}

/** Retrying is of no use: the process is gone. */
class EnvoyEnded extends Error {
  constructor(child: ChildProcess, log: string) {
    super(`Envoy ended (${child.signalCode ?? `exit code ${child.exitCode}`}); the end of its log:\n${tail(log)}`)
    this.name = 'EnvoyEnded'
  }
}

export interface Administered {
  readonly pid: number
  /** `http://127.0.0.1:PORT` */
  readonly admin: string
  readonly log: () => string
  /** Throws when nobody is there any more. */
  readonly ensureRunning: () => void
  readonly close: () => Promise<void>
}

/** What is asked of an Envoy, or of what has the same admin interface. */
export function overAdmin({ pid, admin, log, ensureRunning, close }: Administered): EnvoyProcess {
  const adminGet = async (path: string): Promise<string> => {
    ensureRunning()
    const response = await fetch(`${admin}${path}`, { signal: AbortSignal.timeout(10_000) })
    const text = await response.text()
    if (!response.ok) throw new Error(`GET ${path}: ${response.status} ${text.slice(0, 200)}`)
    return text
  }
  const stats = async (pattern?: RegExp): Promise<ReadonlyMap<string, number>> => {
    // Envoy picks first: it has a thousand of them, and tests ask often.
    const filter = pattern === undefined ? '' : `&filter=${encodeURIComponent(pattern.source)}`
    const page = JSON.parse(await adminGet(`/stats?format=json${filter}`)) as { stats: readonly Partial<Stat>[] }
    const numbers = page.stats.filter((stat): stat is Stat => typeof stat.value === 'number')
    return new Map(
      numbers
        .filter(({ name }) => pattern?.test(name) ?? true)
        .map(({ name, value }): [string, number] => [name, value]),
    )
  }
  const stat = async (name: string): Promise<number | undefined> =>
    (await stats(new RegExp(`^${name.replaceAll(/[^\w]/g, '\\$&')}$`))).get(name)
  const wait = <T>(what: string, timeoutMs: number, attempt: () => Promise<T | false>): Promise<T> =>
    whileRunning(ensureRunning, what, log, timeoutMs, attempt)

  return {
    admin,
    pid,
    waitLive: async (timeoutMs = 10_000) => {
      await wait('LIVE', timeoutMs, async () => (await adminGet('/ready')).trim() === 'LIVE')
    },
    stats,
    stat,
    waitForStat: (name, predicate, timeoutMs = 10_000) => {
      return wait(name, timeoutMs, async () => {
        const value = await stat(name)
        if (value === undefined || !predicate(value)) throw new Error(`${name} is ${value ?? 'not there'}`)
        return value
      })
    },
    configDump: async () => JSON.parse(await adminGet('/config_dump?include_eds')) as EnvoyConfigDump,
    listenerPort: (name, timeoutMs = 10_000) =>
      wait(`the listener ${name}`, timeoutMs, async () => {
        const page = JSON.parse(await adminGet('/listeners?format=json')) as ListenersPage
        const listener = page.listener_statuses?.find((status) => status.name === name)
        return listener?.local_address?.socket_address?.port_value ?? false
      }),
    adminGet,
    log,
    close,
  }
}

interface Stat {
  readonly name: string
  readonly value: number
}

interface ListenersPage {
  readonly listener_statuses?: readonly {
    readonly name: string
    readonly local_address?: { readonly socket_address?: { readonly port_value?: number } }
  }[]
}

/** `eventually`, but an Envoy that ended ends the waiting, and its log is part of the message. */
async function whileRunning<T>(
  ensureRunning: () => void,
  what: string,
  log: () => string,
  timeoutMs: number,
  attempt: () => T | false | Promise<T | false>,
): Promise<T> {
  let ended: EnvoyEnded | undefined
  const value = await eventually<T | false | undefined>(
    async () => {
      try {
        ensureRunning()
        return await attempt()
      } catch (error) {
        if (!(error instanceof EnvoyEnded)) throw error
        ended = error
        return undefined
      }
    },
    { timeoutMs },
  ).catch((error: unknown) => {
    throw new Error(`Envoy: ${what}: ${String(error)}; the end of its log:\n${tail(log())}`, { cause: error })
  })
  if (ended !== undefined) throw ended
  return value as T
}

async function end(child: ChildProcess, ended: Promise<unknown>): Promise<void> {
  if (hasEnded(child) || child.pid === undefined) return
  child.kill('SIGTERM')
  const killer = setTimeout(() => child.kill('SIGKILL'), termPatienceMs)
  await ended
  clearTimeout(killer)
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null
}

/** The last lines of a log: what a person would look at first. */
export function tail(log: string, lines = 40): string {
  return log.trimEnd().split('\n').slice(-lines).join('\n')
}
