import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { lowPort } from '../../support/low-port.ts'
import { tempDir } from '../../support/temp.ts'

const root = join(import.meta.dirname, '../../..')

test('the example in docs/proxy.md is a test that passes', async () => {
  const [, code = ''] = /```js\n(.*?)```/s.exec(readFileSync(join(root, 'docs/proxy.md'), 'utf8')) ?? []
  const file = join(tempDir(), 'example.mjs')
  writeFileSync(
    file,
    code.replace("'fairlead'", `'${join(root, 'src/index.ts')}'`).replace('18080', String(await lowPort())),
  )
  const args = ['--import', import.meta.resolve('tsx'), '--test-reporter', 'tap', file]
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 30_000 })
  expect(stdout).toContain('# pass 1\n')
  expect(stdout).toContain('# fail 0\n')
})
