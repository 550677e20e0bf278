import { execFile } from 'node:child_process'
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** `dist/cli/main.js`: what `npm run build` makes, and users run. */
export const builtMain: string = join(root, 'dist/cli/main.js')

/**
 * Makes dist/ of the sources as they are, where it is not. For one test file only: two that build at once would run what
 * the other is writing.
 * @throws Error with what the compiler says
 */
export async function ensureBuilt(): Promise<void> {
  if (isBuilt()) return
  const compiler = fileURLToPath(import.meta.resolve('typescript/bin/tsc'))
  await new Promise<void>((resolve, reject) => {
    execFile(process.execPath, [compiler, '-p', 'tsconfig.build.json'], { cwd: root }, (error, stdout) => {
      if (error === null) resolve()
      else reject(new Error(stdout, { cause: error }))
    })
  })
}

/** dist/ is of the sources as they are. */
export function isBuilt(): boolean {
  return builtAt() > newestSource()
}

function builtAt(): number {
  return statSync(builtMain, { throwIfNoEntry: false })?.mtimeMs ?? 0
}

function newestSource(): number {
  const files = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
  const sources = files.filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
  return Math.max(...sources.map((name) => statSync(join(root, 'src', name)).mtimeMs))
}
