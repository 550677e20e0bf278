import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { atTestEnd } from './at-test-end.ts'

/** A new directory that is removed, with all that is in it, when the test (or its file) ends. */
export function tempDir(prefix = 'fairlead-test-'): string {
  const path = mkdtempSync(join(tmpdir(), prefix))
  atTestEnd(() => rmSync(path, { recursive: true, force: true, maxRetries: 3 }))
  return path
}
