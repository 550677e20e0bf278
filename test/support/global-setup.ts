import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { builtMain, isBuilt } from './built-command.ts'

/**
 * Builds the descriptor set that every test loads, when it is absent or older than its sources; and says once for all of
 * the run whether servers may be started from dist/, for one file may build it.
 */
export default function setup(): void {
  const root = fileURLToPath(new URL('../..', import.meta.url))
  execFileSync(process.execPath, ['--import', 'tsx', 'scripts/build-descriptors.ts'], { cwd: root, stdio: 'inherit' })
  process.env['FAIRLEAD_TEST_BUILT'] = isBuilt() ? builtMain : ''
}
