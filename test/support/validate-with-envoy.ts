import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { tempDir } from './temp.ts'

/** What `envoy --mode validate` says of a bootstrap: '' when it accepts it, else its log. */
export function validateWithEnvoy(binary: string, bootstrap: object): string {
  const file = join(tempDir(), 'bootstrap.json')
  writeFileSync(file, JSON.stringify(bootstrap))
  const { status, stderr, error } = spawnSync(binary, ['--mode', 'validate', '--log-level', 'warning', '-c', file], {
    encoding: 'utf8',
  })
  if (error !== undefined) throw error
  return status === 0 ? '' : stderr
}
