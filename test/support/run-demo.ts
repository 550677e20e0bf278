import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { atTestEnd } from './at-test-end.ts'
import { tempDir } from './temp.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const demo = ['--import', import.meta.resolve('tsx'), join(root, 'scripts/demo.ts')]

export interface Ended {
  readonly code: number | null
  readonly text: string
  /** What it left in its directory for temporary files. */
  readonly left: readonly string[]
}

/** Runs the demo to its end, without a terminal. `onText` is called as text comes, to interrupt it for one. */
export async function runDemo(
  env: Readonly<Record<string, string>>,
  onText: (text: string, interrupt: () => void) => void = () => {},
  name?: string,
): Promise<Ended> {
  const temporary = join(tempDir(), 'tmp')
  mkdirSync(temporary)
  const child = spawn(process.execPath, name === undefined ? demo : [...demo, name], {
    cwd: root,
    env: {
      ...process.env,
      NO_COLOR: '1',
      FORCE_COLOR: undefined,
      TMPDIR: temporary,
      FAIRLEAD_DEMO_SECONDS: '0.5',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  atTestEnd(() => void child.kill('SIGKILL'))
  let text = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
      onText(text, () => void child.kill('SIGINT'))
    })
  }
  await once(child, 'close')
  // tsx keeps its cache there.
  const left = readdirSync(temporary).filter((name) => name.startsWith('fairlead-'))
  return { code: child.exitCode, text, left }
}
