import { setTimeout as sleep } from 'node:timers/promises'
import { Command, InvalidArgumentError, Option } from 'commander'
import { ControlPlaneError } from '../errors.ts'
import { parseOptionValue } from '../options/option-value.ts'
import { exitCodes, type Io, print } from './io.ts'
import { fetchAnswer, type ServerAnswer, serverOption } from './server-client.ts'

const help = `
Ready: it has read its sources, or serves what its history has of them, and does
not end just now. What is not alive wants a restart. What is not ready wants to
be left alone: what it waits for may come.

To restart one of several replicas, and go on when it serves:
  systemctl restart fairlead && fairlead health --wait 60s

Exit code: 0 it is, 1 it is not, 3 nothing answers.
`

interface Flags {
  readonly server: string
  readonly live: true | undefined
  readonly wait: number
}

const askEveryMs = 200

export function healthCommand(io: Io, finish: (exitCode: number) => void): Command {
  return new Command('health')
    .description('ask whether a server is ready')
    .addOption(serverOption(io))
    .addOption(new Option('--live', 'ask only whether it is alive'))
    .addOption(
      new Option('--wait <TIME>', 'ask until it is, at most for so long').argParser(milliseconds).default(0, '0s'),
    )
    .addHelpText('after', help)
    .action(async ({ server, live, wait }: Flags) => {
      const ask = async (): Promise<ServerAnswer> => await fetchAnswer(server, live ? '/healthz' : '/ready', io.signal)
      const { status, body } = await untilFine(ask, wait, io.signal)
      print(io, live ? liveText(status) : readyText(body as Readiness))
      finish(status === 200 ? exitCodes.fine : exitCodes.config)
    })
}

/** The first answer that is fine; else the first after `waitMs`, or the last before a signal. */
async function untilFine(ask: () => Promise<ServerAnswer>, waitMs: number, signal: AbortSignal): Promise<ServerAnswer> {
  const deadline = performance.now() + waitMs
  let last: ServerAnswer | undefined
  for (;;) {
    const isLast = performance.now() >= deadline
    try {
      last = await ask()
      if (isLast || last.status === 200) return last
    } catch (error) {
      const mayCome = error instanceof ControlPlaneError && error.code === 'unreachable'
      if (signal.aborted && last !== undefined) return last
      if (isLast || signal.aborted || !mayCome) throw error
    }
    // Woken by a signal it asks once more, in vain.
    await sleep(askEveryMs, undefined, { signal }).catch(() => undefined)
  }
}

function milliseconds(text: string): number {
  const parsed = parseOptionValue('duration', text, {})
  if ('value' in parsed) return parsed.value as number
  throw new InvalidArgumentError(`Give it ${parsed.expected}.`)
}

/** Of what `/ready` answers. */
interface Readiness {
  readonly ready?: boolean
  readonly serving?: string
  readonly draining?: boolean
  readonly revision?: number
  readonly sources?: readonly { readonly name: string; readonly state: string }[]
}

const liveText = (status: number): string => (status === 200 ? 'alive' : `not well: it answers ${status}`)

function readyText({ ready, serving, draining, revision, sources = [] }: Readiness): string {
  if (ready === true) {
    const isEmpty = revision === 0 && sources.length > 0
    const current = isEmpty ? 'nothing, for no document was ever in force' : 'the current configuration'
    return `ready: it serves ${serving === 'last good' ? 'the last good configuration' : current}`
  }
  if (draining === true) return 'not ready: it drains, to end'
  const lacking = sources.filter(({ state }) => state !== 'read').map(({ name, state }) => `${name} (${state})`)
  return `not ready: it has not read ${lacking.join(', ') || 'its sources'}`
}
