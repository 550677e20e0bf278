import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { Command, Option } from 'commander'
import { createControlPlane } from '../control-plane.ts'
import { ControlPlaneError, isError, messageOf } from '../errors.ts'
import { createLog, type Log } from '../log.ts'
import { formatAddress, isLoopback, parseAddress } from '../options/address.ts'
import { formatOptionValue } from '../options/option-value.ts'
import {
  defaultOptionsFile,
  flagOf,
  type OptionFile,
  type OptionSpec,
  optionsFilePath,
  optionTable,
  printOptions,
  resolveOptions,
  type ServeOptions,
} from '../options/options.ts'
import { fairleadVersion, ownBuild } from '../own-version.ts'
import { giveHeapRoom } from './heap-room.ts'
import { exitCodes, type Io, print } from './io.ts'
import { append } from './option.ts'
import { formatProblems } from './problem-text.ts'

const help = `
Every option may also stand in the environment (FAIRLEAD_ETCD_PREFIX) or in the
options file (etcdPrefix: /fairlead/). A flag beats a variable, that the file,
that the default; --print-options shows which did.

SIGTERM closes the streams one by one (--drain-timeout), so that the Envoys move
to another replica; a second one ends at once.

From a directory, for Envoys on this machine:
  fairlead serve --config ./config

From etcd, for all machines:
  fairlead serve --etcd http://10.0.0.5:2379 --listen :18000 \\
    --tls-cert tls.crt --tls-key tls.key
`

export function serveCommand(io: Io, finish: (exitCode: number) => void): Command {
  const command = new Command('serve')
    .description('serve configuration from files or etcd to Envoys')
    .allowExcessArguments(true)
    .addOption(new Option('--options <FILE>', `an options file (default: ${defaultOptionsFile}, if it is there)`))
    .addOption(new Option('--print-options', 'print the options in force, and where each came from; then end'))
    .addHelpText('after', help)
  for (const spec of optionTable) if (!spec.isFileOnly) command.addOption(optionOf(spec))
  return command.action(async (flags: Record<string, unknown>) => {
    const [extra] = command.args
    if (extra !== undefined) {
      throw new ControlPlaneError('usage', `\`serve\` takes options only; did you mean --config ${extra}?`)
    }
    const { options, problems, origins } = resolveOptions({ flags, env: io.env, ...readOptionsFile(flags, io) })
    // The place says which option it is.
    const told = problems.map((problem) => ({ ...problem, path: '' }))
    if (told.length > 0) io.err.write(`${formatProblems(told, { color: io.err.isTTY === true })}\n`)
    if (options === undefined || problems.some(isError)) {
      io.err.write('(fairlead serve --help explains it)\n')
      return finish(exitCodes.usage)
    }
    if (flags['printOptions'] === true) return print(io, printOptions(options, origins).trimEnd())
    await serve(options, io)
  })
}

function optionOf(spec: OptionSpec): Option {
  const flag = flagOf(spec.name)
  const option = new Option(spec.type === 'switch' ? flag : `${flag} <${spec.placeholder}>`, descriptionOf(spec))
  option.helpGroup(`${spec.group}:`)
  if (spec.type === 'paths') option.argParser(append)
  return option
}

/** With the default as a user would write it. */
function descriptionOf({ description, default: value, type }: OptionSpec): string {
  const isShown = value !== undefined && type !== 'switch' && !(Array.isArray(value) && value.length === 0)
  return isShown ? `${description} (default: ${String(formatOptionValue(type, value))})` : description
}

/** @throws ControlPlaneError `usage` when a file that was named cannot be read. */
function readOptionsFile(flags: Record<string, unknown>, io: Io): { file?: OptionFile } {
  const { path, isNamed } = optionsFilePath({ flags, env: io.env })
  try {
    return { file: { path, text: readFileSync(resolve(io.cwd, path), 'utf8') } }
  } catch (error) {
    if (!isNamed && (error as NodeJS.ErrnoException).code === 'ENOENT') return {}
    throw new ControlPlaneError('usage', `the options file ${path} cannot be read: ${messageOf(error)}`)
  }
}

async function serve(options: ServeOptions, io: Io): Promise<void> {
  giveHeapRoom()
  const isText = options.logFormat === 'text' || (options.logFormat === 'auto' && io.err.isTTY === true)
  const log = createLog({ level: options.logLevel, format: isText ? 'text' : 'json', stream: io.err })
  const controlPlane = await createControlPlane(options, { log })
  tell(options, controlPlane, log)
  if (!io.signal.aborted) await new Promise((resolve) => io.signal.addEventListener('abort', resolve, { once: true }))
  log.info({ drainMs: options.drainTimeout }, 'draining: streams are closed one by one')
  await controlPlane.drain()
  log.info('stopped')
}

function tell(options: ServeOptions, { xdsPort, adminPort }: { xdsPort: number; adminPort: number }, log: Log): void {
  const at = (address: string, port: number): string => {
    const host = parseAddress(address)?.host ?? '127.0.0.1'
    return formatAddress({ host, port })
  }
  const xds = at(options.listen, xdsPort)
  const admin = `http://${at(options.admin, adminPort)}`
  log.info(
    { version: fairleadVersion, commit: ownBuild.commit, xds, admin, tls: options.tlsCert !== undefined },
    'fairlead is up',
  )
  if (isLoopback(options.listen)) {
    log.info(`connect an Envoy: envoy -c <(fairlead bootstrap --id edge-1 --cluster edge --server ${xds})`)
  }
}
