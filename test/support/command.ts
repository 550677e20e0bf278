import { Writable } from 'node:stream'
import { main } from '../../src/cli/main.ts'
import { atTestEnd } from './at-test-end.ts'
import { tempDir } from './temp.ts'

export interface CommandResult {
  readonly code: number
  readonly out: string
  readonly err: string
}

export interface CommandOptions {
  readonly env?: Readonly<Record<string, string>>
  /** Where the options file is looked for; an empty directory by default. */
  readonly cwd?: string
  /** Given: both streams are a terminal of so many columns. */
  readonly columns?: number
}

/** A command that goes on until it is told to stop. */
export interface RunningCommand {
  /** Resolves to the text written to stderr so far, once `pattern` is in it. @throws Error when the command ends before */
  waitForErr(pattern: RegExp): Promise<string>
  /** As SIGTERM does. Resolves when the command has ended. */
  stop(): Promise<CommandResult>
  /** As a second SIGTERM does, for those that look out for it. */
  hurry(): Promise<CommandResult>
  readonly done: Promise<CommandResult>
}

/** Runs a command line of `fairlead` in this process, to its end. */
export async function runCommand(args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  return await startCommand(args, options).done
}

/** Starts one in this process; stopped at the test's end. */
export function startCommand(args: readonly string[], options: CommandOptions = {}): RunningCommand {
  const [abort, hurry] = [new AbortController(), new AbortController()]
  const watchers = new Set<() => void>()
  const out = capture(options.columns, () => {})
  const err = capture(options.columns, () => {
    for (const watcher of watchers) watcher()
  })
  const io = {
    out,
    err,
    env: options.env ?? {},
    cwd: options.cwd ?? tempDir(),
    signal: abort.signal,
    hurry: hurry.signal,
  }
  const done = main(args, io).then((code) => ({ code, out: out.text(), err: err.text() }))
  const stop = async (): Promise<CommandResult> => {
    abort.abort()
    return await done
  }
  atTestEnd(async () => void (await stop()))
  return {
    done,
    stop,
    async hurry() {
      hurry.abort()
      return await done
    },
    waitForErr: (pattern) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (!pattern.test(err.text())) return
          watchers.delete(look)
          resolve(err.text())
        }
        watchers.add(look)
        look()
        done.then(
          ({ code }) => reject(new Error(`it ended with ${code} and without ${pattern}: ${err.text()}`)),
          reject,
        )
      }),
  }
}

type Capture = Writable & { readonly isTTY?: boolean; readonly columns?: number; text(): string }

function capture(columns: number | undefined, onText: () => void): Capture {
  let text = ''
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      text += chunk.toString()
      onText()
      done()
    },
  })
  return Object.assign(stream, { text: () => text, ...(columns !== undefined && { isTTY: true, columns }) })
}
