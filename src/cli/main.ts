#!/usr/bin/env node
import './require-node.ts'
import { getEventListeners } from 'node:events'
import { realpathSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Command, CommanderError } from 'commander'
import { ControlPlaneError, messageOf } from '../errors.ts'
import { fairleadVersion } from '../own-version.ts'
import { exitCodeOf, exitCodes, type Io } from './io.ts'

type BuildCommand = (io: Io, finish: (exitCode: number) => void) => Command

/** Each is read when it is asked for: all of them together take several times as long to start as most do by themselves. */
const commands: Readonly<Record<string, () => Promise<BuildCommand>>> = {
  serve: async () => (await import('./serve.ts')).serveCommand,
  validate: async () => (await import('./validate.ts')).validateCommand,
  route: async () => (await import('./route.ts')).routeCommand,
  bootstrap: async () => (await import('./bootstrap.ts')).bootstrapCommand,
  proxy: async () => (await import('./proxy.ts')).proxyCommand,
  capture: async () => (await import('./capture.ts')).captureCommand,
  health: async () => (await import('./health.ts')).healthCommand,
  nodes: async () => (await import('./nodes.ts')).nodesCommand,
  replicas: async () => (await import('./replicas.ts')).replicasCommand,
  snapshots: async () => (await import('./snapshots.ts')).snapshotsCommand,
  rollback: async () => (await import('./rollback.ts')).rollbackCommand,
  put: async () => (await import('./put.ts')).putCommand,
  register: async () => (await import('./register.ts')).registerCommand,
  explain: async () => (await import('./explain.ts')).explainCommand,
  render: async () => (await import('./render.ts')).renderCommand,
  schema: async () => (await import('./schema.ts')).schemaCommand,
  api: async () => (await import('./api.ts')).apiCommand,
  version: async () => (await import('./version.ts')).versionCommand,
}

const guide = `
Start here, in a directory with Envoy resources in ./config:
  fairlead validate ./config        is it right?
  fairlead serve --config ./config  serve it
  envoy -c <(fairlead bootstrap --id edge-1 --cluster edge)

While it runs:
  fairlead route --node edge URL    where a request goes, and why
  fairlead nodes                    who is connected, and what each accepted
  fairlead snapshots list           what changed, and when
  fairlead snapshots diff 1         what differs now from revision 1
  fairlead rollback --previous --config ./config
                                    take the last change back

Exit codes: 0 fine, 1 the configuration has errors, 2 wrong use,
3 a server cannot be reached.
`

/** Runs one command line; returns its exit code. */
export async function main(args: readonly string[], io: Io): Promise<number> {
  let code: number = exitCodes.fine
  const finish = (exitCode: number): void => {
    code = exitCode
  }
  const program = new Command('fairlead')
    .description('An Envoy control plane: versioned xDS snapshots from files or etcd, streamed to stock Envoy.')
    .version(fairleadVersion, '-V, --version', 'print the version')
    .helpCommand('help [COMMAND]', 'explain a command')
    .addHelpText('after', guide)
  const [first = ''] = args
  const isOne = Object.hasOwn(commands, first)
  for (const [name, load] of Object.entries(commands)) {
    if (!isOne || name === first) program.addCommand((await load())(io, finish))
  }
  prepare(program, io)
  try {
    await program.parseAsync([...args], { from: 'user' })
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.fine : exitCodes.usage
    if (error instanceof ControlPlaneError) io.err.write(`fairlead: ${error.message}\n`)
    else {
      const stack = error instanceof Error ? (error.stack ?? '') : messageOf(error)
      io.err.write(`fairlead failed; this is a bug of fairlead's, so please report it with what follows:\n${stack}\n`)
    }
    return exitCodeOf(error)
  }
  return code
}

/** Commander settings are not inherited by commands that were built apart. */
function prepare(command: Command, io: Io, parents: readonly string[] = []): void {
  const path = [...parents, command.name()]
  command.exitOverride()
  command.showSuggestionAfterError(true)
  command.helpOption('-h, --help', parents.length === 0 ? 'print this' : 'explain this command')
  command.configureOutput({
    writeOut: (text) => void io.out.write(text),
    writeErr: (text) => void io.err.write(text),
    getOutHelpWidth: () => widthOf(io.out),
    getErrHelpWidth: () => widthOf(io.err),
  })
  command.showHelpAfterError(`(${path.join(' ')} --help explains it)`)
  for (const sub of command.commands) prepare(sub, io, path)
}

/** What is no terminal is 80 columns wide, so that help is the same wherever it is written to. */
function widthOf(stream: { readonly isTTY?: boolean; readonly columns?: number }): number {
  return stream.isTTY === true ? (stream.columns ?? 80) : 80
}

/** True when this file is what node was started with, also through the link that npm makes for the `fairlead` command. */
function isEntry(): boolean {
  const started = process.argv[1]
  return started !== undefined && realpathSync(started) === fileURLToPath(import.meta.url)
}

if (isEntry()) {
  // That a library will have to change is no news for who reads a log: Node warns so of each TLS connection to an etcd by its address.
  process.noDeprecation = true
  const [abort, hurry] = [new AbortController(), new AbortController()]
  const signals = ['SIGINT', 'SIGTERM'] as const
  const onSignal = (signal: NodeJS.Signals): void => {
    if (!abort.signal.aborted) return abort.abort()
    // The next one of either kind ends the process, as it does by default.
    for (const name of signals) process.removeListener(name, onSignal)
    if (getEventListeners(hurry.signal, 'abort').length === 0) process.kill(process.pid, signal)
    else hurry.abort()
  }
  for (const name of signals) process.on(name, onSignal)
  // A reader that has seen enough (`fairlead nodes | head`) is no error.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(exitCodes.fine)
    throw error
  })
  process.exitCode = await main(process.argv.slice(2), {
    out: process.stdout,
    err: process.stderr,
    env: process.env,
    cwd: process.cwd(),
    signal: abort.signal,
    hurry: hurry.signal,
  })
}
