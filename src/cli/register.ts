import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { constants, networkInterfaces } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { Command, Option } from 'commander'
import { parseInstance } from '../config/kinds/instance-document.ts'
import { notYet } from '../config/kinds/not-yet.ts'
import { ControlPlaneError, isError, messageOf } from '../errors.ts'
import { parseOptionValue } from '../options/option-value.ts'
import { loadEnvoyApi } from '../resource/envoy-api.ts'
import { folderPrefix } from '../source/etcd-client.ts'
import { holdKey } from '../source/etcd-lease.ts'
import { type EtcdFlags, etcdOptions, withEtcdOptions } from './etcd-option.ts'
import { probeOf, untilWell, watchHealth } from './instance-health.ts'
import type { Io } from './io.ts'
import { option, type Pair, repeatablePair } from './option.ts'

interface Flags extends EtcdFlags {
  readonly service: string
  readonly port: string
  readonly address?: string
  readonly instance?: string
  readonly label?: readonly Pair[]
  readonly region?: string
  readonly zone?: string
  readonly weight?: string
  readonly health?: string
  readonly healthInterval: string
  readonly ttl: string
  readonly drain: string
}

const help = `
  fairlead register --service cart --port 8080 --etcd http://10.0.0.1:2379 -- ./cart

The Service takes what registers by \`registry\`:
  kind: Service
  name: cart
  registry: {}

COMMAND is started, and registered as soon as its port takes connections, or
--health is answered with 2xx. At SIGTERM or SIGINT the instance gets no new
requests for --drain, then COMMAND gets SIGTERM; a second signal kills COMMAND at
once. When COMMAND ends, the instance is gone at once; when this process is
killed, after --ttl. Without COMMAND, the instance is there until SIGTERM, and
--drain after. With --health it is told to be unhealthy after three bad answers,
and to be well after two good ones.
Any language can do the same: docs/registration.md.

Exit code: that of COMMAND, or 128 and its signal; 2: wrong use.
`

export function registerCommand(io: Io, finish: (exitCode: number) => void): Command {
  const command = new Command('register')
    .description('keep an instance of a Service registered in etcd while a command runs')
    .usage('[options] -- [COMMAND...]')
    .argument('[COMMAND...]', 'the program that serves; it gets what this process gets')
    .addOption(new Option('--service <NAME>', 'the name that a Service has under `registry`').makeOptionMandatory())
    .addOption(new Option('--port <PORT>', 'where the instance takes connections').makeOptionMandatory())
    .addOption(new Option('--address <IP>', 'where proxies reach it; that of this machine unless given'))
    .addOption(new Option('--instance <ID>', 'what the instance is called; something random unless given'))
    .addOption(repeatablePair('--label <KEY=VALUE>', 'what versions select by'))
    .addOption(new Option('--region <REGION>', 'where it is'))
    .addOption(new Option('--zone <ZONE>', 'where it is there'))
    .addOption(new Option('--weight <N>', 'its share of the requests, relative to the others'))
    .addOption(new Option('--health <URL|tcp>', 'what is asked whether it is well: a path of it, a URL, or `tcp`'))
    .addOption(option('--health-interval <DURATION>', 'how often that is asked', '5s'))
    .addOption(option('--ttl <DURATION>', 'how long etcd keeps the instance of a process that is gone', '10s'))
    .addOption(option('--drain <DURATION>', 'how long it gets no new requests before COMMAND is stopped', '5s'))
  return withEtcdOptions(command)
    .addHelpText('after', help)
    .action(async (words: readonly string[], flags: Flags) => {
      const etcd = etcdOptions(flags)
      const registration = registrationOf(flags)
      const ttlS = Math.max(1, Math.ceil(durationMs('--ttl', flags.ttl) / 1000))
      const drainMs = durationMs('--drain', flags.drain)
      const intervalMs = durationMs('--health-interval', flags.healthInterval)
      const probe = probeOf(flags.health ?? 'tcp', registration.address, registration.port)
      const key = folderPrefix(etcd, 'endpoints') + registration.name
      const say = (text: string): void => void io.err.write(`fairlead register: ${text}\n`)
      const child = words.length === 0 ? undefined : await start(words)
      const ended = child && exitOf(child)
      const early = new AbortController()
      void ended?.then(() => early.abort())
      const stop = AbortSignal.any([io.signal, early.signal])
      const hurried = once(io.hurry, 'abort')
      if (child !== undefined) void hurried.then(() => killGroup(child))
      // An instance that is told of before it listens would fail its first requests.
      if (child !== undefined || flags.health !== undefined) await untilWell(probe, stop)
      if (!stop.aborted) {
        const held = holdKey({ ...etcd, key, value: registration.value(), ttlS, onNews: say })
        void held.held.then(() => say(`${key} is registered`))
        const onChange = (isWell: boolean): void => {
          say(`${key} is ${isWell ? 'well again' : 'unhealthy'}`)
          void held.set(registration.value(isWell ? undefined : 'unhealthy'))
        }
        if (flags.health !== undefined) void watchHealth(probe, { intervalMs, signal: stop, onChange })
        await untilAborted(stop)
        if (!early.signal.aborted) {
          say(`draining for ${flags.drain}`)
          await Promise.race([held.set(registration.value('draining')), hurried])
          // Its timer ends with COMMAND, or this process would live on for nothing.
          const cut = AbortSignal.any([early.signal, io.hurry])
          await sleep(drainMs, undefined, { signal: cut }).catch(() => {})
        }
        child?.kill('SIGTERM')
        await ended
        await held.release()
      } else {
        child?.kill('SIGTERM')
      }
      finish((await ended) ?? 0)
    })
}

interface Registration {
  /** `<service>/<instance>` */
  readonly name: string
  readonly address: string
  readonly port: number
  value(health?: 'draining' | 'unhealthy'): string
}

/** @throws ControlPlaneError `usage` for what a server would refuse. */
function registrationOf(flags: Flags): Registration {
  const { service, port, address = ownAddress(), instance, label, region, zone, weight } = flags
  const endpoint = {
    address,
    port: numberOf('--port', port),
    ...(label !== undefined && { labels: Object.fromEntries(label) }),
    ...(region !== undefined && { region }),
    ...(zone !== undefined && { zone }),
    ...(weight !== undefined && { weight: numberOf('--weight', weight) }),
  }
  const value = (health?: 'draining' | 'unhealthy'): string =>
    JSON.stringify({ ...endpoint, ...(health && { health }) })
  const name = `${service}/${instance ?? `i-${randomUUID().slice(0, 8)}`}`
  const origin = { name: 'the instance' }
  const { problems } = parseInstance(loadEnvoyApi(), { id: name, text: value(), origin }, '', notYet)
  const wrong = problems.find(isError)
  if (wrong !== undefined) {
    const flag = wrong.path === 'name' ? 'instance' : wrong.path
    throw new ControlPlaneError('usage', `${flag === '' ? name : `--${flag}`}: ${wrong.message} ${wrong.fix}`)
  }
  return { name, address, port: endpoint.port, value }
}

function numberOf(flag: string, text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text)
  throw new ControlPlaneError('usage', `${flag} ${text} is not a number`)
}

/** @throws ControlPlaneError `usage` where there is none, or more than one. */
function ownAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? [])
  const own = all.filter(({ internal, family }) => !internal && family === 'IPv4').map((one) => one.address)
  const [first, ...others] = [...new Set(own)]
  if (first !== undefined && others.length === 0) return first
  const why = first === undefined ? 'has no address of its own' : `has several addresses: ${own.join(', ')}`
  throw new ControlPlaneError('usage', `this machine ${why}; say by --address where proxies reach the instance`)
}

function durationMs(flag: string, text: string): number {
  const parsed = parseOptionValue('duration', text, {})
  if ('value' in parsed) return parsed.value as number
  throw new ControlPlaneError('usage', `${flag} ${text} cannot be used: give it ${parsed.expected}`)
}

/** In a process group of its own: a terminal's Ctrl-C would otherwise end it before it is drained. */
async function start([program = '', ...args]: readonly string[]): Promise<ChildProcess> {
  const child = spawn(program, args, { stdio: 'inherit', detached: true })
  try {
    await once(child, 'spawn')
  } catch (error) {
    throw new ControlPlaneError('usage', `${program} cannot be started: ${messageOf(error)}`, { cause: error })
  }
  return child
}

/** What COMMAND started goes with it. */
function killGroup({ pid = 0 }: ChildProcess): void {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // It has ended.
  }
}

async function exitOf(child: ChildProcess): Promise<number> {
  const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null]
  return code ?? 128 + (signal === null ? 0 : constants.signals[signal])
}

async function untilAborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort')
}
