import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** Builds the descriptor set that every test loads, when it is absent or older than its sources. */
export default function setup(): void {
  const root = fileURLToPath(new URL('../..', import.meta.url))
  execFileSync(process.execPath, ['--import', 'tsx', 'scripts/build-descriptors.ts'], { cwd: root, stdio: 'inherit' })
}
